"""Compute station noise: microseism, coloured noise, machines, footsteps, vehicles."""

import numpy as np
from numpy.typing import NDArray


def station_noise(
    rng: np.random.Generator, n_samples: int, rate_hz: float, transients: bool
) -> NDArray[np.float64]:
    """Return (n_samples, 3) E, N, Z noise of unit root mean square over the record.

    Args:
        rng: Source of all random numbers.
        n_samples: Length of the record.
        rate_hz: Samples a second.
        transients: Whether footsteps, vehicles, spikes, steps and tones may occur.
    """
    waveform = _coloured(rng, n_samples, rate_hz)
    if transients:
        seconds = np.arange(n_samples) / rate_hz
        for make, probability in (
            (_tone, 0.3),
            (_footsteps, 0.15),
            (_vehicle, 0.2),
            (_spike, 0.15),
            (_step, 0.05),
            (_swell, 0.1),
        ):
            if rng.random() < probability:
                waveform += make(rng, seconds, rate_hz)
    return np.asarray(waveform / np.sqrt((waveform**2).mean()))


def _coloured(rng: np.random.Generator, n_samples: int, rate_hz: float) -> NDArray[np.float64]:
    """Return stationary noise of unit power on each component, with random level and humps."""
    frequency = np.fft.rfftfreq(n_samples, 1 / rate_hz)
    safe = np.maximum(frequency, 0.03)
    slope = rng.uniform(0.0, 1.2)
    amplitude = 1 / safe**slope
    microseism = 10 ** rng.uniform(-1.0, 1.5)
    peak_hz = rng.uniform(0.12, 0.35)
    amplitude += microseism * np.exp(-0.5 * (np.log(safe / peak_hz) / 0.35) ** 2)
    for _ in range(int(rng.integers(0, 3))):
        # Cultural noise and site resonance: broad humps between 1 and 30 Hz.
        hump_hz = np.exp(rng.uniform(0.0, np.log(30.0)))
        width = rng.uniform(0.1, 0.6)
        amplitude += 10 ** rng.uniform(-1.0, 0.7) * np.exp(
            -0.5 * (np.log(safe / hump_hz) / width) ** 2
        )
    amplitude += 10 ** rng.uniform(-1.5, 0.0)
    amplitude[0] = 0.0
    if rng.random() < 0.5:
        # A digitiser's anti-alias filter, or an operator's low-pass.
        amplitude = amplitude / (1 + (frequency / rng.uniform(15.0, 45.0)) ** 8)
    if rng.random() < 0.5:
        amplitude = amplitude / (1 + (rng.uniform(0.5, 5.0) / safe) ** 4)
    shape = (len(frequency), 3)
    spectrum = amplitude[:, None] * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    waveform = np.fft.irfft(spectrum, n_samples, axis=0)
    waveform /= np.sqrt((waveform**2).mean(0)) + 1e-12
    return np.asarray(waveform * np.exp(rng.normal(0.0, 0.3, 3)))


def _lean(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the amplitudes of a local disturbance on E, N, Z."""
    return np.asarray(rng.standard_normal(3))


def _tone(
    rng: np.random.Generator, seconds: NDArray[np.float64], rate_hz: float
) -> NDArray[np.float64]:
    """Return the hum of a machine, which in half of the cases switches on or off."""
    hum = np.zeros_like(seconds)
    for harmonic in range(1, int(rng.integers(2, 4))):
        hum += np.sin(2 * np.pi * harmonic * rng.uniform(1.0, 20.0) * seconds) / harmonic
    hum *= 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.02, 0.5) * seconds + rng.uniform(0, 6))
    if rng.random() < 0.5:
        on = seconds > rng.uniform(0, seconds[-1])
        hum *= on if rng.random() < 0.5 else ~on
    return np.asarray(10 ** rng.uniform(-0.5, 0.7) * hum[:, None] * _lean(rng))


def _footsteps(
    rng: np.random.Generator, seconds: NDArray[np.float64], rate_hz: float
) -> NDArray[np.float64]:
    """Return footsteps of a passer-by: damped thuds, one or two a second."""
    gait_s, passes_s = rng.uniform(0.4, 0.8), rng.uniform(3.0, 12.0)
    nearest_s = rng.uniform(0, seconds[-1])
    walk = np.zeros_like(seconds)
    for step_s in np.arange(nearest_s - 2 * passes_s, nearest_s + 2 * passes_s, gait_s):
        since = seconds - step_s - rng.normal(0, 0.03)
        thud = np.where(
            since >= 0,
            np.exp(-np.maximum(since, 0) / rng.uniform(0.03, 0.12))
            * np.sin(2 * np.pi * rng.uniform(8.0, 30.0) * since),
            0.0,
        )
        walk += np.exp(-0.5 * ((step_s - nearest_s) / passes_s) ** 2) * thud
    return np.asarray(rng.uniform(2.0, 15.0) * walk[:, None] * _lean(rng))


def _vehicle(
    rng: np.random.Generator, seconds: NDArray[np.float64], rate_hz: float
) -> NDArray[np.float64]:
    """Return a car or a train: band-limited noise that rises and fades over seconds."""
    frequency = np.fft.rfftfreq(len(seconds), 1 / rate_hz)
    band = np.exp(-0.5 * ((frequency - rng.uniform(4.0, 25.0)) / rng.uniform(1.0, 6.0)) ** 2)
    shape = (len(frequency), 3)
    spectrum = band[:, None] * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    rumble = np.fft.irfft(spectrum, len(seconds), axis=0)
    rumble /= np.sqrt((rumble**2).mean()) + 1e-12
    rises_s, fades_s = rng.uniform(1.0, 10.0, 2)
    since = seconds - rng.uniform(0, seconds[-1])
    envelope = np.exp(-0.5 * (since / np.where(since < 0, rises_s, fades_s)) ** 2)
    return np.asarray(rng.uniform(1.0, 8.0) * envelope[:, None] * rumble)


def _spike(
    rng: np.random.Generator, seconds: NDArray[np.float64], rate_hz: float
) -> NDArray[np.float64]:
    """Return telemetry glitches: a few samples far off."""
    waveform = np.zeros((len(seconds), 3))
    for _ in range(int(rng.integers(1, 4))):
        start, length = int(rng.integers(0, len(seconds))), int(rng.integers(1, 12))
        waveform[start : start + length] += rng.uniform(3.0, 40.0) * _lean(rng)
    return waveform


def _step(
    rng: np.random.Generator, seconds: NDArray[np.float64], rate_hz: float
) -> NDArray[np.float64]:
    """Return the step of a moved sensor: an offset that stays, or decays as after a high-pass."""
    since = seconds - rng.uniform(0, seconds[-1])
    creep_s = 10 ** rng.uniform(0.0, 3.0)
    offset = np.where(since >= 0, np.exp(-np.maximum(since, 0) / creep_s), 0.0)
    return np.asarray(rng.uniform(1.0, 15.0) * offset[:, None] * _lean(rng))


def _swell(
    rng: np.random.Generator, seconds: NDArray[np.float64], rate_hz: float
) -> NDArray[np.float64]:
    """Return long waves of a distant earthquake: below 1.5 Hz, rising over seconds."""
    frequency = np.fft.rfftfreq(len(seconds), 1 / rate_hz)
    centre_hz = np.exp(rng.uniform(np.log(0.05), np.log(1.0)))
    band = np.exp(-0.5 * (np.log(np.maximum(frequency, 0.01) / centre_hz) / 0.4) ** 2)
    shape = (len(frequency), 3)
    spectrum = band[:, None] * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    train = np.fft.irfft(spectrum, len(seconds), axis=0)
    train /= np.sqrt((train**2).mean()) + 1e-12
    since = seconds - rng.uniform(-20.0, seconds[-1])
    envelope = np.where(since < 0, np.exp(since / 2.0), np.exp(-since / rng.uniform(10.0, 60.0)))
    return np.asarray(rng.uniform(1.0, 10.0) * envelope[:, None] * train)
