"""Match picks with labels: the one place that decides what is right, threshold by threshold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from ...edge.picks import Peak, find_peaks
from ...edge.replay.labels import TOLERANCE_SECONDS, Labelled, matches
from ...models.spec import RATE_HZ

TOLERANCE_SAMPLES = round(TOLERANCE_SECONDS * RATE_HZ)
NOWHERE = np.zeros(0, np.int64)
NO_PICK = np.iinfo(np.int16).min
"""Stands for the residual of a label whose window has no pick of its phase."""
FURTHEST_SAMPLES = np.iinfo(np.int16).max
"""A pick that is further from its label counts as this far."""
DETECTION_SAMPLES = 500
"""Where the catalogue has no S, a detection must touch the first five seconds after P."""


@dataclass(frozen=True)
class PhaseScore:
    """One phase's picks."""

    found: int
    missed: int
    false: int
    mean_absolute_s: float | None
    """Of the found ones' residuals; None without any."""

    @property
    def precision(self) -> float:
        """Share of the picks that are right."""
        return self.found / max(1, self.found + self.false)

    @property
    def recall(self) -> float:
        """Share of the labels that are found."""
        return self.found / max(1, self.found + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.found / max(1, 2 * self.found + self.missed + self.false)

    def row(self) -> dict[str, float | None]:
        """Return rates and counts, rounded, as cards have them."""
        rates = {name: round(getattr(self, name), 4) for name in ("f1", "precision", "recall")}
        return rates | {k: v if v is None else round(v, 4) for k, v in asdict(self).items()}


@dataclass(frozen=True)
class PickVerdict:
    """What the picks of one phase in one window are worth.

    Attributes:
        hit: Whether one is within 0.5 s of the label.
        residual: Of the nearest such pick, samples, later than the label positive; 0 without one.
        false: All others.
        false_set_aside: All others but those where every teacher has one too.
        nearest: Residual of the nearest pick at any distance; `NO_PICK` without one.
    """

    hit: bool
    residual: int
    false: int
    false_set_aside: int
    nearest: int = 0


NOTHING = PickVerdict(False, 0, 0, 0)
Packed = NDArray[np.int16]
"""(t, 5) verdicts at t thresholds, their fields in order: a million windows fit into memory."""


def packed(verdicts: Sequence[PickVerdict]) -> Packed:
    """Pack verdicts, one a threshold."""
    return np.array([astuple(verdict) for verdict in verdicts], np.int16).reshape(-1, 5)


def judge(
    picks: Sequence[int], label: float | None, unlabelled: NDArray[np.int64] = NOWHERE
) -> PickVerdict:
    """Judge one window's picks of one phase; without a label they are neither right nor false.

    Args:
        picks: Samples.
        label: Sample, on the same axis.
        unlabelled: Samples where all teachers have a pick that the label is not.
    """
    if label is None:
        return NOTHING
    residuals = sorted((k - label for k in picks if matches(k, label, RATE_HZ)), key=abs)
    others = [k for k in picks if not matches(k, label, RATE_HZ)]
    unknown = [k for k in others if not near(unlabelled, k)]
    again = max(0, len(residuals) - 1)
    first = round(residuals[0]) if residuals else 0
    false, false_set_aside = len(others) + again, len(unknown) + again
    return PickVerdict(bool(residuals), first, false, false_set_aside, _nearest(picks, label))


def _nearest(picks: Sequence[int], label: float) -> int:
    """Residual of the nearest pick, within the range of a packed verdict."""
    if not picks:
        return NO_PICK
    residuals = sorted((k - label for k in picks), key=abs)
    return max(-FURTHEST_SAMPLES, min(FURTHEST_SAMPLES, round(residuals[0])))


def near(samples: NDArray[np.int64], sample: int) -> bool:
    """Whether any of the samples is within the tolerance of one."""
    return bool((np.abs(samples - sample) <= TOLERANCE_SAMPLES).any())


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Verdicts on one phase: a row for each window, a column for each threshold.

    Attributes:
        labelled: (n,) whether the window has a label of the phase.
        hit: (n, t) as PickVerdict's.
        residual: (n, t) as PickVerdict's.
        false: (n, t) as PickVerdict's.
        false_set_aside: (n, t) as PickVerdict's.
        nearest: (n, t) as PickVerdict's.
    """

    labelled: NDArray[np.bool_]
    hit: NDArray[np.bool_]
    residual: NDArray[np.int16]
    false: NDArray[np.int16]
    false_set_aside: NDArray[np.int16]
    nearest: NDArray[np.int16]

    @classmethod
    def of(cls, labelled: Sequence[bool], verdicts: Sequence[Packed], thresholds: int) -> Outcomes:
        """Gather the packed verdicts of each window."""
        table = np.array(verdicts, np.int16).reshape(len(verdicts), thresholds, 5)
        hit, residual, false, set_aside, nearest = (table[:, :, k] for k in range(5))
        found = hit.astype(np.bool_)
        return cls(np.array(labelled, np.bool_), found, residual, false, set_aside, nearest)

    def rows(self, chosen: NDArray[np.bool_]) -> Outcomes:
        """Return the windows of a mask."""
        return Outcomes(
            self.labelled[chosen],
            self.hit[chosen],
            self.residual[chosen],
            self.false[chosen],
            self.false_set_aside[chosen],
            self.nearest[chosen],
        )

    def score(self, column: int, set_aside: bool = False) -> PhaseScore:
        """Sum up the windows at one threshold."""
        hit = self.hit[:, column]
        found = int(hit.sum())
        false = (self.false_set_aside if set_aside else self.false)[:, column]
        mean = (
            float(np.abs(self.residual[hit, column]).mean(dtype=np.float64)) / RATE_HZ
            if found
            else None
        )
        return PhaseScore(found, int(self.labelled.sum()) - found, int(false.sum()), mean)

    def table(
        self,
        column: int,
        by_hand: NDArray[np.bool_],
        source: NDArray[np.str_],
        set_aside: bool,
    ) -> dict[str, dict[str, float | None]]:
        """Return the rows of a card at one threshold: pooled, set aside, and by data set.

        Args:
            column: The threshold.
            by_hand: (n,) whether a person picked the record.
            source: (n,) its data set.
            set_aside: Whether teachers marked unlabelled earthquakes; without them there is no
                row `unlabelled_set_aside`.
        """
        named = {name: source == name for name in sorted(set(source.tolist()))}
        rows = {
            "pooled": self.score(column).row(),
            "manually_picked": self.rows(by_hand).score(column).row(),
        }
        if set_aside:
            rows["unlabelled_set_aside"] = self.score(column, set_aside=True).row()
        return rows | {name: self.rows(own).score(column).row() for name, own in named.items()}


def verdicts_of(
    curve: NDArray[np.float32],
    thresholds: Sequence[float],
    label: float | None,
    unlabelled: NDArray[np.int64] = NOWHERE,
) -> Packed:
    """Judge a curve of probability at each threshold.

    Args:
        curve: (n,) of one phase.
        thresholds: In any order.
        label: Sample, or None.
        unlabelled: As for `judge`.
    """
    if label is None:
        return packed([NOTHING] * len(thresholds))
    return packed(
        [
            judge([peak.sample for peak in find_peaks(curve, threshold)], label, unlabelled)
            for threshold in thresholds
        ]
    )


@dataclass(frozen=True)
class Judged:
    """One head in one window.

    Attributes:
        labelled: Whether there was something to be found.
        verdict: What the picks are worth.
    """

    labelled: bool
    verdict: PickVerdict


def judge_head(head: str, curve: NDArray[np.float32], labels: Labelled, threshold: float) -> Judged:
    """Judge one head's answer.

    Picks are judged as `eqedge evaluate` judges them: right within half a second, any other false,
    and without a label neither. A detection is judged by the window: an earthquake's wants a
    stretch from its P to its S, one of noise wants none.

    Args:
        head: One of `models.spec.HEADS`.
        curve: (window_samples,) probabilities.
        labels: Of that window.
        threshold: What a pick must reach.
    """
    peaks = find_peaks(curve, threshold)
    p, s = labels.p_arrival_sample, labels.s_arrival_sample
    if head != "detection":
        label = p if head == "P" else s
        return Judged(label is not None, judge([peak.sample for peak in peaks], label))
    return judge_detection(peaks, labels)


def judge_detection(peaks: Sequence[Peak], labels: Labelled) -> Judged:
    """Judge one window by its stretches of detection.

    Args:
        peaks: Of the detection curve.
        labels: Of the window.
    """
    p, s = labels.p_arrival_sample, labels.s_arrival_sample
    if labels.is_noise:
        return Judged(False, PickVerdict(False, 0, int(bool(peaks)), int(bool(peaks))))
    if p is None:
        return Judged(False, NOTHING)
    end = p + DETECTION_SAMPLES if s is None else s
    hit = any(peak.start_sample <= end and peak.end_sample > p for peak in peaks)
    return Judged(True, PickVerdict(hit, 0, 0, 0))


def summed(judged: Iterable[Judged]) -> PhaseScore:
    """Add up the windows of one head."""
    every = list(judged)
    verdicts = [packed([one.verdict]) for one in every]
    return Outcomes.of([one.labelled for one in every], verdicts, 1).score(0)
