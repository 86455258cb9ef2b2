"""Merge nearest-neighbour upsampling and a convolution into one at the low rate; numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class LowRateKernel:
    """A kernel whose channels hold the phases of a higher rate.

    Attributes:
        kernel: (taps, channels in, channels out).
        padding: Zeros before and after, at the low rate.
    """

    kernel: Array
    padding: tuple[int, int]


def upsampling_kernel(kernel: Array, factor: int) -> LowRateKernel:
    """Equivalent of repeating each sample `factor` times and convolving (`same`, odd kernel).

    Args:
        kernel: (taps, in, out), taps odd.
        factor: Of the upsampling.

    Returns:
        Kernel (low-rate taps, in, factor * out); output channel p * out + o is phase p.
    """
    taps, channels, filters = kernel.shape
    first, last = _reach(taps, factor)
    low = np.zeros((last - first + 1, channels, factor * filters), dtype=np.float32)
    for phase in range(factor):
        for tap in range(taps):
            step = (phase + tap - taps // 2) // factor
            low[step - first, :, phase * filters : (phase + 1) * filters] += kernel[tap]
    return LowRateKernel(low, (-first, last))


def phase_kernel(kernel: Array, factor: int) -> LowRateKernel:
    """Equivalent of a `same` convolution whose input and output are both kept as phases.

    A few input channels leave most of a vector unit idle; phases of them fill it.

    Args:
        kernel: (taps, in, out), taps odd.
        factor: Number of phases.

    Returns:
        Kernel (low-rate taps, factor * in, factor * out).
    """
    taps, channels, filters = kernel.shape
    first, last = _reach(taps, factor)
    low = np.zeros((last - first + 1, factor * channels, factor * filters), dtype=np.float32)
    for phase in range(factor):
        for tap in range(taps):
            step, source = divmod(phase + tap - taps // 2, factor)
            rows = slice(source * channels, (source + 1) * channels)
            low[step - first, rows, phase * filters : (phase + 1) * filters] += kernel[tap]
    return LowRateKernel(low, (-first, last))


def multi_output_kernel(kernel: Array, count: int) -> Array:
    """Equivalent of a `same` convolution (odd kernel) that gives `count` outputs in each stride.

    A few output channels leave most of a vector unit idle; many of them fill it.

    Args:
        kernel: (taps, in, out), taps odd.
        count: Of neighbouring outputs; divides the steps.

    Returns:
        (taps + count - 1, in, count * out), to be applied every `count` steps with taps // 2 zeros
        at either end; output channel p * out + o is step p.
    """
    taps, channels, filters = kernel.shape
    wide = np.zeros((taps + count - 1, channels, count * filters), dtype=np.float32)
    for output in range(count):
        wide[output : output + taps, :, output * filters : (output + 1) * filters] = kernel
    return wide


def _reach(taps: int, factor: int) -> tuple[int, int]:
    """First and last low-rate step that any phase's taps touch, relative to its own."""
    half = taps // 2
    return -half // factor, (factor - 1 + half) // factor
