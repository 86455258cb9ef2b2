"""Clocks of recordings: the timeline's own time, and a host's clock at another speed."""

from __future__ import annotations

from datetime import UTC, datetime

from ...firmware_bridge.packets import TimeReply
from ..types import NANOSECONDS, ClockState
from ..utc import utc_moment
from .arrivals import Arrival, HostClock, Ticked


class SimClock:
    """The timeline's own time: sample 0 was taken at `start_ns`."""

    def __init__(self, start_ns: int, rate_hz: float) -> None:
        self._start_ns = start_ns
        self._rate_hz = rate_hz
        self.rate_factor = 1.0
        self.state = ClockState(source="sim", synced=True)

    def observe(self, next_sample: int, arrival: Arrival, ticked: Ticked | None = None) -> None:
        """Ignore it: a recording has its own time."""

    def answer(self, reply: TimeReply, arrival: Arrival) -> bool:
        """Ignore it: the player's tick is not the recording's."""
        return True

    def time_ns(self, sample: int) -> int:
        """UTC of a sample."""
        return self._start_ns + round(sample * NANOSECONDS / self._rate_hz)


class ReplayClock:
    """A host's clock for a recording that is played faster than real time: time runs faster too.

    Args:
        rate_hz: Nominal sampling rate.
        speed: Multiple of real time.
    """

    def __init__(self, rate_hz: float, speed: float) -> None:
        self._clock = HostClock(rate_hz)
        self._speed = speed

    def answer(self, reply: TimeReply, arrival: Arrival) -> bool:
        """Ignore it: the player's tick is not the recording's."""
        return True

    def observe(self, next_sample: int, arrival: Arrival, ticked: Ticked | None = None) -> None:
        """Learn from an arrival as if it had been in the recording's own time."""
        monotonic_ns = round(arrival.monotonic_ns * self._speed)
        self._clock.observe(
            next_sample, Arrival(monotonic_ns, replayed_ns(arrival.utc_ns, self._speed))
        )

    def time_ns(self, sample: int) -> int:
        """UTC of a sample in the recording's own time."""
        return self._clock.time_ns(sample)

    @property
    def rate_factor(self) -> float:
        """As the host's."""
        return self._clock.rate_factor

    @property
    def state(self) -> ClockState:
        """As the host's."""
        return self._clock.state


def replayed_ns(utc_ns: int, speed: float) -> int:
    """Return the time in a replay that began with this month and runs at another speed."""
    now = utc_moment(utc_ns)
    month = datetime(now.year, now.month, 1, tzinfo=UTC)
    month_ns = round(month.timestamp()) * NANOSECONDS
    return month_ns + round((utc_ns - month_ns) * speed)
