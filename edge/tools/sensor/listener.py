"""Listen to a sensor: its packets, when they came, and numbers and dates of its samples."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event

from ....firmware_bridge.decoder import Decoder
from ....firmware_bridge.packets import Packet, TimeReply
from ....firmware_bridge.port import Port
from ...dating.arrivals import Arrival
from ...dating.samples import Dated, SampleDating
from ...dating.ticks import TickRequests
from ...sources import READ_SECONDS, SerialSource
from ...wire import PacketReader


@dataclass(frozen=True, slots=True)
class Received:
    """One packet.

    Attributes:
        packet: The packet.
        arrival: When it was complete.
        requested_ns: For the reply to a time request: when that was sent, on the monotonic clock.
        dated: Number and time of its samples, None where it has none or no Hello announced them.
    """

    packet: Packet
    arrival: Arrival
    requested_ns: int | None = None
    dated: Dated | None = None


class Listener:
    """Reads, identifies and dates a sensor as `eqedge run` does.

    Args:
        port: Open.
        requests: Requests of the sensor's tick; by default those of a node.
        read_seconds: Something is yielded at least this often.
        stop: Set to end it.
    """

    def __init__(
        self,
        port: Port,
        requests: TickRequests | None = None,
        read_seconds: float = READ_SECONDS,
        stop: Event | None = None,
    ) -> None:
        self._requests = requests or TickRequests()
        self._source = SerialSource(
            port, stop or Event(), requests=self._requests, read_seconds=read_seconds
        )
        self._dating = SampleDating(self._source.clock)
        self._reader = PacketReader(self._source, lambda: self._dating.introduced)

    @property
    def decoder(self) -> Decoder:
        """Counts what was lost on the line."""
        return self._reader.decoder

    def packets(self, until_seconds: float) -> Iterator[list[Received]]:
        """Yield the packets that came together, perhaps none.

        Args:
            until_seconds: When to end, on the host's monotonic clock.
        """
        self._source.identify()
        for packets, arrival in self._reader:
            yield [self._received(packet, arrival) for packet in packets]
            if time.monotonic() >= until_seconds:
                return

    def _received(self, packet: Packet, arrival: Arrival) -> Received:
        # before the clock takes the reply, and the request with it
        requested = self._requests.pending_ns(packet) if isinstance(packet, TimeReply) else None
        return Received(packet, arrival, requested, self._dating.push(packet, arrival))
