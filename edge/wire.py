"""A sensor on the wire protocol as a source of dated blocks: decode, identify, assemble."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..firmware_bridge.decoder import Decoder
from ..firmware_bridge.packets import Packet
from .assemble import Assembler
from .dating.arrivals import Arrival
from .identification import Identification
from .sensor_status import SensorLog
from .sources import ByteSource, SourceCounts
from .types import Block, Instrument


class PacketReader:
    """Decodes one sensor's bytes, and requests the sensor's identity while it is unknown.

    Args:
        source: Where the bytes come from.
        is_known: Whether the sensor is known.

    Attributes:
        decoder: Counts what was lost.
    """

    def __init__(self, source: ByteSource, is_known: Callable[[], bool]) -> None:
        self.decoder = Decoder()
        self._source = source
        self._is_known = is_known
        self._identification = Identification(self.decoder, source.identify)

    def __iter__(self) -> Iterator[tuple[list[Packet], Arrival]]:
        """Yield the packets of each portion of bytes, perhaps none, and when it came.

        Raises:
            PortError: The port cannot be opened at the start.
        """
        losses = 0
        for data, arrival in self._source:
            if self._source.losses != losses:
                losses = self._source.losses
                self.decoder.restart()
            yield self.decoder.feed(data), arrival
            if self._is_known():
                self._identification.settle()
            else:
                self._identification.wait(arrival)


class WireSource:
    """Blocks of one sensor's packets; a `BlockSource`.

    Args:
        source: Where the bytes come from.
        rate_hz: The model's; a sensor of another rate must have one that can be resampled to it.
    """

    def __init__(self, source: ByteSource, rate_hz: float) -> None:
        self._source = source
        self._sensor = SensorLog()
        self._assembler = Assembler(rate_hz, source.clock)
        self._reader = PacketReader(source, lambda: self._assembler.introduced)

    @property
    def counts(self) -> SourceCounts:
        """What the decoder lost, what the sensor reports, and samples without an announcement."""
        losses = self._reader.decoder.losses
        return SourceCounts(losses, self._sensor.health, self._assembler.unannounced)

    @property
    def instrument(self) -> Instrument | None:
        """Channels and rate of the newest Hello."""
        hello = self._assembler.hello
        return Instrument(hello.channels, hello.rate_hz) if hello else None

    def __iter__(self) -> Iterator[tuple[Iterator[Block], Arrival]]:
        """Yield the blocks of each portion of bytes.

        Raises:
            SensorError: The sensor cannot serve this model.
            PortError: The port cannot be opened at the start.
        """
        for packets, arrival in self._reader:
            yield self._blocks(packets, arrival), arrival

    def _blocks(self, packets: list[Packet], arrival: Arrival) -> Iterator[Block]:
        for packet in packets:
            self._sensor.push(packet)
            block = self._assembler.push(packet, arrival)
            if block is not None:
                yield block

    def reopen(self) -> None:
        """Reopen the port."""
        self._source.reopen()
