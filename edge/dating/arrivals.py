"""Date samples by their arrival at the host: a line through the least delayed ones."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from ...firmware_bridge.packets import TimeReply
from ..types import NANOSECONDS, ClockState

BUCKET_SECONDS = 10.0
"""Length of a bucket; of each, only the least delayed arrival is kept."""
BUCKETS = 60
"""Buckets that are kept: ten minutes, over which a sensor's crystal hardly changes."""
STEP_NS = 50_000_000
"""The host's clock against its monotonic one: a change above this is a step, not a slew."""
JUMP_NS = 1_000_000_000
"""An arrival further off the line than this does not belong to it."""
STALL_NS = 10_000_000_000
"""Blocks that stay late for this long are not late: the sensor's counter stood still."""
CLOSED_AT_LEAST = 4
"""Closed buckets before a rate is fitted: over less time, jitter would look like drift."""
RATE_OFF = 0.1
"""No converter is further off its nominal rate; a replay at another speed is."""
_TIME_ERROR = 5
"""What adjtimex returns while the kernel's clock is not synchronised."""


@dataclass(frozen=True)
class Arrival:
    """When bytes were read: both of the host's clocks, nanoseconds."""

    monotonic_ns: int
    utc_ns: int


@dataclass(frozen=True)
class Ticked:
    """A sample and the sensor's tick (32 bits, wrapping) at which it was taken."""

    sample: int
    tick: int


class Clock(Protocol):
    """Dates samples."""

    def observe(self, next_sample: int, arrival: Arrival, ticked: Ticked | None = None) -> None:
        """Learn that all samples before `next_sample` had been taken by `arrival`."""

    def answer(self, reply: TimeReply, arrival: Arrival) -> bool:
        """Learn the sensor's tick at a time request; return False for an impossible reply."""

    def time_ns(self, sample: int) -> int:
        """UTC of a sample."""

    @property
    def rate_factor(self) -> float:
        """The true rate as a multiple of the nominal one, 1 until it is known."""

    @property
    def state(self) -> ClockState:
        """How good that is."""


class HostClock:
    """Fits sample numbers to the host's monotonic clock and that to UTC.

    A block can come late but never early, so the arrivals delayed least lie on the line that the
    samples were taken on: of every ten seconds the earliest is kept, and a straight line through
    ten minutes of these gives rate and time. Late outliers are left out of it. Steps of UTC do not
    disturb the fit; a sensor's counter that jumps makes it begin anew.

    Args:
        rate_hz: Nominal sampling rate.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = NANOSECONDS / rate_hz
        self._bucket_samples = max(1, round(BUCKET_SECONDS * rate_hz))
        self._buckets: deque[_Arrived] = deque(maxlen=BUCKETS)
        self._bucket = 0
        self._newest = 0
        self._late_since_ns: int | None = None
        self._origin_ns = 0
        self._utc_less_monotonic_ns = 0
        self._delay_ns = 0.0
        self._line = _Line(0.0, 0.0, 0.0)

    @property
    def utc_less_monotonic_ns(self) -> int:
        """What turns the host's monotonic time into UTC, steps followed and slews smoothed."""
        return self._utc_less_monotonic_ns

    def answer(self, reply: TimeReply, arrival: Arrival) -> bool:
        """Ignore ticks."""
        return True

    def observe(self, next_sample: int, arrival: Arrival, ticked: Ticked | None = None) -> None:
        """Learn from one block's arrival; a block older than one already seen is ignored."""
        self._follow_utc(arrival)
        if self._buckets and next_sample <= self._newest:
            return
        self._newest = next_sample
        if self._buckets and self._is_outlier(next_sample, arrival):
            return
        if not self._buckets:
            self._origin_ns = arrival.monotonic_ns - round(next_sample * self._period_ns)
        late = self._lateness(next_sample, arrival)
        bucket = next_sample // self._bucket_samples
        if not self._buckets or bucket != self._bucket:
            self._bucket = bucket
            self._buckets.append((next_sample, late))
            self._line = self._fit()
        elif late < self._buckets[-1][1]:
            self._buckets[-1] = (next_sample, late)
            self._line = self._fit()
        self._delay_ns = late - self._line.at(next_sample)

    def time_ns(self, sample: int) -> int:
        """UTC of a sample."""
        monotonic = self._origin_ns + sample * self._period_ns + self._line.at(sample)
        return round(monotonic) + self._utc_less_monotonic_ns

    @property
    def rate_factor(self) -> float:
        """By the line's slope; nominal where no sensor could be so fast or slow."""
        period_ns = self._period_ns + self._line.slope
        plausible = abs(period_ns / self._period_ns - 1) <= RATE_OFF
        return self._period_ns / period_ns if plausible else 1.0

    @property
    def state(self) -> ClockState:
        """The fit's residual as error; synchronised if the kernel reports it."""
        return ClockState(
            source="host",
            synced=host_synchronised(),
            offset_s=self._delay_ns / NANOSECONDS,
            error_s=self._line.residual / NANOSECONDS,
        )

    def _follow_utc(self, arrival: Arrival) -> None:
        difference = arrival.utc_ns - arrival.monotonic_ns
        if not self._buckets or abs(difference - self._utc_less_monotonic_ns) > STEP_NS:
            self._utc_less_monotonic_ns = difference
        else:
            self._utc_less_monotonic_ns += (difference - self._utc_less_monotonic_ns) // 16

    def _lateness(self, sample: int, arrival: Arrival) -> float:
        """Arrival less the time of the sample at the nominal rate, on the monotonic clock."""
        return arrival.monotonic_ns - self._origin_ns - sample * self._period_ns

    def _is_outlier(self, next_sample: int, arrival: Arrival) -> bool:
        """Whether an arrival is too late to be learnt from; forgets all if the counter jumped.

        Early beyond doubt means that the counter skipped ahead. Late is a stalled line, whose
        blocks then come in a burst; only if the lateness stays has the counter stood still.
        """
        off = self._lateness(next_sample, arrival) - self._line.at(next_sample)
        if off <= JUMP_NS and off >= -JUMP_NS:
            self._late_since_ns = None
            return False
        if off > JUMP_NS:
            if self._late_since_ns is None:
                self._late_since_ns = arrival.monotonic_ns
            if arrival.monotonic_ns - self._late_since_ns < STALL_NS:
                self._delay_ns = off
                return True
        self._buckets.clear()
        self._line = _Line(0.0, 0.0, 0.0)
        self._late_since_ns = None
        return False

    def _fit(self) -> _Line:
        """Line through the buckets; the one still open counts only where it is early enough."""
        points = list(self._buckets)
        if len(points) > CLOSED_AT_LEAST:
            sample, late = points[-1]
            if late > self._line.at(sample):
                points.pop()
        return _fit(points)


_Arrived = tuple[int, float]
"""(number of the next sample, lateness in nanoseconds) of one arrival."""


@dataclass(frozen=True)
class _Line:
    """Lateness over sample number, nanoseconds, and how far its own points lie from it."""

    intercept: float
    slope: float
    residual: float

    def at(self, sample: int) -> float:
        return self.intercept + self.slope * sample


def _fit(points: list[_Arrived]) -> _Line:
    """Least squares without late outliers; flat, at the earliest, while there are few points."""
    if len(points) < CLOSED_AT_LEAST:
        earliest = min(late for _, late in points)
        return _Line(earliest, 0.0, max(late for _, late in points) - earliest)
    line = _least_squares(points)
    for _ in range(2):
        spread = sum(abs(late - line.at(at)) for at, late in points) / len(points)
        kept = [(at, late) for at, late in points if late - line.at(at) <= 2 * spread]
        if len(kept) < CLOSED_AT_LEAST or len(kept) == len(points):
            break
        points = kept
        line = _least_squares(points)
    return line


def _least_squares(points: list[_Arrived]) -> _Line:
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    intercept = mean_y - slope * mean_x
    return _Line(intercept, slope, max(abs(y - intercept - slope * x) for x, y in points))


def host_synchronised() -> bool:
    """Whether the kernel holds its clock to be synchronised; False where it has no such call."""
    adjtimex = _adjtimex()
    if adjtimex is None:
        return False
    # all zero means "only read"; struct timex is 208 bytes on 64-bit Linux
    state = int(adjtimex(ctypes.create_string_buffer(512)))
    return 0 <= state < _TIME_ERROR


@cache
def _adjtimex() -> Callable[[object], int] | None:
    """Look the kernel's call up once: each look-up makes a library object of its own."""
    try:
        return ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
