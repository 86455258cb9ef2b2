"""Average the probabilities of overlapping windows, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .types import Probabilities, Window

NEW_EDGE_SECONDS = 5.0
"""A sample at least this far from the window's end gets full weight."""
OLD_EDGE_SECONDS = 2.0
"""A sample at least this far from the window's start gets full weight."""
LEAST_WEIGHT = 0.05
"""Weight at the very edges."""


@dataclass(frozen=True, eq=False)
class Stacked:
    """Mean of all windows so far, on the samples of the newest one.

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
    """Weighted running mean over windows.

    A network scores a sample best with signal on both sides of it, so weights are small near a
    window's edges. A new arrival gets its first score at once and better ones every hop. The mean
    of a sample is final once the sample has left the window. A new segment starts from zero.

    Args:
        length: Samples of a full window.
        rate_hz: Samples a second.
    """

    def __init__(self, length: int, rate_hz: float) -> None:
        since_start = np.arange(length) / (rate_hz * OLD_EDGE_SECONDS)
        until_end = np.arange(length, 0, -1) / (rate_hz * NEW_EDGE_SECONDS)
        ramp = np.minimum(np.minimum(since_start, until_end), 1.0)
        self._weight = np.maximum(ramp, LEAST_WEIGHT).astype(np.float32)
        self._sum = np.zeros((length, 3), dtype=np.float32)
        self._weights = np.zeros(length, dtype=np.float32)
        self._seen = np.zeros(length, dtype=np.int32)
        self._end = 0
        self._segment = -1

    def push(self, probabilities: Probabilities) -> Stacked:
        """Add one window; windows of a segment come in order."""
        window = probabilities.window
        if window.segment != self._segment:
            self._segment = window.segment
            self._end = window.end_sample
            for rows in (self._sum, self._weights, self._seen):
                rows[:] = 0
        self._advance(window.end_sample - self._end)
        self._end = window.end_sample
        n = len(window.samples)
        weight = self._weight[-n:]
        self._sum[-n:] += weight[:, None] * probabilities.values[-n:]
        self._weights[-n:] += weight
        self._seen[-n:] += 1
        mean = self._sum[-n:] / self._weights[-n:, None]
        return Stacked(window, mean, self._seen[-n:].copy(), probabilities.inference_ms)

    def _advance(self, samples: int) -> None:
        kept = max(0, len(self._seen) - samples)
        for rows in (self._sum, self._weights, self._seen):
            rows[:kept] = rows[len(rows) - kept :].copy()
            rows[kept:] = 0
