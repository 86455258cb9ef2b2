"""Date samples by the sensor's own ticks, which time requests relate to the host's clock."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from ...firmware_bridge.dialogue import TimeReply, TimeRequest
from ...firmware_bridge.framing import frame
from ...firmware_bridge.telemetry import Hello
from ...firmware_bridge.tickclock import TickClock
from ..logs import Changes
from ..types import NANOSECONDS, ClockState
from .arrivals import Arrival, HostClock, Ticked, host_synchronised
from .pulses import PulseClock
from .spacing import SampleTicks

EAGER_REQUESTS = 6
EAGER_SECONDS = 1.0
"""The first requests follow each other quickly, so that a new sensor is soon dated well."""
CALM_SECONDS = 10.0
UNANSWERED = 16
"""Requests that may be unanswered; older ones are dropped."""
STALE_SECONDS = 600.0
"""Without an answer for longer, arrivals date better than an extrapolated line; a 32-bit tick of
a megahertz wraps after 71 minutes."""
AT_ODDS_SECONDS = 1.0
"""Ticks and arrivals that are further apart than this, and than the latest round trip took,
contradict each other: samples and replies come over the same line."""
BELIEVED_SECONDS = 10.0
"""At odds for this long, less the time without, ticks are not believed; then again likewise."""

logger = logging.getLogger(__name__)


class TickRequests:
    """Time requests and when they were sent; without I/O: the source sends what `due` returns.

    Args:
        calm_seconds: Time between two requests, after the first ones.
    """

    def __init__(self, calm_seconds: float = CALM_SECONDS) -> None:
        self._calm_seconds = calm_seconds
        self._sent_ns: OrderedDict[int, int] = OrderedDict()
        self._next_id = 0
        self._next_ns: int | None = None

    def begin(self) -> None:
        """Make requests from now on: the sensor is known, and nothing else gets one."""
        self._next_ns = 0

    def due(self, now: Arrival) -> bytes:
        """Return a framed request if it is time for one, else nothing."""
        if self._next_ns is None or now.monotonic_ns < self._next_ns:
            return b""
        pause = EAGER_SECONDS if self._next_id < EAGER_REQUESTS else self._calm_seconds
        self._next_ns = now.monotonic_ns + round(pause * NANOSECONDS)
        self._next_id = self._next_id + 1 & 0xFFFF_FFFF
        self._sent_ns[self._next_id] = now.monotonic_ns
        while len(self._sent_ns) > UNANSWERED:
            self._sent_ns.popitem(last=False)
        return frame(TimeRequest(self._next_id).to_bytes())

    def pending_ns(self, reply: TimeReply) -> int | None:
        """Return when the reply's request was sent, until `sent_ns` has returned it."""
        return self._sent_ns.get(reply.request_id)

    def sent_ns(self, reply: TimeReply) -> int | None:
        """Return when the reply's request was sent, once; None if there was none."""
        return self._sent_ns.pop(reply.request_id, None)


class TickDatedClock:
    """Dates samples by the sensor's ticks once it has answered, by arrival until then.

    A round trip bounds the host's time of a tick from both sides, so nothing of the packet's own
    length or of the line's delay is left in the date, as it is when arrivals are all there is.
    Where the sensor catches a receiver's pulses these date better still, and the host's clock must
    only decide once which second it is. Ticks that the arrivals contradict, as those of firmware
    that never advances them, are not used.

    Args:
        hello: The sensor's introduction: rate and tick rate.
        requests: To this sensor.
        synchronised: Whether the host knows UTC.
    """

    def __init__(
        self,
        hello: Hello,
        requests: TickRequests,
        synchronised: Callable[[], bool] = host_synchronised,
    ) -> None:
        self._synchronised = synchronised
        self._pulses = PulseClock(hello.tick_hz)
        self._by_arrival = HostClock(hello.rate_hz)
        self._ticks = TickClock(hello.tick_hz)
        self._sample_ticks = SampleTicks(hello.rate_hz, hello.tick_hz)
        self._rate_hz = hello.rate_hz
        self._requests = requests
        self._newest: Ticked | None = None
        self._now_ns = 0
        self._answered_ns: int | None = None
        self._at_odds_seconds = 0.0
        self._is_at_odds = False
        self._changes = Changes(logger)

    def observe(self, next_sample: int, arrival: Arrival, ticked: Ticked | None = None) -> None:
        """Learn from one block: when it came, and the tick of its first sample."""
        self._by_arrival.observe(next_sample, arrival)
        since_seconds = (arrival.monotonic_ns - self._now_ns) / NANOSECONDS
        self._now_ns = arrival.monotonic_ns
        if ticked is not None:
            self._newest = ticked
            self._sample_ticks.note(ticked)
            self._compare(ticked, min(since_seconds, 1.0))

    def answer(self, reply: TimeReply, arrival: Arrival) -> bool:
        """Learn from a reply; one without a request is ignored, an impossible one returns False."""
        sent_ns = self._requests.sent_ns(reply)
        if sent_ns is None:
            return True
        if not self._ticks.note(reply, sent_ns / NANOSECONDS, arrival.monotonic_ns / NANOSECONDS):
            return False
        self._answered_ns = arrival.monotonic_ns
        self._pulses.note(
            reply.pps_count, reply.pps_tick, self._host_utc_ns(reply.pps_tick), arrival.monotonic_ns
        )
        return True

    def time_ns(self, sample: int) -> int:
        """UTC of a sample."""
        newest = self._newest
        if newest is None or not self._dates_by_ticks:
            return self._by_arrival.time_ns(sample)
        since_ns = round(
            (sample - newest.sample) * NANOSECONDS / (self._rate_hz * self.rate_factor)
        )
        if self._pulses.fresh(self._now_ns):
            return self._pulses.time_ns(newest.tick) + since_ns
        host_seconds = self._ticks.host_seconds(newest.tick)
        assert host_seconds is not None
        monotonic_ns = round(host_seconds * NANOSECONDS) + since_ns
        return monotonic_ns + self._by_arrival.utc_less_monotonic_ns

    @property
    def rate_factor(self) -> float:
        """By the ticks of the blocks, and the ticks' own rate by pulses or round trips."""
        if self._newest is None or not self._dates_by_ticks:
            return self._by_arrival.rate_factor
        clock = self._pulses if self._pulses.fresh(self._now_ns) else self._ticks
        return clock.ticks_per_second / self._sample_ticks.ticks / self._rate_hz

    @property
    def state(self) -> ClockState:
        """Of the pulses, else of the ticks, else of the arrivals.

        Pulses keep UTC also where the host has lost it since.
        """
        state = self._by_arrival.state
        newest = self._newest
        if self._is_at_odds:  # how late the least delayed samples come is not known now
            line_seconds = self._ticks.latest_seconds or 0.0
            return replace(state, error_s=state.error_s + AT_ODDS_SECONDS + line_seconds)
        if newest is None or not self._dates_by_ticks:
            return state
        if self._pulses.fresh(self._now_ns):
            error_s = self._pulses.error_seconds(self._now_ns)
            return ClockState("pps", True, state.offset_s, error_s)
        error_seconds = self._ticks.error_seconds(newest.tick)
        assert error_seconds is not None
        return ClockState("ticks", state.synced, state.offset_s, error_seconds)

    def _compare(self, ticked: Ticked, seconds: float) -> None:
        """Compare the date of a block by its tick with that by arrival.

        Args:
            ticked: Of the block.
            seconds: Since the block before, for which the comparison stands.
        """
        host_seconds = self._ticks.host_seconds(ticked.tick)
        line_seconds = self._ticks.latest_seconds
        error_seconds = self._ticks.error_seconds(ticked.tick)
        if host_seconds is None or line_seconds is None or error_seconds is None:
            return
        by_arrival_ns = self._by_arrival.time_ns(ticked.sample)
        by_arrival_ns -= self._by_arrival.utc_less_monotonic_ns
        late = by_arrival_ns / NANOSECONDS - host_seconds
        limit = AT_ODDS_SECONDS + error_seconds
        is_at_odds = late < -limit or late > limit + line_seconds
        step = seconds if is_at_odds else -seconds
        self._at_odds_seconds = min(max(self._at_odds_seconds + step, 0.0), BELIEVED_SECONDS)
        if self._at_odds_seconds == BELIEVED_SECONDS and not self._is_at_odds:
            self._is_at_odds = True
            self._changes.note(
                logging.WARNING,
                f"the sensor's ticks put its samples {abs(late):.1f} s "
                f"{'before' if late > 0 else 'after'} their arrival, which its time replies "
                "contradict: its firmware counts ticks wrong; they are dated by arrival meanwhile",
            )
        elif self._at_odds_seconds == 0.0 and self._is_at_odds:
            self._is_at_odds = False
            self._changes.note(logging.INFO, "the sensor's ticks date its samples again")

    def _host_utc_ns(self, tick: int) -> int | None:
        """What UTC the host takes a tick for; None if it does not know UTC, or has no samples."""
        host_seconds = self._ticks.host_seconds(tick)
        if host_seconds is None or self._newest is None or not self._synchronised():
            return None
        return round(host_seconds * NANOSECONDS) + self._by_arrival.utc_less_monotonic_ns

    @property
    def _dates_by_ticks(self) -> bool:
        return self._answers and not self._is_at_odds

    @property
    def _answers(self) -> bool:
        """Whether the sensor has answered lately."""
        since = self._answered_ns
        return since is not None and self._now_ns - since < STALE_SECONDS * NANOSECONDS
