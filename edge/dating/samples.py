"""Number and date a sensor's samples, across restarts of the sensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ...firmware_bridge.counters import Unwrapper
from ...firmware_bridge.packets import Hello, Packet, Samples, TimeReply
from ..types import NANOSECONDS, ClockState
from .arrivals import Arrival, Clock, Ticked

REBOOT_GAP_SECONDS = 60.0
"""Added to the sample count at a reboot: how long it took is not known to the counters."""
BACKWARDS_SECONDS = 60.0
"""A counter that falls back this far is a restart, also where the sensor did not report one."""


@dataclass(frozen=True)
class Dated:
    """Number and time of the samples of one packet.

    Attributes:
        hello: What the sensor announced itself as.
        first_sample: Number of the first sample since the sensor's start, never wrapping.
        start_time_ns: UTC of that sample, nanoseconds since 1970.
        clock: What dated it.
        rate_factor: The true sampling rate as a multiple of the nominal one.
    """

    hello: Hello
    first_sample: int
    start_time_ns: int
    clock: ClockState
    rate_factor: float = 1.0

    def time_ns(self, sample: int) -> int:
        """Return UTC of a sample near these."""
        since = (sample - self.first_sample) / (self.hello.rate_hz * self.rate_factor)
        return self.start_time_ns + round(since * NANOSECONDS)


class SampleDating:
    """Follows one sensor's packets, for a node and for a recording alike.

    Args:
        make_clock: Called with the sensor's Hello, and again after each restart.

    Attributes:
        hello: The sensor's latest Hello, or None.
        unannounced: Samples packets dropped because no Hello had announced them.
        impossible_replies: Time replies that no sensor can have sent, see `TickClock.note`.
    """

    def __init__(self, make_clock: Callable[[Hello], Clock]) -> None:
        self.hello: Hello | None = None
        self.unannounced = 0
        self.impossible_replies = 0
        self._make_clock = make_clock
        self._clock: Clock | None = None
        self._counter = Unwrapper(bits=32)
        self._base = 0
        self._next_sample = 0
        self._boot_mismatch = False

    @property
    def introduced(self) -> bool:
        """Whether the samples that come are those the latest Hello announced."""
        return self.hello is not None and not self._boot_mismatch

    def push(self, packet: Packet, arrival: Arrival) -> Dated | None:
        """Take one packet; return number and time of its samples, None where it has none to use."""
        if isinstance(packet, Hello):
            self._greet(packet)
            return None
        if isinstance(packet, TimeReply) and self._clock is not None:
            self.impossible_replies += not self._clock.answer(packet, arrival)
        if not isinstance(packet, Samples):
            return None
        hello, clock = self.hello, self._clock
        unknown = hello is None or clock is None or packet.boot != hello.boot
        self._boot_mismatch = unknown or packet.counts.shape[1] != len(
            hello.channels if hello else ()
        )
        if self._boot_mismatch:
            self.unannounced += 1
            return None
        assert hello is not None and clock is not None
        first = self._base + self._counter(packet.first_sample)
        if first < self._next_sample - BACKWARDS_SECONDS * hello.rate_hz:
            self._restart(hello)
            clock = self._clock = self._make_clock(hello)
            first = self._base + self._counter(packet.first_sample)
        self._next_sample = max(self._next_sample, first + len(packet.counts))
        clock.observe(first + len(packet.counts), arrival, Ticked(first, packet.tick))
        return Dated(hello, first, clock.time_ns(first), clock.state, clock.rate_factor)

    def _greet(self, hello: Hello) -> None:
        # One that describes itself differently is treated as restarted even under the same boot_id:
        # its samples can neither be counted nor dated as those before.
        if hello != self.hello:
            if self.hello is not None:
                self._restart(hello)
            self._clock = self._make_clock(hello)
        self._boot_mismatch = False
        self.hello = hello

    def _restart(self, hello: Hello) -> None:
        """Let numbers go on, after a gap, though the sensor's counter begins anew.

        At another rate than before they count the same time in other steps.
        """
        before = self.hello or hello
        if hello.rate_hz != before.rate_hz:
            self._next_sample = math.ceil(self._next_sample / before.rate_hz * hello.rate_hz)
        self._base = self._next_sample + round(REBOOT_GAP_SECONDS * hello.rate_hz)
        self._counter.restart()
