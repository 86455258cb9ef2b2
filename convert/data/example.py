"""A stretch of waveform with its labels: the input and the output of augmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


def onsets(*pairs: tuple[float, float]) -> NDArray[np.float32]:
    """(k, 2) array of samples and heights."""
    return np.array(pairs, np.float32).reshape(-1, 2)


NO_ONSETS = onsets()


@dataclass(frozen=True)
class Example:
    """Samples and labels on one axis; no step ever writes into the arrays of another."""

    waveform: NDArray[np.float32]
    """(n, 3) E, N, Z, any unit."""
    p: NDArray[np.float32]
    """(k, 2) sample and height, 0 to 1, of each P onset."""
    s: NDArray[np.float32]
    """(k, 2) of each S onset."""
    detection: NDArray[np.float32]
    """(n,) how far each sample belongs to an earthquake, 0 to 1."""

    def cut(self, first: int, length: int) -> Example:
        """Return `length` samples from `first`."""
        return Example(
            self.waveform[first : first + length],
            _moved(self.p, first, length),
            _moved(self.s, first, length),
            self.detection[first : first + length],
        )

    def stretched(self, factor: float, length: int) -> Example:
        """Return `length` samples, each `factor` of the original ones long (a rate change)."""
        n = len(self.waveform)
        at = np.minimum(np.arange(length) * factor, n - 1.001)
        before = at.astype(np.intp)
        part = (at - before).astype(np.float32)[:, None]
        waveform = self.waveform[before] * (1 - part) + self.waveform[before + 1] * part
        slower = np.array([1 / factor, 1], np.float32)
        p, s = (_moved(known * slower, 0, length) for known in (self.p, self.s))
        return Example(waveform, p, s, self.detection[before])

    def with_mirrored_lead(self, length: int, quiet: int) -> Example:
        """Return the example with `length` samples before it: its quiet beginning, mirrored.

        Args:
            length: Samples to add.
            quiet: How many samples from the first on have no onset; at least 2.
        """
        back = np.arange(1, length + 1) % (2 * quiet - 2)
        back = np.where(back < quiet, back, 2 * quiet - 2 - back)[::-1]
        shift = np.array([length, 0], np.float32)
        return Example(
            np.concatenate([self.waveform[back], self.waveform]),
            self.p + shift,
            self.s + shift,
            np.concatenate([np.zeros(length, np.float32), self.detection]),
        )

    def with_waveform(self, waveform: NDArray[np.float32]) -> Example:
        """Return the same labels on other samples."""
        return replace(self, waveform=waveform)


def noise_example(waveform: NDArray[np.float32]) -> Example:
    """Label a waveform as noise throughout."""
    return Example(waveform, NO_ONSETS, NO_ONSETS, np.zeros(len(waveform), np.float32))


def _moved(onsets: NDArray[np.float32], first: int, length: int) -> NDArray[np.float32]:
    inside = (onsets[:, 0] >= first) & (onsets[:, 0] < first + length)
    return (onsets[inside] - np.array([first, 0], np.float32)).astype(np.float32)
