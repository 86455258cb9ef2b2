"""Sample numbers -> UTC: the record's own time in simulation, the host's clock in the field."""

from __future__ import annotations

import ctypes
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from .records import NANOSECONDS, ClockState

BUCKET_SECONDS = 10.0
"""Of each bucket only the arrival that was delayed least is kept."""
BUCKETS = 60
"""Kept buckets: ten minutes, over which a sensor's crystal hardly changes."""
STEP_NS = 50_000_000
"""The host's clock against its monotonic one: a change above this is a step, not a slew."""
_TIME_ERROR = 5
"""What adjtimex returns while the kernel's clock is not synchronised."""


@dataclass(frozen=True)
class Arrival:
    """When bytes were read: both of the host's clocks, nanoseconds."""

    monotonic_ns: int
    utc_ns: int


class Clock(Protocol):
    """Dates samples."""

    def observe(self, next_sample: int, arrival: Arrival) -> None:
        """Learn that all samples before `next_sample` had been taken by `arrival`."""

    def time_ns(self, sample: int) -> int:
        """UTC of a sample."""

    @property
    def state(self) -> ClockState:
        """How good that is."""


class SimClock:
    """The timeline's own time: sample 0 was taken at `start_ns`."""

    def __init__(self, start_ns: int, rate_hz: float) -> None:
        self._start_ns = start_ns
        self._rate_hz = rate_hz
        self.state = ClockState(source="sim", synced=True)

    def observe(self, next_sample: int, arrival: Arrival) -> None:
        """Arrival says nothing of a recording."""

    def time_ns(self, sample: int) -> int:
        """UTC of a sample."""
        return self._start_ns + round(sample * NANOSECONDS / self._rate_hz)


class HostClock:
    """Fits sample numbers to the host's monotonic clock and that to UTC.

    A block can come late but never early, so the arrivals delayed least lie on the line that the
    samples were taken on: of every ten seconds the earliest is kept, and a straight line through
    ten minutes of these gives rate and time. Steps of UTC do not disturb the fit.

    Args:
        rate_hz: Nominal sampling rate.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = NANOSECONDS / rate_hz
        self._bucket_samples = max(1, round(BUCKET_SECONDS * rate_hz))
        self._buckets: deque[tuple[int, float]] = deque(maxlen=BUCKETS)
        self._bucket = -1
        self._origin_ns = 0
        self._utc_less_monotonic_ns = 0
        self._delay_ns = 0.0
        self._line = (0.0, 0.0)

    def observe(self, next_sample: int, arrival: Arrival) -> None:
        """Learn from one block's arrival."""
        difference = arrival.utc_ns - arrival.monotonic_ns
        if not self._buckets or abs(difference - self._utc_less_monotonic_ns) > STEP_NS:
            self._utc_less_monotonic_ns = difference
        else:
            self._utc_less_monotonic_ns += (difference - self._utc_less_monotonic_ns) // 16
        if not self._buckets:
            self._origin_ns = arrival.monotonic_ns - round(next_sample * self._period_ns)
        late = arrival.monotonic_ns - self._origin_ns - next_sample * self._period_ns
        bucket = next_sample // self._bucket_samples
        if bucket != self._bucket:
            self._bucket = bucket
            self._buckets.append((next_sample, late))
            self._line = _fit(list(self._buckets))
        elif late < self._buckets[-1][1]:
            self._buckets[-1] = (next_sample, late)
            self._line = _fit(list(self._buckets))
        self._delay_ns = late - self._late(next_sample)

    def time_ns(self, sample: int) -> int:
        """UTC of a sample."""
        monotonic = self._origin_ns + sample * self._period_ns + self._late(sample)
        return round(monotonic) + self._utc_less_monotonic_ns

    @property
    def state(self) -> ClockState:
        """The fit's residual as error; synchronised if the kernel says so."""
        residuals = [abs(late - self._late(at)) for at, late in self._buckets]
        error = max(residuals, default=0.0) / NANOSECONDS
        return ClockState("host", host_synchronised(), self._delay_ns / NANOSECONDS, error)

    def _late(self, sample: int) -> float:
        intercept, slope = self._line
        return intercept + slope * sample


def _fit(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Least squares (intercept, slope); flat until three points have come."""
    n = len(points)
    if n < 3:
        return min(late for _, late in points), 0.0
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return mean_y - slope * mean_x, slope


def host_synchronised() -> bool:
    """Whether the kernel holds its clock to be synchronised; False where it cannot be asked."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return False
    # all zero means "only tell"; struct timex is 208 bytes on 64-bit Linux
    state = int(adjtimex(ctypes.create_string_buffer(512)))
    return 0 <= state < _TIME_ERROR
