"""Where samples come from: dated blocks, which a sensor's bytes are one way to get."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

from ..firmware_bridge.decoder import Losses
from ..firmware_bridge.dialogue import IDENTIFY
from ..firmware_bridge.framing import frame
from ..firmware_bridge.measured import counter, state_reason
from ..firmware_bridge.packets import Hello
from ..firmware_bridge.port import Port, PortError, PortState
from .dating.arrivals import Arrival, Clock
from .dating.replayed import ReplayClock
from .dating.ticks import TickDatedClock, TickRequests
from .sensor_status import SensorHealth
from .types import Block, Instrument

READ_SECONDS = 0.5
"""A read returns after this time, with or without bytes."""

logger = logging.getLogger(__name__)


@dataclass
class SourceCounts:
    """What a source counted; what it does not have stays zero.

    Attributes:
        losses: Of frames and packets on a wire.
        sensor: What the sensor reports about itself.
        trouble: Why samples that come are left out; empty while none are.
    """

    losses: Losses = field(default_factory=Losses)
    sensor: SensorHealth = field(default_factory=SensorHealth)
    packets_unannounced: int = counter(
        "packets_unannounced_total",
        "Packets of samples left out because no usable Hello fits them.",
    )
    hellos_unusable: int = counter(
        "hellos_unusable_total", "Hellos in mid-stream that this node cannot use.", degrades=1
    )
    impossible_replies: int = counter(
        "time_replies_impossible_total",
        "Time replies left out: by their ticks the sensor held them for longer than they took.",
        degrades=1,
    )
    port_losses: int = counter("port_losses_total", "Times the port was lost.", degrades=1)
    port_reopenings: int = counter("port_reopened_total", "Times a lost port was opened again.")
    trouble: str = state_reason()


class BlockSource(Protocol):
    """A stream of dated blocks of one station, in order of time but for gaps and repetitions.

    Whatever brings its own times (a server, a file, a datagram) implements this; a sensor on the
    wire protocol is `wire.WireSource`.
    """

    @property
    def counts(self) -> SourceCounts:
        """What was counted so far."""

    @property
    def instrument(self) -> Instrument | None:
        """What sends the newest block; None before the first."""

    def __iter__(self) -> Iterator[tuple[Iterable[Block], Arrival]]:
        """Yield the blocks that came together and when they came; end when the stream ends.

        While nothing comes, a pair without blocks is yielded twice a second, so that the daemon
        can publish its health and close events. The blocks are taken before the next pair is
        requested.
        """

    def reopen(self) -> None:
        """Give up a connection that no longer delivers, and make a new one."""


class ByteSource(Protocol):
    """A stream of bytes in the sensor's protocol."""

    @property
    def losses(self) -> int:
        """Times that the connection was lost: a frame begun before is not continued after."""

    @property
    def reopenings(self) -> int:
        """Times that a lost connection was made again."""

    def __iter__(self) -> Iterator[tuple[bytes, Arrival]]:
        """Yield what came and when, empty bytes when nothing has for a while; end at `stop`."""

    def clock(self, hello: Hello) -> Clock:
        """Make the clock that dates the samples of a sensor."""

    def identify(self) -> None:
        """Send the sensor a request to identify itself."""

    def reopen(self) -> None:
        """Give up a connection that no longer delivers, and make a new one."""


def now() -> Arrival:
    """Return both of the host's clocks at this moment."""
    return Arrival(time.monotonic_ns(), time.time_ns())


class SerialSource:
    """A sensor on a serial port or socket; a lost port is reopened, without limit.

    Args:
        port: Opened by the iteration where it is closed.
        stop: Set to end it.
        speed: Multiple of real time at which a recording is played on the port; 1 for a sensor.
        requests: Requests of the sensor's tick.
        read_seconds: A read returns after this time, with or without bytes.
    """

    def __init__(
        self,
        port: Port,
        stop: Event,
        speed: float = 1.0,
        *,
        requests: TickRequests | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._port = port
        self._stop = stop
        self._speed = speed
        self._requests = requests or TickRequests()
        self._read_seconds = read_seconds

    def __iter__(self) -> Iterator[tuple[bytes, Arrival]]:
        """Yield what the port delivers, and request the sensor's tick in between."""
        if self._port.state is PortState.CLOSED and not self._stop.is_set():
            try:
                self._port.open()
            except PortError:
                if self._stop.is_set():
                    return  # the end was requested while the port was opened
                raise
        state = self._port.state
        try:
            while not self._stop.is_set():
                question = self._requests.due(now())
                if question:
                    self._port.write(question)
                data = self._port.read(self._read_seconds)
                if self._port.state is not state:
                    state = self._port.state
                    self._log_change()
                yield data, now()
        finally:
            self._port.close()

    @property
    def losses(self) -> int:
        """Times that the port was lost."""
        return self._port.losses

    @property
    def reopenings(self) -> int:
        """Times that it was opened again."""
        return self._port.reopenings

    def _log_change(self) -> None:
        if self._port.state is PortState.OPEN:
            logger.info("port %s is back", self._port.opened_url)
        else:
            logger.warning("port lost (%s); looking for it again", self._port.last_fault)

    def clock(self, hello: Hello) -> Clock:
        """Return a clock that follows the host's."""
        if self._speed != 1.0:
            return ReplayClock(hello.rate_hz, self._speed)
        self._requests.begin()
        return TickDatedClock(hello, self._requests)

    def identify(self) -> None:
        """Send an Identify command."""
        self._port.write(frame(IDENTIFY.to_bytes()))

    def reopen(self) -> None:
        """Give up the port; the iteration looks for the sensor, under another name too."""
        self._port.reopen()
