"""A convolution behind nearest-neighbour upsampling as one at the low rate; numpy only."""

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


def behind_upsampling(kernel: Array, factor: int) -> LowRateKernel:
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


def between_phases(kernel: Array, factor: int) -> LowRateKernel:
    """Equivalent of a `same` convolution whose input and output are both kept as phases.

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


def edge_matrix(kernel: Array, factor: int, crop: int) -> Array:
    """Map from the first low-rate samples to those outputs that cropping alters.

    Upsampling, cropping `crop` samples at the beginning and convolving differs from the low-rate
    form only where a tap would touch a cropped sample: the first taps // 2 outputs.

    Returns:
        (samples * in, taps // 2 * out). For the other end, give the kernel reversed in time and
        reverse the result's samples and outputs: see `mirrored`.
    """
    taps, channels, filters = kernel.shape
    outputs = taps // 2
    samples = (outputs - 1 + taps // 2 + crop) // factor + 1
    matrix = np.zeros((samples, channels, outputs, filters), dtype=np.float32)
    for output in range(outputs):
        for tap in range(taps):
            position = output + tap - taps // 2
            if position >= 0:
                matrix[(position + crop) // factor, :, output] += kernel[tap]
    return matrix.reshape(samples * channels, outputs * filters)


def mirrored(matrix: Array, channels: int, filters: int) -> Array:
    """Turn `edge_matrix` of a kernel reversed in time into that of the other end."""
    samples, outputs = matrix.shape[0] // channels, matrix.shape[1] // filters
    blocks = matrix.reshape(samples, channels, outputs, filters)[::-1, :, ::-1]
    return np.ascontiguousarray(blocks.reshape(matrix.shape))


def _reach(taps: int, factor: int) -> tuple[int, int]:
    """First and last low-rate step that any phase's taps touch, relative to its own."""
    half = taps // 2
    return -half // factor, (factor - 1 + half) // factor
