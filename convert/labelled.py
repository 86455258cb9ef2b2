"""A network's curves and a catalogue's labels in, one head's score out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..edge.picks import find_peaks
from ..models.spec import HEADS
from .crops import WindowSet

MATCH_SAMPLES = 50
"""A pick within half a second of a label is right; two picks this near are the same pick."""
DETECTION_SAMPLES = 500
"""Where the catalogue has no S, a detection must touch the first five seconds after P."""


@dataclass(frozen=True)
class LabelScore:
    """One head against the labels.

    Attributes:
        found: Labels with a pick within half a second; windows of an event that is detected.
        missed: Those without.
        false: Other picks; windows of noise with a detection.
    """

    found: int
    missed: int
    false: int

    @property
    def precision(self) -> float:
        """Share of what was picked that is right."""
        return self.found / max(1, self.found + self.false)

    @property
    def recall(self) -> float:
        """Share of the labels that are found."""
        return self.found / max(1, self.found + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.found / max(1, 2 * self.found + self.missed + self.false)


def score_head(
    head: str, curves: Sequence[NDArray[np.float32]], windows: WindowSet, threshold: float
) -> LabelScore:
    """Score one head on the windows whose labels can be scored.

    A pick that no label has is false, also where it marks an earthquake that nobody catalogued:
    what tells is the difference between two networks on the same windows. An event without S in
    view is not scored for S.

    Args:
        head: One of `models.spec.HEADS`.
        curves: (window_samples,) probabilities of each window.
        windows: Those windows.
        threshold: What a pick must reach.
    """
    found = missed = false = 0
    column = max(0, HEADS.index(head) - 1)
    for curve, is_noise, arrivals, labelled in zip(
        curves, windows.is_noise, windows.arrivals, windows.labelled, strict=True
    ):
        label = arrivals[column]
        if not labelled or (np.isnan(label) and not is_noise):
            continue
        peaks = find_peaks(curve, threshold)
        if head == "detection":
            end = arrivals[1] if arrivals[1] > label else label + DETECTION_SAMPLES
            hit = any(peak.start_sample <= end and peak.end_sample > label for peak in peaks)
            false += bool(peaks) and bool(is_noise)
        else:
            near = sum(abs(peak.sample - label) <= MATCH_SAMPLES for peak in peaks)
            hit = near > 0
            false += len(peaks) - hit
        found += hit
        missed += not hit and not is_noise
    return LabelScore(found, missed, false)
