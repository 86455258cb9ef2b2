"""Score networks and runs on data, and return one report, for `eqedge evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...edge.replay.labels import TOLERANCE_SECONDS
from ...models.spec import Thresholds
from ..data.files import DataFiles, LabelMap, index_files, teacher_labels
from ..data.picker import Picker, check_networks, open_picker
from ..data.records import Split
from ..data.unseen import Selection, splits_of
from ..data.waveforms import Unusable
from ..progress import OnProgress
from ..training_cards import trained
from .summary import Levels, named, of_network, table
from .triggers import events_of, open_run, table_of
from .windowed import choose_data, score_networks

SCHEMA = 1
AS_RUN = "as run"
"""Stands for the thresholds of a run, which its triggers do not contain."""


@dataclass(frozen=True)
class EvaluationRequest:
    """What is to be scored, and on what.

    Attributes:
        files: Labelled data, selected as by the runs, and teachers whose common picks mark
            unlabelled earthquakes.
        networks: Shipped models by name, or files.
        triggers: Outputs of `eqedge run --sim` over the one labelled file.
        noise: Continuous records without an earthquake.
        streams: Continuous records with or without.
        thresholds: The same for P and S; a card's presets are added.
        split: What the networks' trainings held out; None takes it from their cards.
        all_stations: Also records that training may have seen.
        limit: Most records to score networks on; None for all.
        seed: Of the limit.
        report: Called with a line about what is left out or not known.
        progress: Called with what is done, how much of it, and of how much.
    """

    files: DataFiles
    networks: Sequence[str] = ()
    triggers: Sequence[Path] = ()
    noise: Sequence[Path] = ()
    streams: Sequence[Path] = ()
    thresholds: Sequence[float] = (0.3,)
    split: Split | None = None
    all_stations: bool = False
    limit: int | None = None
    seed: int = 0
    report: Callable[[str], None] = field(default=print, compare=False)
    progress: OnProgress | None = field(default=None, compare=False)


def evaluate(request: EvaluationRequest) -> dict[str, Any]:
    """Score everything.

    Raises:
        PickerError: A network cannot be opened.
        SplitError: A network's card contradicts `split`.
        DataError: The data have nothing to score on.
        RunError: Triggers are not of the file that was given.
    """
    check_networks([*request.networks, *request.files.teachers])
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "tolerance_s": TOLERANCE_SECONDS,
        "models": {},
        "runs": {},
    }
    if request.networks:
        report |= _networks(request)
    if request.triggers:
        labels = _labels(request)
        for path in request.triggers:
            name = _free(path.name, report["runs"])
            report["runs"][name] = _run(request, path, labels)
    return report


def _networks(request: EvaluationRequest) -> dict[str, Any]:
    trainings = [trained(name) for name in request.networks]
    splits = splits_of(trainings, request.split, request.all_stations, request.report)
    selection = Selection(splits, request.all_stations, request.limit, request.seed)
    data = choose_data(request.files, request.noise, request.streams, selection)
    if data.limit is not None:
        request.report(
            "scoring {records} of {of} records, drawn by seed {seed}".format(**data.limit)
        )
    networks = [open_picker(name) for name in request.networks]
    levels = [_levels(network, request.thresholds) for network in networks]
    columns = [threshold for own in levels for one in own.values() for threshold in one]
    scored = score_networks(networks, data, columns, request.report, request.progress)
    models: dict[str, Any] = {}
    for number, (network, training) in enumerate(zip(networks, trainings, strict=True)):
        names = {one: name for name, one in levels[number].items()}
        presets = {name: names[_of_preset(t)] for name, t in network.presets.items()}
        models[_free(network.name, models)] = {
            "presets": presets,
            "training": training.to_json(),
        } | of_network(scored.tables[number], levels[number])
    described = {
        "files": [
            path.name for path in (*request.files.labelled, *request.noise, *request.streams)
        ],
        "stations": selection.title,
        "limit": data.limit,
        "number_of_stations": scored.stations,
        "records": scored.records,
        "skipped": scored.skipped,
        "remarks": data.index.remarks,
    }
    return {"data": described, "models": models}


def _levels(network: Picker, thresholds: Sequence[float]) -> dict[str, Levels]:
    """Name the thresholds of a network: those given, with its detection's, and its presets."""
    detection = network.spec.thresholds["default"].detection_threshold
    presets = [_of_preset(preset) for preset in network.presets.values()]
    return named([*((detection, t, t) for t in thresholds), *presets])


def _of_preset(preset: Thresholds) -> Levels:
    return preset.detection_threshold, preset.P_threshold, preset.S_threshold


def _run(request: EvaluationRequest, path: Path, labels: LabelMap) -> dict[str, Any]:
    (data,) = request.files.labelled
    run = open_run(path, data, request.files.selection)
    if not request.networks:  # their index has reported them
        for line in run.remarks:
            request.report(line)
    if not run.messages:
        request.report(f"{path}: no triggers at all, so every event is missed")
    return {
        "file": data.name,
        "models": run.models,
        "skipped": dict(run.skipped),
        "events": events_of(run),
        "scores": {AS_RUN: table(table_of(run, labels), 0, 0)},
    }


def _labels(request: EvaluationRequest) -> LabelMap:
    if not request.files.teachers:
        return {}
    return teacher_labels(request.files, index_files(request.files), Unusable(request.report))


def _free(name: str, taken: dict[str, Any]) -> str:
    """Name that is not taken yet: two files may be called alike."""
    names = [name, *(f"{name} ({k})" for k in range(2, len(taken) + 2))]
    return next(one for one in names if one not in taken)
