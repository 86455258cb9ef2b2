"""Score each head of several networks on the same windows of labelled records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...edge.picks import find_peaks
from ...models.spec import HEADS, RATE_HZ, WINDOW_SAMPLES
from ..data.matching import Judged, PhaseScore, judge_head, summed
from ..data.picker import Picker
from ..data.records import DataError, Record, index_stead, merge
from ..data.waveforms import WaveformCache
from ..data.windows import TRIAL_DRAWS, TRIAL_SEED, cuts
from ..progress import OnProgress


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


@dataclass(frozen=True)
class ComparisonScores:
    """What the networks were scored on, and what came of it.

    Attributes:
        events: Windows of events, three of each.
        noise: Windows of noise.
        stations: They are of.
        scores: In the networks' order.
    """

    events: int
    noise: int
    stations: int
    scores: tuple[Score, ...]


def choose(paths: Sequence[Path], all_stations: bool, manual: bool) -> list[Record]:
    """Choose the records to score on.

    Args:
        paths: STEAD-layout HDF5 files.
        all_stations: Also stations that this package's training may have seen.
        manual: Of the events, only those that a person picked.

    Raises:
        DataError: Nothing is left.
    """
    index = merge([index_stead(path) for path in paths])
    records = index.records if all_stations else index.held_out()
    chosen = [r for r in records if r.kind == "noise" or r.manual or not manual]
    if not any(record.kind == "event" for record in chosen):
        hints = [] if all_stations else ["--all-stations"]
        hints += ["no --manual"] if manual else []
        raise DataError(
            f"{', '.join(path.name for path in paths)}: no earthquake to score on among "
            f"{len(index.records)} records; give {' or '.join(hints) or 'another file'}"
        )
    return chosen


def score_all(
    pickers: Sequence[Picker], records: Sequence[Record], progress: OnProgress | None = None
) -> ComparisonScores:
    """Show every network the windows that `eqedge evaluate` would.

    Args:
        pickers: With windows of 6000 samples.
        records: From `choose`.
        progress: Called with what is done, how much of it, and of how much.
    """
    judged: list[list[list[Judged]]] = [[[] for _ in HEADS] for _ in pickers]
    noise_picks = [0] * len(pickers)
    events = noise = done = 0
    place = {record: number for number, record in enumerate(records, start=1)}
    for cut in cuts(records, WaveformCache(budget_bytes=0), TRIAL_SEED, TRIAL_DRAWS, ()):
        labels = cut.labels
        for number, picker in enumerate(pickers):
            (answer,) = picker.answer([cut.samples])
            thresholds = picker.spec.thresholds["default"].by_head
            for column, head in enumerate(HEADS):
                one = judge_head(head, answer[:, column], labels, thresholds[head])
                judged[number][column].append(one)
            if labels.is_noise:
                noise_picks[number] += len(find_peaks(answer[:, 1], thresholds["P"]))
        noise += labels.is_noise
        events += not labels.is_noise
        if progress is not None and place[cut.record] > done:
            done = place[cut.record]
            progress("scoring", done, len(records))
    hours = noise * WINDOW_SAMPLES / RATE_HZ / 3600
    scores = tuple(
        Score(summed(detection), summed(p), summed(s), picks / hours if noise else None)
        for (detection, p, s), picks in zip(judged, noise_picks, strict=True)
    )
    return ComparisonScores(events, noise, len({record.station for record in records}), scores)
