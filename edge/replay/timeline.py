"""Join traces to one continuous stretch of counts, as of one station.

Every trace is scaled to the same level of noise, component by component. Between traces there is
noise with the spectra of the neighbours, in which a coda decays without a step.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ..components import RATIO
from .labels import Labelled
from .stead import Trace

NOISE_COUNTS = 200.0
"""Root mean square of the noise above LEVEL_FROM_HZ, on every component and everywhere."""
LEVEL_FROM_HZ = 1.0
"""Below it, noise depends on the sea and the instrument; picks depend on what is above."""
MAX_COUNTS = 2**31 - 1
"""Limit of the wire."""
JOIN_SECONDS = 4.0
"""Over this time the mirrored end of a trace blends into the noise between traces."""
SWELL_SECONDS = 0.25
"""Half the width of the running mean that separates the swell from higher frequencies."""
CODA_SECONDS = 5.0
"""Time constant with which the end of a trace decays into the noise."""
LONGEST_NOISE_SECONDS = 10.0
SHORTEST_NOISE_SECONDS = 1.0
BEFORE_P_SECONDS = 0.2
"""This last part of the noise before a labelled P is not used."""

Counts = NDArray[np.int32]


@dataclass(frozen=True)
class Placement(Labelled):
    """Where one trace lies on the timeline; its labels are samples of the timeline.

    Attributes:
        trace_name: STEAD's name.
        lead_sample: First sample of the noise that leads up to it.
        first_sample: Its own first sample.
        end_sample: First sample after it.
    """

    trace_name: str
    lead_sample: int
    first_sample: int
    end_sample: int


class Timeline:
    """Places traces one after another; `placements` fills while `stretches` is iterated, once.

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
        before: _Levelled | None = None
        at = 0
        for trace in self._traces:
            level = _levelled(trace, self._rate_hz)
            lead = self._between(before, level, self._lead if before is None else self._spacing)
            self.placements.append(_placed(trace, at, at + len(lead)))
            at += len(lead) + len(level.waveform)
            yield _digitized(np.concatenate([lead, level.waveform]))
            before = level
        if before is not None:
            yield _digitized(self._between(before, None, self._tail))

    def locate(self, sample: int) -> tuple[str, int] | None:
        """Return (trace_name, sample within it); the noise before a trace counts below zero."""
        index = bisect_right(self.placements, sample, key=lambda placed: placed.lead_sample) - 1
        if index < 0:
            return None
        placed = self.placements[index]
        return placed.trace_name, sample - placed.first_sample

    def _between(
        self, before: _Levelled | None, after: _Levelled | None, length: int
    ) -> NDArray[np.float64]:
        """Return noise that continues the end of `before` and blends into the start of `after`.

        Next to a trace it is the trace itself, mirrored at its end: value and slope continue, the
        swell of the sea included. Further off it is noise with the same spectrum.
        """
        turn = np.linspace(0, np.pi / 2, length)[:, None]
        noise = np.zeros((length, 3))
        if before is not None:
            tail = before.waveform[-round(4 * SHORTEST_NOISE_SECONDS * self._rate_hz) :]
            going = self._like(tail, length, self._rms(tail))
            noise += going * (np.cos(turn) if after is not None else 1.0)
        if after is not None:
            coming = self._like(after.noise, length, self._rms(after.noise))
            noise += coming * (np.sin(turn) if before is not None else 1.0)
        if before is not None:
            loudness = np.maximum(self._rms(tail) / NOISE_COUNTS, 1.0)
            decay = np.exp(-np.arange(length) / (CODA_SECONDS * self._rate_hz))[:, None]
            noise *= (1 + (loudness - 1) * decay) / (1 + (loudness - 1) * np.cos(turn))
            noise = self._run_into(noise[::-1], before.waveform[::-1])[::-1]
        if after is not None:
            quiet = after.waveform[: max(after.quiet_from_start, 2)]
            noise = self._run_into(noise, quiet)
        return noise

    def _run_into(
        self, noise: NDArray[np.float64], signal: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Blend the end of `noise` into `signal` mirrored at its beginning.

        The swell is mirrored in time and value, which continues its slope; higher frequencies are
        mirrored in time only, so that the step at the join is one between neighbours in the signal.
        """
        length = min(round(JOIN_SECONDS * self._rate_hz), len(signal) - 1, len(noise))
        if length <= 0:
            return noise
        swell = _running_mean(signal, round(SWELL_SECONDS * self._rate_hz), length + 1)
        mirrored = 2 * swell[0] - 2 * swell[length:0:-1] + signal[length:0:-1]
        turn = np.linspace(0, np.pi / 2, length + 2)[1:-1, None]
        joined = noise.copy()
        joined[-length:] = noise[-length:] * np.cos(turn) + mirrored * np.sin(turn)
        return joined

    def _rms(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return _rms_above(x, LEVEL_FROM_HZ / self._rate_hz)

    def _like(
        self, sample: NDArray[np.float64], length: int, rms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return Gaussian noise: spectrum of `sample`, level `rms` above LEVEL_FROM_HZ."""
        if length < 2:
            return np.zeros((length, 3))
        taper = np.hanning(len(sample) + 2)[1:-1, None]
        spectrum = np.abs(np.fft.rfft((sample - sample.mean(axis=0)) * taper, axis=0))
        own, wanted = np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, length // 2 + 1)
        amplitude = np.column_stack([np.interp(wanted, own, column) for column in spectrum.T])
        amplitude[0] = 0.0
        white = np.fft.rfft(self._rng.standard_normal((length, 3)), axis=0)
        shaped = np.fft.irfft(white * amplitude, length, axis=0)
        level = _rms_above(shaped, LEVEL_FROM_HZ / self._rate_hz)
        return np.asarray(shaped * np.where(level > 0, rms / np.where(level > 0, level, 1.0), 0.0))


@dataclass(frozen=True, eq=False)
class _Levelled:
    """A trace at the timeline's level.

    Attributes:
        waveform: (n, 3) counts.
        noise: The part of it that is noise.
        quiet_from_start: Samples at its beginning in which no event is known.
    """

    waveform: NDArray[np.float64]
    noise: NDArray[np.float64]
    quiet_from_start: int


def _levelled(trace: Trace, rate_hz: float) -> _Levelled:
    x = trace.waveform.astype(np.float64)
    quiet = _quiet_part(trace, x, rate_hz)
    x -= x[quiet].mean(axis=0)
    level = _rms_above(x[quiet], LEVEL_FROM_HZ / rate_hz)
    # a component that is dead, or far from the others, is scaled like them: so it remains as it is
    loudest = level.max() if level.max() > 0 else max(float(np.abs(x).max()) / 100, 1e-30)
    middle = float(np.median(level))
    usual = middle if middle > 1e-6 * loudest else loudest
    is_usual = (level > usual / RATIO) & (level < usual * RATIO)
    x *= NOISE_COUNTS / np.where(is_usual, level, usual)
    end = len(x)
    if not trace.is_noise:
        end = _noise_before_p(trace, rate_hz) if trace.p_arrival_sample is not None else 2
    return _Levelled(x, x[quiet], end)


def _noise_before_p(trace: Trace, rate_hz: float) -> int:
    """Return the number of samples of noise before a labelled P."""
    return max(0, int(trace.p_arrival_sample or 0) - round(BEFORE_P_SECONDS * rate_hz))


def _quiet_part(trace: Trace, x: NDArray[np.float64], rate_hz: float) -> slice:
    """Return the noise before P if that is long enough, or else the quietest second."""
    longest = round(LONGEST_NOISE_SECONDS * rate_hz)
    shortest = round(SHORTEST_NOISE_SECONDS * rate_hz)
    if trace.is_noise:
        return slice(0, len(x))
    if trace.p_arrival_sample is not None:
        end = _noise_before_p(trace, rate_hz)
        if end >= shortest:
            return slice(max(0, end - longest), end)
    starts = range(0, max(1, len(x) - shortest), shortest)
    quietest = min(starts, key=lambda at: float(x[at : at + shortest].std(axis=0).sum()))
    return slice(quietest, quietest + shortest)


def _rms_above(x: NDArray[np.float64], cycles_per_sample: float) -> NDArray[np.float64]:
    """Root mean square of each column above a frequency, by Parseval's theorem."""
    spectrum = np.abs(np.fft.rfft((x - x.mean(axis=0)), axis=0)) ** 2
    high = np.fft.rfftfreq(len(x)) >= cycles_per_sample
    return np.asarray(np.sqrt(2 * spectrum[high].sum(axis=0)) / len(x))


def _running_mean(x: NDArray[np.float64], reach: int, length: int) -> NDArray[np.float64]:
    """Mean of up to `reach` neighbours on either side, of the first `length` rows."""
    sums = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x[: length + reach], axis=0)])
    at = np.arange(length)
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(sums) - 1)
    return np.asarray((sums[high] - sums[low]) / (high - low)[:, None])


def _placed(trace: Trace, lead_sample: int, first_sample: int) -> Placement:
    return Placement(
        trace_name=trace.name,
        lead_sample=lead_sample,
        first_sample=first_sample,
        end_sample=first_sample + len(trace.waveform),
        **asdict(trace.moved(first_sample)),
    )


def _digitized(x: NDArray[np.float64]) -> Counts:
    return np.clip(np.rint(x), -MAX_COUNTS, MAX_COUNTS).astype(np.int32)
