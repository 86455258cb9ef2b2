"""One head's curve and what a catalogue says of its window in, right and wrong out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...edge.picks import find_peaks
from .outcomes import NOTHING, PhaseScore, Verdict, judge
from .records import RATE_HZ

DETECTION_SAMPLES = 500
"""Where the catalogue has no S, a detection must touch the first five seconds after P."""


@dataclass(frozen=True)
class Marks:
    """What a catalogue says of one window.

    Attributes:
        is_noise: Whether there is no earthquake.
        p_sample: In the window; None if it is not known or not in view.
        s_sample: The same.
    """

    is_noise: bool
    p_sample: int | None = None
    s_sample: int | None = None


@dataclass(frozen=True)
class Judged:
    """One head in one window.

    Attributes:
        labelled: Whether there was something to be found.
        verdict: What the picks are worth.
    """

    labelled: bool
    verdict: Verdict


def judge_head(head: str, curve: NDArray[np.float32], marks: Marks, threshold: float) -> Judged:
    """Judge one head's answer.

    Picks are judged as `eqedge evaluate` judges them: right within half a second, any other false,
    and without a label neither. A detection is judged by the window: an earthquake's wants a
    stretch from its P to its S, one of noise wants none.

    Args:
        head: One of `models.spec.HEADS`.
        curve: (window_samples,) probabilities.
        marks: Of that window.
        threshold: What a pick must reach.
    """
    peaks = find_peaks(curve, threshold)
    p, s = marks.p_sample, marks.s_sample
    if head != "detection":
        label = p if head == "P" else s
        return Judged(label is not None, judge([peak.sample for peak in peaks], label))
    if marks.is_noise:
        return Judged(False, Verdict(False, 0, int(bool(peaks)), int(bool(peaks))))
    if p is None:
        return Judged(False, NOTHING)
    end = p + DETECTION_SAMPLES if s is None else s
    hit = any(peak.start_sample <= end and peak.end_sample > p for peak in peaks)
    return Judged(True, Verdict(hit, 0, 0, 0))


def summed(judged: Iterable[Judged]) -> PhaseScore:
    """Add up the windows of one head."""
    every = list(judged)
    residuals = [abs(one.verdict.residual) for one in every if one.verdict.hit]
    return PhaseScore(
        found=len(residuals),
        missed=sum(one.labelled and not one.verdict.hit for one in every),
        false=sum(one.verdict.false for one in every),
        mean_absolute_s=float(np.mean(residuals)) / RATE_HZ if residuals else None,
    )
