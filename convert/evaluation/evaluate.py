"""Score networks and runs on data, and return one report, for `eqedge evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...edge.replay.labels import TOLERANCE_SECONDS
from ..data.files import DataFiles, LabelMap, index_files, teacher_labels
from ..data.picker import Picker, open_picker
from ..data.waveforms import Unusable
from .summary import of_network, pair_name, table
from .triggers import events_of, open_run, table_of
from .windowed import score_networks

SCHEMA = 1
AS_RUN = "as run"
"""Stands for the thresholds of a run, which its triggers do not contain."""

STATIONS = {"station": "held out", "event": "events held out"}
"""How a report describes the stations that were scored, by what training held out."""


@dataclass(frozen=True)
class EvaluationRequest:
    """What is to be scored, and on what.

    Attributes:
        files: Labelled data, and teachers whose common picks mark unlabelled earthquakes.
        networks: Shipped models by name, or files.
        triggers: Outputs of `eqedge run --sim` over the one labelled file.
        noise: Continuous records without an earthquake.
        streams: Continuous records with or without.
        thresholds: The same for P and S; a card's presets are added.
        all_stations: Also stations that training may have seen.
        traces: Of the runs, as was given to `eqedge run`.
        seed: Of the runs, as was given to `eqedge run`.
    """

    files: DataFiles
    networks: Sequence[str] = ()
    triggers: Sequence[Path] = ()
    noise: Sequence[Path] = ()
    streams: Sequence[Path] = ()
    thresholds: Sequence[float] = (0.3,)
    all_stations: bool = False
    traces: int | None = None
    seed: int = 0
    report: Callable[[str], None] = field(default=print, compare=False)


def evaluate(request: EvaluationRequest) -> dict[str, Any]:
    """Score everything.

    Raises:
        PickerError: A network cannot be opened.
        DataError: The data have nothing to score on.
        RunError: Triggers are not of the file that was given.
    """
    networks = [open_picker(name) for name in request.networks]
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "tolerance_s": TOLERANCE_SECONDS,
        "models": {},
        "runs": {},
    }
    if networks:
        report |= _networks(request, networks)
    if request.triggers:
        labels = _labels(request)
        for path in request.triggers:
            name = _free(path.name, report["runs"])
            report["runs"][name] = _run(request, path, labels)
    return report


def _networks(request: EvaluationRequest, networks: Sequence[Picker]) -> dict[str, Any]:
    pairs = [{pair_name(t, t): (t, t) for t in request.thresholds} for _ in networks]
    presets: list[dict[str, str]] = []
    for network, own in zip(networks, pairs, strict=True):
        named = {n: (t.P_threshold, t.S_threshold) for n, t in network.presets.items()}
        own.update({pair_name(*pair): pair for pair in named.values()})
        presets.append({name: pair_name(*pair) for name, pair in named.items()})
    columns = [t for own in pairs for pair in own.values() for t in pair]
    scored = score_networks(
        networks,
        request.files,
        request.noise,
        request.streams,
        columns,
        request.all_stations,
        request.report,
    )
    models: dict[str, Any] = {}
    for number, network in enumerate(networks):
        summed = of_network(scored.tables[number], pairs[number])
        models[_free(network.name, models)] = {"presets": presets[number]} | summed
    data = {
        "files": [
            path.name for path in (*request.files.labelled, *request.noise, *request.streams)
        ],
        "stations": "all" if request.all_stations else STATIONS[request.files.split],
        "number_of_stations": scored.stations,
        "records": scored.records,
        "skipped": scored.skipped,
    }
    return {"data": data, "models": models}


def _run(request: EvaluationRequest, path: Path, labels: LabelMap) -> dict[str, Any]:
    (data,) = request.files.labelled
    run = open_run(path, data, request.traces, request.seed)
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
