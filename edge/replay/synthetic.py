"""Local earthquakes and station noise computed from formulas: for demo, tests and training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .labels import Labelled
from .synthetic_noise import station_noise

P_VELOCITY_KM_S = 6.0
VP_OVER_VS = 1.73
NOISE_LEVEL = 100.0
"""Root mean square of the noise in a record, in counts."""
_WAVELET_SAMPLES = 2048


@dataclass(frozen=True)
class SyntheticRecord(Labelled):
    """One record with labels at whole samples; its S can lie past its end."""

    waveform: NDArray[np.float32]
    """(n_samples, 3) counts, components E, N, Z."""
    rate_hz: float
    """Samples a second."""
    snr_db: float | None = None
    """Peak of the event over the noise's root mean square, the strongest component."""
    magnitude: float | None = None
    """Moment magnitude that set the corner frequency."""
    distance_km: float | None = None
    """Hypocentral distance that set S minus P, attenuation and coda."""
    back_azimuth_deg: float | None = None
    """Direction the wave came from, clockwise from north."""


def noise(
    rng: np.random.Generator,
    *,
    n_samples: int = 6000,
    rate_hz: float = 100.0,
    transients: bool = True,
) -> SyntheticRecord:
    """A record without an earthquake.

    Args:
        rng: Where every draw comes from.
        n_samples: Length of the record.
        rate_hz: Samples a second.
        transients: Whether footsteps, vehicles, spikes and tones may occur.
    """
    waveform = NOISE_LEVEL * station_noise(rng, n_samples, rate_hz, transients)
    return SyntheticRecord(waveform.astype(np.float32), rate_hz, kind="noise")


def earthquake(
    rng: np.random.Generator,
    *,
    n_samples: int = 6000,
    rate_hz: float = 100.0,
    p_arrival_sample: int | None = None,
    distance_km: float | None = None,
    magnitude: float | None = None,
    snr_db: float | None = None,
    transients: bool = False,
) -> SyntheticRecord:
    """A local earthquake in station noise; whatever is not given is drawn.

    Args:
        rng: Where every draw comes from.
        n_samples: Length of the record.
        rate_hz: Samples a second.
        p_arrival_sample: First sample of P; drawn between 5 s and half of the record.
        distance_km: Hypocentral distance; drawn log-uniformly between 4 and 150 km.
        magnitude: Moment magnitude; drawn between 0.5 and 4.5.
        snr_db: Peak over noise; drawn between 18 and 60 dB.
        transients: Whether the noise may hold footsteps, vehicles, spikes and tones.
    """
    if distance_km is None:
        distance_km = float(np.exp(rng.uniform(np.log(4.0), np.log(150.0))))
    if magnitude is None:
        magnitude = float(rng.uniform(0.5, 4.5))
    if snr_db is None:
        snr_db = float(rng.uniform(18.0, 60.0))
    if p_arrival_sample is None:
        earliest = min(int(5 * rate_hz), n_samples // 4)
        p_arrival_sample = int(rng.integers(earliest, max(earliest + 1, n_samples // 2)))
    p_speed = P_VELOCITY_KM_S * rng.uniform(0.92, 1.08)
    s_speed = p_speed / (VP_OVER_VS * rng.uniform(0.97, 1.04))
    separation_s = distance_km / s_speed - distance_km / p_speed
    s_arrival_sample = p_arrival_sample + max(1, round(separation_s * rate_hz))
    back_azimuth_deg = float(rng.uniform(0.0, 360.0))

    corner_hz = _corner_frequency_hz(magnitude, 3e6 * 10 ** rng.normal(0.0, 0.4), s_speed)
    quality = rng.uniform(80.0, 400.0)
    kappa_s = rng.uniform(0.005, 0.04)
    p_star = distance_km / p_speed / (2.25 * quality) + kappa_s / 2
    s_star = distance_km / s_speed / quality + kappa_s
    wave = _phase(rng, n_samples, p_arrival_sample, rate_hz, corner_hz * 1.3, p_star, distance_km)
    event = _polarise_p(rng, wave, back_azimuth_deg)
    wave = _phase(rng, n_samples, s_arrival_sample, rate_hz, corner_hz, s_star, distance_km)
    s_over_p = 10 ** rng.normal(0.45, 0.25)
    event += s_over_p * _polarise_s(rng, wave, back_azimuth_deg)

    background = station_noise(rng, n_samples, rate_hz, transients)
    # Scaled by the whole event even where the record ends before S: a node sees P first and small.
    peak = np.abs(event).max()
    amplitude = 10 ** (snr_db / 20) * np.sqrt((background**2).mean(0).max())
    event *= amplitude / peak
    waveform = (NOISE_LEVEL * (event + background)).astype(np.float32)
    return SyntheticRecord(
        waveform,
        rate_hz,
        snr_db,
        magnitude,
        distance_km,
        back_azimuth_deg,
        p_arrival_sample=p_arrival_sample,
        s_arrival_sample=s_arrival_sample,
        coda_end_sample=_coda_end(event, background, p_arrival_sample, s_arrival_sample, rate_hz),
        manual=True,
    )


def _corner_frequency_hz(magnitude: float, stress_drop_pa: float, s_speed_km_s: float) -> float:
    """Brune's corner frequency of a moment magnitude."""
    moment_nm = 10 ** (1.5 * magnitude + 9.1)
    return float(0.37 * 1e3 * s_speed_km_s * (16 / 7 * stress_drop_pa / moment_nm) ** (1 / 3))


def _wavelet(rate_hz: float, corner_hz: float, t_star_s: float) -> NDArray[np.float64]:
    """Ground velocity of one ray: Brune's spectrum, attenuated, as a minimum-phase pulse."""
    frequency = np.fft.rfftfreq(_WAVELET_SAMPLES, 1 / rate_hz)
    spectrum = frequency / (1 + (frequency / corner_hz) ** 2)
    spectrum *= np.exp(-np.pi * frequency * t_star_s)
    spectrum = np.maximum(spectrum / spectrum.max(), 1e-4)
    # Folding the cepstrum's negative times onto the positive leaves nothing before the onset.
    cepstrum = np.fft.irfft(np.log(spectrum), _WAVELET_SAMPLES)
    half = _WAVELET_SAMPLES // 2
    cepstrum[1:half] *= 2
    cepstrum[half + 1 :] = 0
    pulse = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), _WAVELET_SAMPLES)
    return np.asarray(pulse / np.abs(pulse).max())


def _phase(
    rng: np.random.Generator,
    n_samples: int,
    arrival_sample: int,
    rate_hz: float,
    corner_hz: float,
    t_star_s: float,
    distance_km: float,
) -> NDArray[np.float64]:
    """Direct ray and scattered rays of one phase: (n_samples, 3), radial, transverse, longitudinal.

    The scattered rays decay as a power law times an exponential (Aki's coda); farther events have
    longer and stronger coda. The columns share the direct ray and differ in the scattered ones.
    """
    rays = np.zeros((n_samples, 3))
    n_after = n_samples - arrival_sample
    if n_after <= 0:
        # Nothing arrives inside the record: an event cut before S.
        return rays
    since_s = np.arange(n_after) / rate_hz
    rise_s = 0.1 + distance_km / 100 * rng.uniform(0.2, 1.5)
    decay_s = rng.uniform(2.0, 8.0) + distance_km * rng.uniform(0.03, 0.12)
    envelope = (1 + since_s / rise_s) ** -rng.uniform(0.7, 1.4) * np.exp(-since_s / decay_s)
    # Scattered rays come one by one: most samples hold none, a few hold a strong one.
    density = min(1.0, rng.uniform(10.0, 60.0) / rate_hz)
    scattered = rng.standard_normal((n_after, 3)) * (rng.random((n_after, 1)) < density)
    scattered[0] = 0.0
    scattering = rng.uniform(0.4, 1.2)
    rays[arrival_sample:] = scattering * envelope[:, None] * scattered
    rays[arrival_sample, :] += rng.uniform(0.5, 1.2)
    size = 1 << (n_samples + _WAVELET_SAMPLES - 1).bit_length()
    response = np.fft.rfft(_wavelet(rate_hz, corner_hz, t_star_s), size)[:, None]
    return np.fft.irfft(np.fft.rfft(rays, size, axis=0) * response, size, axis=0)[:n_samples]


def _polarise_p(
    rng: np.random.Generator, wave: NDArray[np.float64], back_azimuth_deg: float
) -> NDArray[np.float64]:
    """P on E, N, Z: along the ray, its coda partly off it."""
    incidence, azimuth = np.radians(rng.uniform(5.0, 45.0)), np.radians(back_azimuth_deg)
    off_ray = rng.uniform(0.1, 0.4)
    radial = np.sin(incidence) * wave[:, 2] + off_ray * (wave[:, 0] - wave[:, 2])
    transverse = off_ray * (wave[:, 1] - wave[:, 2])
    vertical = np.cos(incidence) * wave[:, 2] * rng.choice((-1.0, 1.0))
    return _turn(radial, transverse, vertical, azimuth)


def _polarise_s(
    rng: np.random.Generator, wave: NDArray[np.float64], back_azimuth_deg: float
) -> NDArray[np.float64]:
    """S on E, N, Z: mostly horizontal, split between radial and transverse by the source."""
    split = rng.uniform(0.0, 2 * np.pi)
    vertical = rng.uniform(0.15, 0.5) * wave[:, 2]
    radial, transverse = np.cos(split) * wave[:, 0], np.sin(split) * wave[:, 1]
    return _turn(radial, transverse, vertical, np.radians(back_azimuth_deg))


def _turn(
    radial: NDArray[np.float64],
    transverse: NDArray[np.float64],
    vertical: NDArray[np.float64],
    azimuth_rad: float,
) -> NDArray[np.float64]:
    """Radial, transverse, vertical as columns E, N, Z."""
    sine, cosine = np.sin(azimuth_rad), np.cos(azimuth_rad)
    east, north = sine * radial + cosine * transverse, cosine * radial - sine * transverse
    return np.stack([east, north, vertical], axis=1)


def _coda_end(
    event: NDArray[np.float64],
    background: NDArray[np.float64],
    p_sample: int,
    s_sample: int,
    rate_hz: float,
) -> int:
    """Last second in which the event is stronger than the noise, as a sample."""
    second = max(1, int(rate_hz))
    power = np.convolve((event**2).sum(1), np.ones(second) / second, "same")
    above = np.flatnonzero(power > (background**2).sum(1).mean())
    last = len(event) - 1
    earliest = min(last, s_sample + second if s_sample < last else p_sample + second)
    return int(max(earliest, above[-1] if above.size else 0))
