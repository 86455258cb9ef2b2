"""Score a network strictly on held-out stations: found, missed, false, and how soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...edge.picks import find_peaks
from ...edge.prepare import prepare
from ...edge.replay.labels import Labelled, matches
from ...edge.types import PHASES
from ...models.spec import RATE_HZ, WINDOW_SAMPLES, ModelSpec
from ..data.files import LabelMap
from ..data.matching import NOWHERE, Outcomes, verdicts_of
from ..data.picker import Predict
from ..data.records import Record
from ..data.unlabelled import unlabelled_in
from ..data.waveforms import Unusable, WaveformCache
from ..data.windows import LATE_SAMPLES, ONSET_AGES_SAMPLES, cuts


@dataclass(frozen=True)
class EventWindow:
    """One event in one window."""

    window: NDArray[np.float32]
    source: str
    """Data set it is of."""
    labels: Labelled
    """Of the window."""
    unlabelled: tuple[NDArray[np.int64], NDArray[np.int64]] = (NOWHERE, NOWHERE)
    """Samples where all teachers have a P, or an S, that the record's own label is not."""


@dataclass(frozen=True)
class Trial:
    """What a network is scored on; made once, the same for every network."""

    events: list[EventWindow] = field(default_factory=list)
    """P at random."""
    noise: list[NDArray[np.float32]] = field(default_factory=list)
    """Before the P of manually picked records, and noise records."""
    onsets: list[tuple[int, NDArray[np.float32]]] = field(default_factory=list)
    """(age of the P at the window's end in samples, window)."""
    teachers: bool = False
    """Whether teachers marked unlabelled earthquakes."""


def make_trial(
    records: Sequence[Record],
    labels: LabelMap,
    spec: ModelSpec,
    seed: int,
    draws: int = 1,
    unusable: Unusable | None = None,
) -> Trial:
    """Cut windows from held-out records.

    P lies uniformly over the window as far as the record allows; the same seed gives the same
    windows.

    Args:
        records: Held-out ones.
        labels: Teachers' answers, to recognise unlabelled earthquakes; may lack any record.
        spec: How a window is prepared.
        seed: Of the positions.
        draws: Windows an event.
        unusable: Counts records that cannot be used.
    """
    trial = Trial(teachers=bool(labels))
    labelled = [record for record in records if record.kind != "continuous"]
    for cut in cuts(labelled, WaveformCache(0, unusable), seed, draws, ONSET_AGES_SAMPLES):
        window = prepare(cut.samples, spec)
        if cut.use == "noise":
            trial.noise.append(window)
        elif cut.use == "onset":
            trial.onsets.append((cut.age, window))
        else:
            others = unlabelled_in(cut, labels)
            trial.events.append(EventWindow(window, cut.record.source, cut.labels, others))
    return trial


def score(
    predict: Predict, trial: Trial, p_threshold: float = 0.3, s_threshold: float = 0.3
) -> dict[str, Any]:
    """Score a network; every number of the result is plain.

    Of a phase: a pick within 0.5 s of the label is right, any other is false, also where it marks
    a real earthquake without a label. Automatic catalogues lack most aftershocks, so there is a row
    of manually picked records alone, and, where there are teachers, one of all records with picks
    set aside where every teacher has one too. Where a record has no label for S, its S picks are
    not counted. Announced: a P pick within 0.5 s of the arrival while the window ends that long
    after.
    """
    answers = predict(np.stack([e.window for e in trial.events])) if trial.events else ()
    by_hand = np.array([event.labels.manual for event in trial.events], bool)
    source = np.array([event.source for event in trial.events])
    tables: dict[str, Any] = {}
    for head, (phase, threshold) in enumerate(
        zip(PHASES, (p_threshold, s_threshold), strict=True), 1
    ):
        labels = [event.labels.arrival(phase) for event in trial.events]
        outcomes = Outcomes.of(
            [label is not None for label in labels],
            [
                verdicts_of(answer[:, head], [threshold], label, event.unlabelled[head - 1])
                for event, answer, label in zip(trial.events, answers, labels, strict=True)
            ],
            thresholds=1,
        )
        tables[phase] = outcomes.table(0, by_hand, source, trial.teachers)
    result = {"events": len(trial.events), "P": tables["P"], "S": tables["S"]}
    if trial.noise:
        answers = predict(np.stack(trial.noise))
        hours = len(trial.noise) * WINDOW_SAMPLES / RATE_HZ / 3600
        picks = [p for answer in answers for p in find_peaks(answer[:, 1], p_threshold)]
        late = [p for p in picks if p.sample >= WINDOW_SAMPLES - LATE_SAMPLES]
        result["noise"] = {
            "windows": len(trial.noise),
            "false_p_per_hour": round(len(picks) / hours, 2),
            "of_these_in_last_2_s": round(len(late) / hours, 2),
            "false_s_per_hour": round(
                sum(len(find_peaks(answer[:, 2], s_threshold)) for answer in answers) / hours, 2
            ),
        }
    if trial.onsets:
        result["announced_by_s"] = _announced(predict, trial, p_threshold)
    return result


def _announced(predict: Predict, trial: Trial, threshold: float) -> dict[str, float]:
    answers = predict(np.stack([window for _, window in trial.onsets]))
    shares = {}
    for age in ONSET_AGES_SAMPLES:
        p = WINDOW_SAMPLES - age
        found = [
            any(matches(k.sample, p, RATE_HZ) for k in find_peaks(a[:, 1], threshold))
            for (own, _), a in zip(trial.onsets, answers, strict=True)
            if own == age
        ]
        if found:
            shares[f"{age / RATE_HZ:g}"] = round(float(np.mean(found)), 4)
    return shares
