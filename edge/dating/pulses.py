"""Date ticks by a receiver's pulses, one each UTC second.

A pulse marks when a second begins, to a microsecond, but not which second it is: the host's own UTC
must decide that, once, to less than half a second. From then on the ticks between two pulses count
the seconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ...firmware_bridge.counters import unwrap
from ...firmware_bridge.tickclock import WANDER
from ..types import NANOSECONDS

STALE_SECONDS = 60.0
"""A pulse this old dates no better than the round trips do."""
FORGET_SECONDS = 600.0
"""Without pulses for longer, seconds cannot be counted by ticks: a 32-bit tick may have wrapped."""
KEPT = 16
"""Pulses, one for each answer of the sensor: two and a half minutes."""
EDGE_SECONDS = 20e-6
"""How well a microcontroller catches an edge."""
CRYSTAL = 200e-6
"""Relative error of a crystal's rate before pulses have measured it."""
LEAST_SPAN = 10
"""Seconds between two pulses from which on they measure the rate."""
SURE_SECONDS = 0.4
"""A host's UTC that puts a pulse further from a whole second cannot decide which second it is."""
STRIKES = 3
"""After this many pulses in a row that do not fit, the earlier ones are taken as wrong."""


@dataclass(frozen=True)
class _Pulse:
    tick: int
    second: int


class PulseClock:
    """Keeps the latest pulses of one boot.

    Args:
        tick_hz: Nominal rate of the ticks.
    """

    def __init__(self, tick_hz: float) -> None:
        self._tick_hz = tick_hz
        self._pulses: deque[_Pulse] = deque(maxlen=KEPT)
        self._count = 0
        self._noted_ns = 0
        self._strikes = 0

    def note(self, count: int, tick: int, host_utc_ns: int | None, now_ns: int) -> None:
        """Learn from an answer of the sensor.

        Args:
            count: Pulses since boot, 16 bits; 0 for none. The same as before means no new pulse.
            tick: Of the latest pulse, 32 bits.
            host_utc_ns: What UTC the host takes that tick for; None if it does not know UTC.
            now_ns: Monotonic.
        """
        if count in (0, self._count):
            return
        self._count = count
        forget = min(FORGET_SECONDS, 2**30 / self._tick_hz)
        if now_ns - self._noted_ns > forget * NANOSECONDS or self._strikes >= STRIKES:
            self._pulses.clear()
        pulse = self._counted(tick) if self._pulses else _named(tick, host_utc_ns)
        if pulse is None or _contradicts(pulse, host_utc_ns):
            self._strikes += 1
            return
        self._strikes = 0
        self._noted_ns = now_ns
        self._pulses.append(pulse)

    def fresh(self, now_ns: int) -> bool:
        """Whether a pulse came lately, a whole number of seconds after another."""
        age_ns = now_ns - self._noted_ns
        return len(self._pulses) > 1 and age_ns < STALE_SECONDS * NANOSECONDS

    def time_ns(self, tick: int) -> int:
        """UTC of a (wrapped) tick near the latest pulse."""
        latest = self._pulses[-1]
        ticks = unwrap(tick, latest.tick, 32) - latest.tick
        return latest.second * NANOSECONDS + round(ticks / self.ticks_per_second * NANOSECONDS)

    def error_seconds(self, now_ns: int) -> float:
        """How far a time may be off now."""
        age_seconds = (now_ns - self._noted_ns) / NANOSECONDS
        return EDGE_SECONDS + 1 / self._tick_hz + self._rate_error(age_seconds) * age_seconds

    @property
    def ticks_per_second(self) -> float:
        """The tick's true rate by the pulses; the nominal one before they span enough."""
        if self._span < LEAST_SPAN:
            return self._tick_hz
        return (self._pulses[-1].tick - self._pulses[0].tick) / self._span

    @property
    def _span(self) -> int:
        return self._pulses[-1].second - self._pulses[0].second if self._pulses else 0

    def _rate_error(self, seconds: float) -> float:
        """Return how far the rate by the pulses may be off, this long after the latest pulse."""
        if self._span < LEAST_SPAN:
            return CRYSTAL
        return 2 * EDGE_SECONDS / self._span + WANDER * (self._span + seconds) / 2

    def _counted(self, tick: int) -> _Pulse | None:
        """Count the seconds since the latest pulse; None where the ticks make no whole number."""
        latest = self._pulses[-1]
        near = unwrap(tick, latest.tick, 32)
        seconds = (near - latest.tick) / self.ticks_per_second
        drift = self._rate_error(seconds) * seconds
        whole = round(seconds)
        if whole < 1 or abs(seconds - whole) > 5 * EDGE_SECONDS + drift:
            return None
        return _Pulse(near, latest.second + whole)


def _named(tick: int, host_utc_ns: int | None) -> _Pulse | None:
    """Name a pulse by the host's UTC; None where that is not certain enough."""
    if host_utc_ns is None:
        return None
    second = round(host_utc_ns / NANOSECONDS)
    pulse = _Pulse(tick, second)
    off_seconds = abs(host_utc_ns - second * NANOSECONDS) / NANOSECONDS
    return pulse if off_seconds <= SURE_SECONDS else None


def _contradicts(pulse: _Pulse, host_utc_ns: int | None) -> bool:
    """Whether a host that knows UTC names another second: after a leap second, or a wrong start."""
    if host_utc_ns is None:
        return False
    return abs(pulse.second * NANOSECONDS - host_utc_ns) > NANOSECONDS / 2
