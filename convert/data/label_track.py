"""Run a picker over whole records, with overlapping windows, and average its answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...models.spec import WINDOW_SAMPLES
from .picker import Picker

EDGE_SAMPLES = 500
EDGE_WEIGHT = 0.05
"""Weight of an answer near its window's ends, where the network saw one side only."""


def label_track(
    teacher: Picker, waveform: NDArray[np.float32], hop_samples: int, batch: int = 16
) -> NDArray[np.float32]:
    """Slide a teacher over a record.

    Args:
        teacher: The network.
        waveform: (n, 3) raw record, n >= 6000.
        hop_samples: From one window to the next.
        batch: Windows a call.

    Returns:
        (n, 3) detection, P and S: each sample the mean over every window that held it, weighted
        down where a window's end was near.
    """
    n = len(waveform)
    starts = [*range(0, n - WINDOW_SAMPLES, hop_samples), n - WINDOW_SAMPLES]
    weight = np.full((WINDOW_SAMPLES, 1), EDGE_WEIGHT, np.float32)
    weight[EDGE_SAMPLES:-EDGE_SAMPLES] = 1.0
    total = np.zeros((n, 3), np.float32)
    seen = np.zeros((n, 1), np.float32)
    for begin in range(0, len(starts), batch):
        chosen = starts[begin : begin + batch]
        answers = teacher.answer([waveform[a : a + WINDOW_SAMPLES] for a in chosen])
        for a, answer in zip(chosen, answers, strict=True):
            total[a : a + WINDOW_SAMPLES] += weight * answer
            seen[a : a + WINDOW_SAMPLES] += weight
    return total / seen
