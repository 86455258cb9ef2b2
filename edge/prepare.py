"""Prepare a window of counts as in training: detrend, filter if the card has one, normalise.

The same function serves training, calibration, verification and the field.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..models.spec import BandPass, ModelSpec, Preparation

COMPONENTS = "ENZ"
"""Order of the columns everywhere on the device."""
FILTER_MARGIN_SECONDS = 5.0
"""Mirrored signal on either side of a window while it is filtered."""
ROUNDING = 1e-12
"""A constant channel keeps rounding noise of this size, relative to its mean: no motion."""


def prepare(samples: NDArray[np.floating | np.integer], spec: ModelSpec) -> NDArray[np.float32]:
    """Turn counts into the network's input.

    Args:
        samples: (n, 3) counts at the model's rate, E, N, Z, n <= window_samples. A shorter one is
            the end of a window whose beginning was never recorded: it is continued backwards by
            its mirror image, since from silence to noise would look like an arrival.
        spec: The model's contract.

    Returns:
        (window_samples, 3) in the model's component order, zero mean over what was recorded. A
        component without motion is all zero.
    """
    steps = spec.preparation
    x = np.asarray(samples, dtype=np.float64)
    # a product: five times quicker than mean(axis=0)
    mean: NDArray[np.float64] = np.ones(len(x)) @ x / len(x)
    x = x - mean
    if steps.detrend == "linear":
        x = _without_trend(x)
    if steps.filter is not None:
        x = _band_pass(x, steps.filter, spec.sampling_rate_hz)
    prepared = (x / _scale(x, steps, mean)).astype(np.float32)
    if len(x) < spec.window_samples:
        prepared = np.pad(prepared, ((spec.window_samples - len(x), 0), (0, 0)), mode="reflect")
    if spec.component_order != COMPONENTS:
        prepared = prepared[:, [COMPONENTS.index(c) for c in spec.component_order]]
    return prepared


def _scale(
    x: NDArray[np.float64], steps: Preparation, mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Divisor of each component; infinite where nothing moves, so that the quotient is zero."""
    if steps.norm == "std":
        scale = np.sqrt(np.einsum("ij,ij->j", x, x) / len(x))
    else:
        scale = np.abs(x).max(axis=0)
    return np.where(scale > ROUNDING * np.abs(mean), scale, np.inf)


def _without_trend(x: NDArray[np.float64]) -> NDArray[np.float64]:
    ramp = np.arange(len(x)) - (len(x) - 1) / 2
    slope = ramp @ x / max(float(ramp @ ramp), 1.0)
    return np.asarray(x - ramp[:, None] * slope)


def _band_pass(x: NDArray[np.float64], band: BandPass, rate_hz: float) -> NDArray[np.float64]:
    """Filter in the frequency domain, where a Butterworth run both ways is a real gain."""
    margin = min(int(FILTER_MARGIN_SECONDS * rate_hz), len(x) - 1)
    mirrored = np.pad(x, ((margin, margin), (0, 0)), mode="reflect", reflect_type="odd")
    gain = _gain(band, rate_hz, len(mirrored))
    filtered = np.fft.irfft(np.fft.rfft(mirrored, axis=0) * gain[:, None], len(mirrored), axis=0)
    return filtered[margin : margin + len(x)]


@lru_cache(maxsize=8)
def _gain(band: BandPass, rate_hz: float, length: int) -> NDArray[np.float64]:
    """|H|^2 of the digital Butterworth band-pass (bilinear transform), at the FFT's frequencies."""

    def warped(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.tan(np.pi * np.asarray(hz, dtype=np.float64) / rate_hz)

    low, high = warped(band.freqmin), warped(band.freqmax)
    frequency = np.fft.rfftfreq(length, 1 / rate_hz)
    with np.errstate(divide="ignore", invalid="ignore"):
        w = warped(np.minimum(frequency, rate_hz / 2 * (1 - 1e-9)))
        detuning = (w * w - low * high) / (w * (high - low))
        gain = 1.0 / (1.0 + detuning ** (2 * band.corners))
    gain[0] = 0.0
    return np.asarray(gain)
