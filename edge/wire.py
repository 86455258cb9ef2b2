"""A sensor on the wire protocol as a source of dated blocks: decode, identify, assemble."""

from __future__ import annotations

from collections.abc import Iterator

from ..firmware_bridge.decoder import Decoder
from .assemble import Assembler
from .dating.arrivals import Arrival
from .identification import Identification
from .sensor_status import SensorLog
from .sources import ByteSource, SourceCounts
from .types import Block, Instrument


class WireSource:
    """Decodes one sensor's bytes; a `BlockSource`.

    Args:
        source: Where the bytes come from.
        rate_hz: The model's; a sensor of another rate must have one that can be resampled to it.
    """

    def __init__(self, source: ByteSource, rate_hz: float) -> None:
        self._source = source
        self._decoder = Decoder()
        self._sensor = SensorLog()
        self._identification = Identification(self._decoder, source.identify)
        self._assembler = Assembler(rate_hz, source.clock)

    @property
    def counts(self) -> SourceCounts:
        """What the decoder lost, what the sensor reports, what nobody announced."""
        return SourceCounts(self._decoder.losses, self._sensor.health, self._assembler.unannounced)

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
        losses = 0
        for data, arrival in self._source:
            if self._source.losses != losses:
                losses = self._source.losses
                self._decoder.restart()
            yield self._blocks(data, arrival), arrival
            if self._assembler.introduced:
                self._identification.settle()
            else:
                self._identification.wait(arrival)

    def _blocks(self, data: bytes, arrival: Arrival) -> Iterator[Block]:
        for packet in self._decoder.feed(data):
            self._sensor.push(packet)
            block = self._assembler.push(packet, arrival)
            if block is not None:
                yield block

    def reopen(self) -> None:
        """Reopen the port."""
        self._source.reopen()
