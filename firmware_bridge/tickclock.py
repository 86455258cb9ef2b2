"""Convert device ticks to the host's monotonic time by replies to time requests."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from .counters import Unwrapper, unwrap
from .packets import TimeReply

_LEAST_SPAN_SECONDS = 4.0
"""Over a shorter time the variation of round trips would look like drift."""
WANDER = 100e-6 / 3600
"""How fast temperature may change a crystal's rate: 100 ppm an hour."""
_ROUNDING_TICKS = 2
"""Each of a reply's two ticks is a whole number."""


@dataclass(frozen=True, slots=True)
class _Trip:
    """One request and its reply: `tick` was at `host_seconds`, give or take half `line_seconds`."""

    line_seconds: float
    host_seconds: float
    tick: float


@dataclass(frozen=True, slots=True)
class _Line:
    """Host time over ticks, at the latest reply, with bounds on the errors of time and rate."""

    host_seconds: float
    tick: float
    ticks_per_second: float
    error_seconds: float
    rate_error: float


class TickClock:
    """Fits a line to the ticks of one boot on the host's clock; a new boot needs a new object.

    Each round trip bounds the host's time of a tick from both sides. The bounds are widened by
    what the crystal may have wandered since, so that slow or old replies count little. The rate is
    a regression; the offset is the middle of what all bounds allow at the latest reply; the error
    is the furthest line that they allow. Where no line fits, as after a slew of the host's clock,
    the oldest replies are dropped.

    Args:
        tick_hz: Nominal tick rate, from Hello; used alone until four seconds are spanned.
        trips: How many of the latest replies to keep; ten minutes of one in ten seconds by default.
        furthest: Share by which the true rate may be off the nominal one; no oscillator is further
            off than by default, but a device may state another rate than it has.
    """

    def __init__(self, tick_hz: float, trips: int = 60, furthest: float = 0.1) -> None:
        self._tick_hz = tick_hz
        self._furthest = furthest
        self._trips: deque[_Trip] = deque(maxlen=trips)
        self._unwrap = Unwrapper(32)
        self._line: _Line | None = None

    def note(self, reply: TimeReply, requested_seconds: float, received_seconds: float) -> bool:
        """Take a reply and the monotonic times of its request and of its arrival.

        Returns:
            Whether the reply is possible. By its ticks a device cannot have held it for longer than
            the round trip lasted, nor sent it before the request came; one that states this would
            date samples up to half a turn of the tick wrong, and is left out.
        """
        held = (reply.tick_sent - reply.tick_received) & 0xFFFF_FFFF
        longest_ticks = (received_seconds - requested_seconds) * self._tick_hz
        if held > longest_ticks * (1 + self._furthest) + _ROUNDING_TICKS:
            return False
        middle = (requested_seconds + received_seconds) / 2
        if self._trips:  # after an outage of more than half a turn the elapsed time gives the turn
            last = self._trips[-1]
            expected = last.tick + (middle - last.host_seconds) * self.ticks_per_second
            received = self._unwrap(reply.tick_received, round(expected))
        else:
            received = self._unwrap(reply.tick_received)
        line_seconds = max(received_seconds - requested_seconds - held / self.ticks_per_second, 0.0)
        self._trips.append(_Trip(line_seconds, middle, received + held / 2))
        self._line = self._fit()
        return True

    def host_seconds(self, tick: int) -> float | None:
        """Return the monotonic time of a (wrapped) tick near the latest; None without a reply."""
        line = self._line
        if line is None:
            return None
        near = unwrap(tick, round(self._trips[-1].tick), 32)
        return line.host_seconds + (near - line.tick) / line.ticks_per_second

    def error_seconds(self, tick: int) -> float | None:
        """Return the error bound of `host_seconds`, from round trips and wander."""
        line = self._line
        if line is None:
            return None
        since = abs(unwrap(tick, round(self._trips[-1].tick), 32) - line.tick) / self._tick_hz
        drift = line.rate_error * since + WANDER * since**2 / 2
        return line.error_seconds + drift + 1 / self._tick_hz

    @property
    def ticks_per_second(self) -> float:
        """The tick's rate by the host's clock, or the nominal one until it is measured."""
        return self._line.ticks_per_second if self._line else self._tick_hz

    @property
    def span_seconds(self) -> float:
        """Time between the oldest and the latest reply kept."""
        if not self._trips:
            return 0.0
        return self._trips[-1].host_seconds - self._trips[0].host_seconds

    @property
    def quickest_seconds(self) -> float | None:
        """Time on the line of the quickest round trip kept."""
        return min((trip.line_seconds for trip in self._trips), default=None)

    @property
    def latest_seconds(self) -> float | None:
        """Time on the line of the latest round trip."""
        return self._trips[-1].line_seconds if self._trips else None

    @property
    def drift_ppm(self) -> float | None:
        """How much too fast the device's crystal runs; None until replies span four seconds."""
        if self.span_seconds < _LEAST_SPAN_SECONDS:
            return None
        return (self.ticks_per_second / self._tick_hz - 1.0) * 1e6

    @property
    def drift_error_ppm(self) -> float | None:
        """Error bound of `drift_ppm`."""
        line = self._line
        if line is None or self.span_seconds < _LEAST_SPAN_SECONDS:
            return None
        return line.rate_error * 1e6

    def _fit(self) -> _Line:
        while (line := _through(list(self._trips), self._tick_hz, self._furthest)) is None:
            self._trips.popleft()
        return line


def _through(trips: list[_Trip], tick_hz: float, furthest: float) -> _Line | None:
    """Return the line through all trips, or None if none goes through; one trip always has one."""
    newest = trips[-1]
    since = np.array([trip.tick - newest.tick for trip in trips]) / tick_hz
    late = np.array([trip.host_seconds - newest.host_seconds for trip in trips]) - since
    half = np.array([trip.line_seconds / 2 + 1 / tick_hz for trip in trips])
    half += WANDER * since**2 / 2
    if len(trips) == 1:
        return _Line(newest.host_seconds, newest.tick, tick_hz, float(half[0]), furthest)
    lower, upper = late - half, late + half
    older, newer = np.triu_indices(len(trips), 1)
    step = since[newer] - since[older]
    if step.min() <= 0.0:
        return None
    least, most = (lower[newer] - upper[older]) / step, (upper[newer] - lower[older]) / step
    least_slope = max(float(least.max()), -furthest / (1 + furthest))
    most_slope = min(float(most.min()), furthest)
    if least_slope > most_slope:
        return None
    slope = 0.0
    if len(trips) >= 3 and since[-1] - since[0] >= _LEAST_SPAN_SECONDS:
        slope = float(np.polyfit(since, late, 1, w=1 / half)[0])
    slope = min(max(slope, least_slope), most_slope)
    offset = float((lower - slope * since).max() + (upper - slope * since).min()) / 2
    # The lines furthest off here touch one trip's upper end and an older one's lower, or reverse.
    highest = float((upper[newer] - since[newer] * most).min())
    lowest = float((lower[newer] - since[newer] * least).max())
    return _Line(
        host_seconds=newest.host_seconds + offset,
        tick=newest.tick,
        ticks_per_second=tick_hz / (1 + slope),
        error_seconds=max(highest - offset, offset - lowest),
        rate_error=max(most_slope - slope, slope - least_slope),
    )
