"""A sensor on the wire protocol as a source of dated blocks: decode, identify, assemble."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..firmware_bridge.decoder import Decoder
from ..firmware_bridge.packets import Hello, Packet
from .assemble import Assembler, SensorError
from .dating.arrivals import Arrival
from .identification import Identification
from .sensor_status import SensorLog
from .sensor_trouble import SensorTrouble
from .sources import ByteSource, SourceCounts
from .types import Block, Instrument


class PacketReader:
    """Decodes one sensor's bytes, and requests the sensor's identity while it is unknown.

    Args:
        source: Where the bytes come from.
        is_known: Whether the sensor is known.
        is_described: Whether a Hello has come, be it one that cannot be used; then the sensor is
            only requested to send another.

    Attributes:
        decoder: Counts what was lost.
    """

    def __init__(
        self,
        source: ByteSource,
        is_known: Callable[[], bool],
        is_described: Callable[[], bool] = lambda: False,
    ) -> None:
        self.decoder = Decoder()
        self._source = source
        self._is_known = is_known
        self._is_described = is_described
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
                self._identification.wait(arrival, logs=not self._is_described())


class WireSource:
    """Blocks of one sensor's packets; a `BlockSource`.

    Args:
        source: Where the bytes come from.
        rate_hz: The model's; a sensor of another rate must have one that can be resampled to it.
    """

    def __init__(self, source: ByteSource, rate_hz: float) -> None:
        self._source = source
        self._sensor = SensorLog()
        self._trouble = SensorTrouble()
        self._assembler = Assembler(rate_hz, source.clock)
        self._reader = PacketReader(
            source, lambda: self._assembler.introduced, lambda: bool(self._trouble.text)
        )

    @property
    def counts(self) -> SourceCounts:
        """What was lost on the line, what the sensor reports, and what could not be used."""
        return SourceCounts(
            losses=self._reader.decoder.losses,
            sensor=self._sensor.health,
            packets_unannounced=self._assembler.unannounced,
            impossible_replies=self._assembler.impossible_replies,
            hellos_unusable=self._trouble.hellos_unusable,
            port_losses=self._source.losses,
            port_reopenings=self._source.reopenings,
            trouble=self._trouble.text,
        )

    @property
    def instrument(self) -> Instrument | None:
        """Channels and rate of the newest Hello that could be used."""
        hello = self._assembler.hello
        return Instrument(hello.channels, hello.rate_hz) if hello else None

    def __iter__(self) -> Iterator[tuple[Iterator[Block], Arrival]]:
        """Yield the blocks of each portion of bytes.

        Raises:
            SensorError: The sensor cannot serve this model from its first Hello on. In mid-stream
                its samples are left out until it sends a Hello that can be used.
            PortError: The port cannot be opened at the start.
        """
        for packets, arrival in self._reader:
            yield self._blocks(packets, arrival), arrival

    def _blocks(self, packets: list[Packet], arrival: Arrival) -> Iterator[Block]:
        for packet in packets:
            self._sensor.push(packet)
            try:
                block = self._assembler.push(packet, arrival)
            except SensorError as error:
                if self._assembler.hello is None:
                    raise
                self._trouble.reject(error)
                continue
            hello = self._assembler.hello
            if block is None or hello is None:
                self._note_unused(packet, arrival)
                continue
            self._trouble.used(hello)
            yield block

    def _note_unused(self, packet: Packet, arrival: Arrival) -> None:
        if isinstance(packet, Hello):
            self._trouble.accept(packet)
        else:
            self._trouble.dropped(packet, self._assembler.hello, arrival)

    def reopen(self) -> None:
        """Reopen the port."""
        self._source.reopen()
