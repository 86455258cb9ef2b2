"""Find picks in a curve of probability: one for each stretch above a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Peak:
    """A stretch of a probability curve above its threshold, in samples of that curve.

    Attributes:
        sample: Where the curve is highest; the middle of a plateau, which int8 makes of a top.
        probability: How high.
        start_sample: First sample of the stretch.
        end_sample: First sample after it.
    """

    sample: int
    probability: float
    start_sample: int
    end_sample: int


def find_peaks(
    curve: NDArray[np.float32], threshold: float, min_separation_samples: int = 50
) -> list[Peak]:
    """Find the stretches that reach `threshold`, each from and to half of it, as SeisBench does.

    Args:
        curve: (n,) probabilities.
        threshold: What a stretch must reach.
        min_separation_samples: Of two peaks nearer than this the higher one stays.

    Returns:
        Peaks in order of time.
    """
    threshold = float(np.float32(threshold))  # the curve's own precision, so that equal is equal
    if not (curve >= threshold).any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], curve >= threshold / 2, [False]))))
    peaks: list[Peak] = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        top = start + _top(curve[start:end])
        peak = Peak(top, float(curve[top]), start, end)
        if peak.probability < threshold:
            continue
        if peaks and top - peaks[-1].sample < min_separation_samples:
            if peak.probability <= peaks[-1].probability:
                continue
            peaks.pop()
        peaks.append(peak)
    return peaks


def _top(curve: NDArray[np.float32]) -> int:
    """Index of the first maximum, or the middle of the samples that equal it side by side."""
    first = int(np.argmax(curve))
    below = np.flatnonzero(curve[first:] < curve[first])
    length = int(below[0]) if len(below) else len(curve) - first
    return first + (length - 1) // 2
