"""Score each head of several networks on the same windows of labelled records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...edge.picks import find_peaks
from ...edge.replay.selection import EVERYTHING, TraceSelection
from ...models.spec import HEADS, RATE_HZ, WINDOW_SAMPLES
from ..data.indexing import index_stead, reasons
from ..data.matching import Judged, PhaseScore, judge_head, summed
from ..data.picker import Picker
from ..data.records import DataError, Record, merge
from ..data.unseen import Selection
from ..data.waveforms import Unusable, WaveformCache
from ..data.windows import TRIAL_DRAWS, TRIAL_SEED, cuts
from ..progress import OnProgress
from ..progress import report as to_stderr


@dataclass(frozen=True)
class Score:
    """What one network finds.

    Attributes:
        detection: By windows of events and of noise.
        P: By picks in windows of events.
        S: The same, where the record has an S in view.
        false_p_per_hour: P picks an hour of noise; None without any.
    """

    detection: PhaseScore
    P: PhaseScore
    S: PhaseScore
    false_p_per_hour: float | None
    false_detections_per_hour: float | None = None
    """Stretches of detection an hour of noise; None without any."""


@dataclass(frozen=True)
class ComparisonScores:
    """What the networks were scored on, and what came of it.

    Attributes:
        events: Windows of events, three of each.
        noise: Windows of noise.
        stations: They are of.
        scores: In the networks' order.
        records: Describes which of the data they are: which split, what limit.
    """

    events: int
    noise: int
    stations: int
    scores: tuple[Score, ...]
    records: str = ""


@dataclass(frozen=True)
class Chosen:
    """The records to score on.

    Attributes:
        records: In order; those that are not scored give the others their places in the windows.
        manual: Of the events, only those that a person picked are scored.
        title: Describes them: which split, what limit.
    """

    records: Sequence[Record]
    manual: bool
    title: str

    def scored(self) -> list[Record]:
        """Return the records that are scored."""
        return [record for record in self.records if self.scores(record)]

    def scores(self, record: Record) -> bool:
        """Whether a record is scored."""
        return record.kind == "noise" or record.manual or not self.manual


def choose(
    paths: Sequence[Path],
    selection: Selection,
    manual: bool,
    traces: TraceSelection = EVERYTHING,
    report: Callable[[str], None] = print,
) -> Chosen:
    """Choose the records to score on.

    Args:
        paths: STEAD-layout HDF5 files.
        selection: Which of them.
        manual: Of the events, only those that a person picked.
        traces: Which traces of the files there are to select from.
        report: Called with a line about what a CSV selects, and what is left out.

    Raises:
        DataError: Nothing is left.
    """
    index = merge([index_stead(path, traces) for path in paths])
    for line in index.remarks:
        report(line)
    for reason, count in index.skipped.items():
        report(f"{count}: {reason}")
    names = ", ".join(path.name for path in paths)
    try:
        some, limit = selection.of(index)
    except DataError as error:
        raise DataError(f"{names}: {error}") from error
    title = f"stations: {selection.title}"
    if limit is not None:
        title += "; {records} of {of} records, drawn by seed {seed}".format(**limit)
    chosen = Chosen(some.records, manual, title)
    if not any(record.kind == "event" for record in chosen.scored()):
        hints = [] if selection.all_stations else ["--all-stations"]
        hints += ["no --manual"] if manual else []
        hints += ["a higher --limit"] if limit is not None else []
        raise DataError(
            f"{names}: no earthquake to score on among {len(index.records)} records"
            f"{f' ({reasons(index.skipped)})' if index.skipped else ''}; give "
            f"{' or '.join(hints) or 'another file'}"
        )
    return chosen


def score_all(
    pickers: Sequence[Picker],
    chosen: Chosen,
    progress: OnProgress | None = None,
    report: Callable[[str], None] = to_stderr,
) -> ComparisonScores:
    """Show every network the windows that `eqedge evaluate` would.

    Args:
        pickers: With windows of 6000 samples.
        chosen: From `choose`.
        progress: Called with what is done, how much of it, and of how much.
        report: Called with a line for each record that cannot be used.

    Raises:
        DataError: No record can be read.
    """
    records, waveforms = chosen.records, WaveformCache(0, Unusable(report))
    judged: list[list[list[Judged]]] = [[[] for _ in HEADS] for _ in pickers]
    noise_picks = [0] * len(pickers)
    noise_detections = [0] * len(pickers)
    events = noise = done = 0
    place = {record: number for number, record in enumerate(records, start=1)}
    for cut in cuts(records, waveforms, TRIAL_SEED, TRIAL_DRAWS, ()):
        if not chosen.scores(cut.record):
            continue
        labels = cut.labels
        for number, picker in enumerate(pickers):
            (answer,) = picker.answer([cut.samples])
            thresholds = picker.spec.thresholds["default"].by_head
            for column, head in enumerate(HEADS):
                one = judge_head(head, answer[:, column], labels, thresholds[head])
                judged[number][column].append(one)
            if labels.is_noise:
                noise_picks[number] += len(find_peaks(answer[:, 1], thresholds["P"]))
                stretches = find_peaks(answer[:, 0], thresholds["detection"])
                noise_detections[number] += len(stretches)
        noise += labels.is_noise
        events += not labels.is_noise
        if progress is not None and place[cut.record] > done:
            done = place[cut.record]
            progress("scoring", done, len(records))
    if not events and not noise:
        raise DataError(f"no record of the data can be read ({'; '.join(waveforms.skipped)})")
    hours = noise * WINDOW_SAMPLES / RATE_HZ / 3600
    scores = tuple(
        Score(
            summed(detection),
            summed(p),
            summed(s),
            picks / hours if noise else None,
            detections / hours if noise else None,
        )
        for (detection, p, s), picks, detections in zip(
            judged, noise_picks, noise_detections, strict=True
        )
    )
    stations = len({record.station for record in chosen.scored()})
    return ComparisonScores(events, noise, stations, scores, chosen.title)
