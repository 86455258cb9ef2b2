"""Augment windows at random: what may happen between the ground and the network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...models.spec import RATE_HZ
from ..data.example import Example
from .options import AugmentOptions

Samples = NDArray[np.float32]


def corrupt(example: Example, rng: np.random.Generator, options: AugmentOptions) -> Example:
    """Put a window through a drawn sensor, digitiser and line; labels stay where they are."""
    x = example.waveform - example.waveform.mean(0)
    for change, probability in (
        (respond, options.sensor_r),
        (rotate, options.rotate_r),
        (glitch, options.glitch_r),
        (step, options.gain_step_r),
        (clip, options.clip_r),
        (quantise, options.scale_amplitude_r),
        (gap, options.add_gap_r),
        (drop_channel, options.drop_channel_r),
    ):
        if rng.random() < probability:
            x = change(x, rng)
    return example.with_waveform((x * rng.choice((-1.0, 1.0))).astype(np.float32))


def add_noise(example: Example, noise: Samples, rng: np.random.Generator) -> Example:
    """Add noise so that one of the example's P stands 0 to 34 dB above it.

    Onsets that sink into the noise lose their height.
    """
    if not len(example.p):
        return example
    at = int(example.p[rng.integers(len(example.p)), 0])
    ratio = float(np.exp(rng.uniform(0.0, np.log(50.0))))
    level = _rms(noise - noise.mean(0))
    if level == 0:
        return example
    noise = (noise - noise.mean(0)) * (_strength(example.waveform, at) / level / ratio)
    return Example(
        example.waveform + noise,
        sunk(example.p, example.waveform, noise),
        sunk(example.s, example.waveform, noise),
        example.detection * min(1.0, ratio / 2),
    )


def add_event(example: Example, other: Example, rng: np.random.Generator) -> Example:
    """Add another event at 0.2 to 5 times the first one's size; the weaker's onsets may sink."""
    peaks = np.abs(example.waveform).max(), np.abs(other.waveform).max()
    if min(peaks) == 0:
        return example
    scale = np.float32(np.exp(rng.uniform(-1.6, 1.6)) * peaks[0] / peaks[1])
    theirs = other.waveform * scale
    return Example(
        example.waveform + theirs,
        np.concatenate(
            [sunk(example.p, example.waveform, theirs), sunk(other.p, theirs, example.waveform)]
        ),
        np.concatenate(
            [sunk(example.s, example.waveform, theirs), sunk(other.s, theirs, example.waveform)]
        ),
        np.maximum(example.detection, other.detection),
    )


def sunk(onsets: Samples, signal: Samples, other: Samples) -> Samples:
    """Heights of onsets under other motion: full from 1.6 times its size, none at 0.6."""
    kept = onsets.copy()
    for onset in kept:
        at = int(onset[0])
        around = other[max(0, at - 100) : at + 60]
        onset[1] *= np.clip(_strength(signal, at) / (_rms(around) + 1e-12) - 0.6, 0.0, 1.0)
    return kept[kept[:, 1] > 0.05]


def seen(waveform: Samples, at: int) -> float:
    """Height an onset deserves by how it stands out of what precedes it: 0 below 2 dB, 1 from 8."""
    before = waveform[max(0, at - 200) : at]
    level = _rms(before - before.mean(0)) if len(before) > 10 else 0.0
    after = waveform[at : at + 100]
    over = _rms(after - (before.mean(0) if len(before) else 0.0)) / (level + 1e-12)
    return float(np.clip((over - 1.25) / 1.25, 0.0, 1.0))


def respond(x: Samples, rng: np.random.Generator) -> Samples:
    """Record with another instrument: geophone, MEMS accelerometer, or a narrower band."""
    size = 8192
    frequency = np.fft.rfftfreq(size, 1 / RATE_HZ)
    which = rng.random()
    response: NDArray[np.complexfloating]
    floor = 0.0
    if which < 0.3:
        response = _geophone(frequency, rng.uniform(3.5, 5.5), rng.uniform(0.5, 0.8))
    elif which < 0.55:
        # Acceleration: differentiated, levelled off by the sensor's anti-alias filter.
        response = 2j * np.pi * frequency / (1 + 1j * frequency / 40.0) ** 2
        floor = float(np.exp(rng.uniform(np.log(0.003), np.log(0.15))))
    elif which < 0.8:
        corner_hz = np.exp(rng.uniform(np.log(0.3), np.log(4.0)))
        response = (1j * frequency / (corner_hz + 1j * frequency)) ** int(rng.integers(1, 5))
    else:
        response = 1 / (1 + 1j * frequency / rng.uniform(10.0, 40.0)) ** int(rng.integers(2, 7))
        if rng.random() < 0.5:
            response = response * _geophone(frequency, rng.uniform(0.5, 3.0), 0.7)
    # The filter swings in on a mirrored beginning; zeros behind keep the end from wrapping round.
    lead = min(1000, len(x) - 1)
    led = np.concatenate([2 * x[0] - x[lead:0:-1], x])
    spectrum = np.fft.rfft(led, size, axis=0) * response[:, None]
    felt = np.fft.irfft(spectrum, size, axis=0)[lead : len(led)]
    if floor:
        felt = felt + rng.standard_normal(felt.shape) * floor * np.abs(felt).max()
    return felt.astype(np.float32)


def rotate(x: Samples, rng: np.random.Generator) -> Samples:
    """Turn the horizontals by any angle, or swap them."""
    if rng.random() < 0.2:
        return x[:, [1, 0, 2]]
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    east, north = cosine * x[:, 0] - sine * x[:, 1], sine * x[:, 0] + cosine * x[:, 1]
    return np.stack([east, north, x[:, 2]], axis=1)


def glitch(x: Samples, rng: np.random.Generator) -> Samples:
    """Throw up to 20 samples far off, as a bad contact or a lost bit does."""
    x = x.copy()
    late = rng.random() < 0.5
    at = int(rng.integers(len(x) - 300, len(x)) if late else rng.integers(0, len(x)))
    offset = rng.standard_normal(3) * x.std(0) * np.exp(rng.uniform(0.7, 3.7))
    x[at : at + int(rng.integers(1, 20))] += offset.astype(np.float32)
    return x


def step(x: Samples, rng: np.random.Generator) -> Samples:
    """Change gain or level from some sample on."""
    x = x.copy()
    at = int(rng.integers(0, len(x)))
    if rng.random() < 0.3:
        x[at:] *= np.float32(np.exp(rng.uniform(-1.5, 1.5)))
    else:
        x[at:] += (rng.standard_normal(3) * x.std(0) * rng.uniform(0.5, 5.0)).astype(np.float32)
    return x


def clip(x: Samples, rng: np.random.Generator) -> Samples:
    """Cut what exceeds a part of the peak."""
    limit = np.float32(np.abs(x).max() * rng.uniform(0.15, 0.8))
    return np.clip(x, -limit, limit)


def quantise(x: Samples, rng: np.random.Generator) -> Samples:
    """Round to the steps of a coarse digitiser."""
    size = x.std() * np.float32(np.exp(rng.uniform(np.log(0.1), np.log(1.5))))
    return np.asarray(np.round(x / size) * size) if size > 0 else x


def gap(x: Samples, rng: np.random.Generator) -> Samples:
    """Leave out up to 4 s, as zeros or at the last value; one in four is the window's beginning."""
    x = x.copy()
    if rng.random() < 0.25:
        x[: int(rng.integers(0, len(x) // 2))] = 0
        return x
    at, length = int(rng.integers(1, len(x))), int(rng.integers(5, 400))
    x[at : at + length] = x[at - 1] if rng.random() < 0.5 else 0
    return x


def drop_channel(x: Samples, rng: np.random.Generator) -> Samples:
    """Silence one component, or both horizontals."""
    x = x.copy()
    x[:, [0, 1] if rng.random() < 0.3 else int(rng.integers(3))] = 0
    return x


def _geophone(
    frequency: NDArray[np.floating], natural_hz: float, damping: float
) -> NDArray[np.complexfloating]:
    turns = frequency / natural_hz
    return np.asarray(-(turns**2) / (1 - turns**2 + 2j * damping * turns))


def _strength(x: Samples, at: int) -> float:
    """Root mean square of the second from an onset, above the level just before it."""
    after = x[at : at + 100]
    before = x[max(0, at - 100) : at]
    level = _rms(before - before.mean(0)) if len(before) > 10 else 0.0
    reference = before.mean(0) if len(before) else 0.0
    return float(np.sqrt(max(_rms(after - reference) ** 2 - level**2, 1e-12)))


def _rms(x: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(x)))) if x.size else 0.0
