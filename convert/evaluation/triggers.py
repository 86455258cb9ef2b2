"""Score the triggers of `eqedge run --sim` by the labels of the file that was replayed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import EqedgeError
from ...edge.files import text_lines
from ...edge.replay.fields import has_unreadable_label, labels_of
from ...edge.replay.labels import matches
from ...edge.replay.playlist import Playlist
from ...edge.replay.scoreboard import Scoreboard, score
from ...edge.replay.selection import EVERYTHING, TraceSelection
from ...edge.replay.simulation import LEAD_SECONDS
from ...edge.replay.stead import Trace
from ...edge.replay.timeline import Placement
from ...edge.types import NANOSECONDS, PHASES, Message
from ...models.spec import RATE_HZ
from ..data.files import LabelMap
from ..data.indexing import NOT_A_NUMBER, without_numbers
from ..data.matching import Outcomes, Packed, PhaseScore, judge, packed
from ..data.records import record_of
from ..data.unlabelled import seen_by_all
from .score_table import Noise, Onsets, ScoreTable
from .subjects import Subject, subject_of

TAIL_SAMPLES = 1500
"""Noise that a run plays after its last trace."""


class RunError(EqedgeError):
    """The file has no triggers, or they are of another run."""


@dataclass(frozen=True, eq=False)
class PlayedRun:
    """Triggers and the traces they are of.

    Attributes:
        name: Of the file of triggers.
        messages: In order, their picks' traces among those played.
        played: In order.
        placements: Of the played traces, each as if it were alone on the timeline: labels as the
            file states them, also between two samples.
        skipped: Traces that were not played, or whose labels cannot be, by reason.
        remarks: Lines for people about the CSV, if there is one.
    """

    name: str
    messages: Sequence[Message]
    played: Sequence[Subject]
    placements: Sequence[Placement]
    skipped: Counter[str]
    remarks: Sequence[str] = ()

    @property
    def models(self) -> list[str]:
        """Names of the models in its messages."""
        models = [message.get("model") for message in self.messages]
        return sorted({str(one.get("name")) for one in models if isinstance(one, dict)})

    def picks(self) -> dict[str, list[Message]]:
        """Return each trace's picks, by the last message of their events."""
        latest = {message["event_id"]: message for message in self.messages}
        found: dict[str, list[Message]] = {one.record.trace: [] for one in self.played}
        for message in latest.values():
            for pick in message["picks"]:
                found.get(pick["sim"]["trace_name"], []).append(pick)
        return found


def open_run(path: Path, data: Path, selection: TraceSelection = EVERYTHING) -> PlayedRun:
    """Read a run's triggers and the labels of what it played.

    Args:
        path: JSON lines, written by `eqedge run --sim`.
        data: The HDF5 that was replayed.
        selection: As was given to the run.

    Raises:
        RunError: A line is not a trigger of a simulation, or its trace was not played.
        SteadError: The HDF5 cannot be read.
    """
    messages = read_messages(path)
    skipped: Counter[str] = Counter()
    played: list[Subject] = []
    placements: list[Placement] = []
    with selection.open(data) as file:
        names, everything = selection.names(file), set(file)
        playlist = Playlist(file, names, RATE_HZ)
        lengths: dict[str, int] = {}
        before: dict[str, float] = {}
        total, scale = LEAD_SECONDS * RATE_HZ, 1.0
        for trace in playlist:
            lengths[trace.name] = len(trace.waveform)
            scale = RATE_HZ / trace.rate_hz
            before[trace.name] = total
            total += len(trace.waveform) * scale
            if has_unreadable_label(trace.attributes):
                skipped[NOT_A_NUMBER] += 1
            elif problem := labels_of(trace.name, trace.attributes).problem(len(trace.waveform)):
                skipped[problem] += 1
            else:
                played.append(_played(data, trace, scale))
                placements.append(_placement(trace, scale))
        remarks = file.remarks
    skipped.update(_by_reason(playlist.passed_over))
    problems = {line.partition(": ")[0]: line for line in playlist.passed_over}
    chosen = "" if selection == EVERYTHING else f" of the {len(names)} traces selected"
    for line, message in enumerate(messages, start=1):
        for pick in message["picks"]:
            name, sample = pick["sim"]["trace_name"], pick["sim"]["sample"]
            if problem := problems.get(f"trace {name}"):
                raise RunError(f"{path}: line {line}: it was another file; {problem}")
            if name not in lengths:
                where = f"none{chosen} in {data.name}; name the file replayed"
                if selection == EVERYTHING:
                    where = f"not in {data.name}; name the file replayed"
                elif name in everything:
                    where = (
                        f"none{chosen}; give --csv, --where, --traces and --seed as to eqedge run"
                    )
                raise RunError(f"{path}: line {line}: trace {name} is {where}")
            if sample >= lengths[name] + TAIL_SAMPLES:
                raise RunError(
                    f"{path}: line {line}: sample {sample} of trace {name}, which has "
                    f"{lengths[name]} in {data.name}; name the file replayed"
                )
            at = pick.get("sample")
            if type(at) is int and at - sample * scale < before[name] - RATE_HZ:
                raise RunError(
                    f"{path}: line {line}: the run played fewer traces before {name} than are "
                    f"selected in {data.name}; give --csv, --where, --traces and --seed as to "
                    "eqedge run"
                )
    return PlayedRun(
        path.name, [_rescaled(m, scale) for m in messages], played, placements, skipped, remarks
    )


def _by_reason(passed_over: Iterable[str]) -> Counter[str]:
    """Count lines `trace NAME: REASON`; reasons that differ in a number are one."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for line in passed_over:
        trace, _, reason = line.partition(": ")
        counts[first.setdefault(without_numbers(reason), f"{reason} (the first: {trace})")] += 1
    return counts


def read_messages(path: Path) -> list[Message]:
    """Read a simulation's triggers, one a line.

    Raises:
        RunError: The file cannot be read, or a line is not a trigger of a simulation.
    """
    lines = text_lines(path, RunError, "give the --output of eqedge run --sim")
    return [_message(line, f"{path}: line {k}") for k, line in enumerate(lines, start=1)]


def _message(line: str, where: str) -> Message:
    try:
        message: Message = json.loads(line)
        str(message["event_id"]), float(message["latency_ms"]["data"])
        picks = [
            (pick["phase"], int(pick["time_ns"]), pick.get("sim")) for pick in message["picks"]
        ]
        if not picks or {phase for phase, _, _ in picks} - {"P", "S"}:
            raise ValueError("no picks")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise RunError(
            f"{where} is not a trigger; give the --output of eqedge run --sim"
        ) from error
    for _, _, sim in picks:
        if sim is None:
            raise RunError(f"{where} is of a live sensor; only eqedge run --sim can be scored")
        kinds = {"trace_name": str, "sample": int}
        if not isinstance(sim, dict) or any(type(sim.get(k)) is not v for k, v in kinds.items()):
            raise RunError(f"{where} is not a trigger; give the --output of eqedge run --sim")
    return message


def _rescaled(message: Message, scale: float) -> Message:
    """Bring the samples of picks within their traces from the traces' rate to that of scores."""
    if scale == 1:
        return message
    picks = [
        {**pick, "sim": {**pick["sim"], "sample": round(pick["sim"]["sample"] * scale)}}
        for pick in message["picks"]
    ]
    return {**message, "picks": picks}


def table_of(run: PlayedRun, labels: LabelMap) -> ScoreTable:
    """Judge a run's picks as a network's are, with one column; each event by its last message.

    Args:
        run: Messages and labels.
        labels: Teachers' answers, to recognise unlabelled earthquakes; may lack any trace.
    """
    picks = run.picks()
    events = [one for one in run.played if one.record.kind == "event"]
    labels_of_trace = {placed.trace_name: placed for placed in run.placements}
    outcomes: dict[str, Outcomes] = {}
    for phase in PHASES:
        verdicts: list[Packed] = []
        for one in events:
            unlabelled = seen_by_all(labels, one.record, phase.lower())
            samples = [p["sim"]["sample"] for p in picks[one.record.trace] if p["phase"] == phase]
            verdicts.append(
                packed(
                    [judge(samples, labels_of_trace[one.record.trace].arrival(phase), unlabelled)]
                )
            )
        labelled = [one.record.arrival(phase) is not None for one in events]
        outcomes[phase] = Outcomes.of(labelled, verdicts, 1)
    return ScoreTable(
        thresholds=(),
        events=tuple(events),
        P=outcomes["P"],
        S=outcomes["S"],
        noise=_noise(run, picks),
        onsets=_onsets(run.messages, events),
        teachers=bool(labels),
    )


def events_of(run: PlayedRun) -> dict[str, Any]:
    """Count events as the run itself does at its end, and their precision, recall and F1."""
    board: Scoreboard = score(run.placements, run.messages, RATE_HZ)
    hours = sum(one.record.n_samples for one in run.played) / RATE_HZ / 3600
    counts = {name: asdict(board)[name] for name in ("found", "missed", "false", "unscored")}
    rates = PhaseScore(board.found, board.missed, board.false, None).row()
    return {
        "traces": board.traces,
        "hours": round(hours, 3),
        "labelled": board.events,
        **counts,
        **{name: rates[name] for name in ("precision", "recall", "f1")},
        "false_per_hour": round(board.false / hours, 2) if hours else None,
    }


def _noise(run: PlayedRun, picks: dict[str, list[Message]]) -> Noise:
    quiet = [one for one in run.played if one.record.kind == "noise"]
    inside = [
        Counter(
            pick["phase"]
            for pick in picks[one.record.trace]
            if 0 <= pick["sim"]["sample"] < one.record.n_samples
        )
        for one in quiet
    ]
    p, s = (np.array([[count[x]] for count in inside], np.int32).reshape(-1, 1) for x in "PS")
    seconds = np.array([one.record.n_samples / RATE_HZ for one in quiet])
    units = tuple(one.event for one in quiet)
    return Noise(units, seconds, p, s)


def _onsets(messages: Iterable[Message], events: Sequence[Subject]) -> Onsets:
    """Time from each labelled P to the end of the data when the node first published it."""
    labels = {one.record.trace: one.record.p_arrival_sample for one in events}
    first: dict[str, float] = {}
    for message in messages:
        for pick in message["picks"]:
            name, sample = pick["sim"]["trace_name"], pick["sim"]["sample"]
            label = labels.get(name)
            if pick["phase"] != "P" or label is None or not matches(sample, label, RATE_HZ):
                continue
            data_s = float(message["latency_ms"]["data"]) / 1000
            # the message counts its latency from its last pick
            since_pick_s = (message["picks"][-1]["time_ns"] - pick["time_ns"]) / NANOSECONDS
            first.setdefault(name, data_s + since_pick_s + (sample - label) / RATE_HZ)
    labelled = [one for one in events if one.record.p_arrival_sample is not None]
    ages = np.array([[first.get(one.record.trace, np.inf)] for one in labelled]).reshape(-1, 1)
    return Onsets(tuple(one.event for one in labelled), None, ages)


def _played(data: Path, trace: Trace, scale: float) -> Subject:
    """One trace with its labels at the rate of scores."""
    labels = trace.scaled(scale)
    n_samples = round(len(trace.waveform) * scale)
    record = record_of(data, trace.name, n_samples, labels, trace.attributes)
    return subject_of(record, trace.attributes)


def _placement(trace: Trace, scale: float) -> Placement:
    """The trace as if it were alone on a timeline at the rate of scores."""
    end = round(len(trace.waveform) * scale)
    return Placement(trace.name, 0, 0, end, **asdict(trace.scaled(scale)))
