"""Probabilities of overlapping windows -> their mean, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .records import Probabilities, Window


@dataclass(frozen=True, eq=False)
class Stacked:
    """What all windows so far say of the newest stretch.

    Attributes:
        window: The newest window; `values` and `seen` lie on its samples.
        values: (n, 3) mean probabilities, detection, P, S.
        seen: (n,) windows that have covered each sample.
        inference_ms: Of the newest window.
    """

    window: Window
    values: NDArray[np.float32]
    seen: NDArray[np.int32]
    inference_ms: float


class Stack:
    """Running mean over windows, SeisBench's `stacking="avg"` done as the windows come.

    A sample's mean is final once the sample has left the window. A new segment starts anew.

    Args:
        length: Samples of a full window.
    """

    def __init__(self, length: int) -> None:
        self._sum = np.zeros((length, 3), dtype=np.float32)
        self._seen = np.zeros(length, dtype=np.int32)
        self._end = 0
        self._segment = -1

    def push(self, probabilities: Probabilities) -> Stacked:
        """Add one window; windows of a segment come in order."""
        window = probabilities.window
        if window.segment != self._segment:
            self._segment = window.segment
            self._end = window.end_sample
            self._sum[:] = 0
            self._seen[:] = 0
        self._advance(window.end_sample - self._end)
        self._end = window.end_sample
        n = len(window.samples)
        self._sum[-n:] += probabilities.values[-n:]
        self._seen[-n:] += 1
        mean = self._sum[-n:] / self._seen[-n:, None]
        return Stacked(window, mean, self._seen[-n:].copy(), probabilities.inference_ms)

    def _advance(self, samples: int) -> None:
        kept = max(0, len(self._seen) - samples)
        for rows in (self._sum, self._seen):
            rows[:kept] = rows[len(rows) - kept :].copy()
            rows[kept:] = 0
