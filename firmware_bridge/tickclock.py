"""Answers to time requests become a line that turns device ticks into the host's monotonic time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from .counters import Unwrapper, unwrap
from .packets import TimeReply

_LEAST_SPAN_SECONDS = 4.0  # over less, the round trips would pass for drift


@dataclass(frozen=True, slots=True)
class _Trip:
    """One request and its answer; in the middle of the line's share tick and host agree."""

    line_seconds: float
    host_seconds: float
    tick: float


@dataclass(frozen=True, slots=True)
class _Line:
    host_seconds: float
    tick: float
    ticks_per_second: float


class TickClock:
    """Regresses one boot's ticks on the host's clock; make a new one when the boot changes.

    Only round trips near the quickest are believed: a late answer says little about when the tick
    was read. Each of them says between which two moments it was; the line goes through the middle
    of what all of them leave possible. Half of the quickest round trip bounds the offset's error.

    Args:
        tick_hz: nominal tick rate, from Hello; used alone until four seconds are spanned.
        trips: how many of the latest answers to keep; ten minutes of one a second by default.
    """

    def __init__(self, tick_hz: float, trips: int = 600) -> None:
        """Knows nothing before the first ``note``."""
        self._tick_hz = tick_hz
        self._trips: deque[_Trip] = deque(maxlen=trips)
        self._unwrap = Unwrapper(32)
        self._line: _Line | None = None

    def note(self, reply: TimeReply, asked_seconds: float, heard_seconds: float) -> None:
        """Learns from an answer: monotonic time at which it was asked for, and heard."""
        middle = (asked_seconds + heard_seconds) / 2
        if self._trips:  # after an outage of more than half a turn the elapsed time tells the turn
            last = self._trips[-1]
            expected = last.tick + (middle - last.host_seconds) * self.ticks_per_second
            received = self._unwrap(reply.tick_received, round(expected))
        else:
            received = self._unwrap(reply.tick_received)
        held = (reply.tick_sent - reply.tick_received) & 0xFFFF_FFFF
        line_seconds = max(heard_seconds - asked_seconds - held / self._tick_hz, 0.0)
        self._trips.append(_Trip(line_seconds, middle, received + held / 2))
        self._line = self._fit()

    def host_seconds(self, tick: int) -> float | None:
        """Monotonic time of a (wrapped) tick within half a turn of the latest; None: unknown."""
        line = self._line
        if line is None:
            return None
        near = unwrap(tick, round(self._trips[-1].tick), 32)
        return line.host_seconds + (near - line.tick) / line.ticks_per_second

    @property
    def ticks_per_second(self) -> float:
        """The tick's true rate by the host's clock, or the nominal one before it can be told."""
        return self._line.ticks_per_second if self._line else self._tick_hz

    @property
    def span_seconds(self) -> float:
        """Time between the oldest and the latest answer kept."""
        if not self._trips:
            return 0.0
        return self._trips[-1].host_seconds - self._trips[0].host_seconds

    @property
    def quickest_seconds(self) -> float | None:
        """The line's share of the quickest round trip kept."""
        return min((trip.line_seconds for trip in self._trips), default=None)

    @property
    def drift_ppm(self) -> float | None:
        """How much too fast the device's crystal runs; None before four seconds are spanned."""
        if self.span_seconds < _LEAST_SPAN_SECONDS:
            return None
        return (self.ticks_per_second / self._tick_hz - 1.0) * 1e6

    @property
    def drift_error_ppm(self) -> float | None:
        """What the round trips leave uncertain of it."""
        quickest = self.quickest_seconds
        if quickest is None or self.span_seconds < _LEAST_SPAN_SECONDS:
            return None
        return (quickest + 1e-4) / self.span_seconds * 1e6

    def _fit(self) -> _Line:
        best = min(self._trips, key=lambda trip: trip.line_seconds)
        good = [t for t in self._trips if t.line_seconds <= 2.0 * best.line_seconds + 0.001]
        hosts = np.array([t.host_seconds - best.host_seconds for t in good])
        ticks = np.array([t.tick - best.tick for t in good])
        half = np.array([t.line_seconds for t in good]) / 2
        rate = self._tick_hz
        if len(good) >= 3 and hosts[-1] - hosts[0] >= _LEAST_SPAN_SECONDS:
            rate = float(np.polyfit(hosts, ticks, 1)[0])
        late = hosts - ticks / rate  # when each trip says that the best one's tick was
        earliest, latest = float((late - half).max()), float((late + half).min())
        if earliest > latest:  # the crystal wanders by more than the line leaves open
            earliest = latest = 0.0
        return _Line(best.host_seconds + (earliest + latest) / 2, best.tick, rate)
