"""Traces -> one unbroken stretch of counts, as a station would have delivered them.

Every trace is brought to the same level of noise, component by component; the stretches between
are noise of the neighbours' own colour, into which a coda dies away: no step, no sudden rise.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .stead import Trace

NOISE_COUNTS = 200.0
"""Root mean square of every component's noise on the timeline."""
MAX_COUNTS = 2**31 - 1
"""What the wire carries."""
FADE_SECONDS = 0.25
CODA_SECONDS = 5.0
"""Time constant with which the end of a trace sinks into the noise."""
LONGEST_NOISE_SECONDS = 10.0
SHORTEST_NOISE_SECONDS = 1.0

Counts = NDArray[np.int32]


@dataclass(frozen=True)
class Placement:
    """Where one trace lies on the timeline.

    Attributes:
        trace_name: STEAD's name.
        lead_sample: First sample of the noise that leads up to it.
        first_sample: Its own first sample.
        end_sample: First sample after it.
        is_noise: Whether it holds no earthquake.
        p_arrival_sample: P on the timeline, or None.
        s_arrival_sample: S on the timeline, or None.
        coda_end_sample: Last sample of the event on the timeline, or None.
    """

    trace_name: str
    lead_sample: int
    first_sample: int
    end_sample: int
    is_noise: bool
    p_arrival_sample: float | None
    s_arrival_sample: float | None
    coda_end_sample: float | None


class Timeline:
    """Lays traces one after another; iterate once over `stretches`, then ask where they went.

    Args:
        traces: At one rate, in order.
        rate_hz: That rate.
        spacing_seconds: Noise between two traces.
        lead_seconds: Noise before the first.
        tail_seconds: Noise after the last.
        seed: Of the noise.
    """

    def __init__(
        self,
        traces: Iterable[Trace],
        rate_hz: float,
        *,
        spacing_seconds: float,
        lead_seconds: float,
        tail_seconds: float = 15.0,
        seed: int = 0,
    ) -> None:
        self._traces = traces
        self._rate_hz = rate_hz
        self._spacing = round(spacing_seconds * rate_hz)
        self._lead = round(lead_seconds * rate_hz)
        self._tail = round(tail_seconds * rate_hz)
        self._rng = np.random.default_rng(seed)
        self.placements: list[Placement] = []

    def stretches(self) -> Iterator[Counts]:
        """Yield the counts, (n, 3) int32 at a time: a trace with the noise that leads up to it."""
        before: NDArray[np.float64] | None = None
        at = 0
        for trace in self._traces:
            level = _levelled(trace, self._rate_hz)
            length = self._lead if before is None else self._spacing
            fade = self._fade(trace)
            lead = self._between(before, level.noise, length + fade)
            ramp = np.sin(np.linspace(0, np.pi / 2, fade + 2)[1:-1])[:, None]
            level.waveform[:fade] = level.waveform[:fade] * ramp + lead[length:] * ramp[::-1]
            self.placements.append(_placed(trace, at, at + length))
            at += length + len(level.waveform)
            yield _digitized(np.concatenate([lead[:length], level.waveform]))
            before = level.waveform
        if before is not None:
            yield _digitized(self._between(before, before[-self._short() :], self._tail))

    def locate(self, sample: int) -> tuple[str, int] | None:
        """Return (trace_name, sample within it); the noise before a trace counts below zero."""
        index = bisect_right(self.placements, sample, key=lambda placed: placed.lead_sample) - 1
        if index < 0:
            return None
        placed = self.placements[index]
        return placed.trace_name, sample - placed.first_sample

    def _short(self) -> int:
        return round(SHORTEST_NOISE_SECONDS * self._rate_hz)

    def _fade(self, trace: Trace) -> int:
        """Samples over which the lead gives way to the trace, never into its P."""
        fade = round(FADE_SECONDS * self._rate_hz)
        if trace.p_arrival_sample is not None:
            fade = min(fade, max(0, int(trace.p_arrival_sample) - 10))
        return min(fade, len(trace.waveform))

    def _between(
        self, before: NDArray[np.float64] | None, after: NDArray[np.float64], length: int
    ) -> NDArray[np.float64]:
        """Noise that begins like the end of `before` and ends like the noise `after`."""
        coming = self._like(after, length)
        if before is None or length == 0:
            return coming
        tail = before[-min(len(before), 4 * self._short()) :]
        offset = tail[-self._short() :].mean(axis=0)
        going = self._like(tail, length)
        loudness = np.maximum((tail[-self._short() :] - offset).std(axis=0) / NOISE_COUNTS, 1.0)
        decay = np.exp(-np.arange(length) / (CODA_SECONDS * self._rate_hz))[:, None]
        turn = np.linspace(0, np.pi / 2, length)[:, None]
        dying = going * np.cos(turn) * (1 + (loudness - 1) * decay) + offset * decay
        return np.asarray(dying + coming * np.sin(turn))

    def _like(self, sample: NDArray[np.float64], length: int) -> NDArray[np.float64]:
        """Gaussian noise with the spectrum of `sample`, NOISE_COUNTS loud."""
        taper = np.hanning(len(sample) + 2)[1:-1, None]
        spectrum = np.abs(np.fft.rfft((sample - sample.mean(axis=0)) * taper, axis=0))
        own = np.linspace(0, 1, len(spectrum))
        wanted = np.linspace(0, 1, length // 2 + 1)
        noise = np.empty((length, 3))
        for column in range(3):
            amplitude = np.interp(wanted, own, spectrum[:, column])
            amplitude[0] = 0.0
            white = np.fft.rfft(self._rng.standard_normal(length)) if length else amplitude * 0
            shaped = np.fft.irfft(white * amplitude, length) if length else np.empty(0)
            deviation = shaped.std() if length else 1.0
            noise[:, column] = shaped * (NOISE_COUNTS / deviation if deviation > 0 else 0.0)
        return noise


@dataclass(frozen=True, eq=False)
class _Levelled:
    """A trace at the timeline's level, and the part of it that is noise."""

    waveform: NDArray[np.float64]
    noise: NDArray[np.float64]


def _levelled(trace: Trace, rate_hz: float) -> _Levelled:
    x = trace.waveform.astype(np.float64)
    quiet = _quiet_part(trace, x, rate_hz)
    x -= x[quiet].mean(axis=0)
    deviation = x[quiet].std(axis=0)
    # a component whose noise is exactly zero is scaled like the loudest
    loudest = deviation.max() if deviation.max() > 0 else max(float(np.abs(x).max()) / 100, 1e-30)
    x *= NOISE_COUNTS / np.where(deviation > 1e-6 * loudest, deviation, loudest)
    return _Levelled(x, x[quiet])


def _quiet_part(trace: Trace, x: NDArray[np.float64], rate_hz: float) -> slice:
    """The noise before P if that is long enough, or else the quietest second."""
    longest = round(LONGEST_NOISE_SECONDS * rate_hz)
    shortest = round(SHORTEST_NOISE_SECONDS * rate_hz)
    if trace.is_noise:
        return slice(0, len(x))
    if trace.p_arrival_sample is not None:
        end = int(trace.p_arrival_sample) - 20
        if end >= shortest:
            return slice(max(0, end - longest), end)
    starts = range(0, max(1, len(x) - shortest), shortest)
    quietest = min(starts, key=lambda at: float(x[at : at + shortest].std(axis=0).sum()))
    return slice(quietest, quietest + shortest)


def _placed(trace: Trace, lead_sample: int, first_sample: int) -> Placement:
    def on_timeline(sample: float | None) -> float | None:
        return None if sample is None else first_sample + sample

    return Placement(
        trace_name=trace.name,
        lead_sample=lead_sample,
        first_sample=first_sample,
        end_sample=first_sample + len(trace.waveform),
        is_noise=trace.is_noise,
        p_arrival_sample=on_timeline(trace.p_arrival_sample),
        s_arrival_sample=on_timeline(trace.s_arrival_sample),
        coda_end_sample=on_timeline(trace.coda_end_sample),
    )


def _digitized(x: NDArray[np.float64]) -> Counts:
    return np.clip(np.rint(x), -MAX_COUNTS, MAX_COUNTS).astype(np.int32)
