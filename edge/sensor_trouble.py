"""Name what keeps a sensor's samples out of the chain, in the log and in the health record."""

from __future__ import annotations

import logging

from ..firmware_bridge.packets import Hello, Packet, Samples
from .dating.arrivals import Arrival
from .logs import Changes

UNKNOWN_SECONDS = 10.0
"""Samples without a Hello are a trouble after this long: a sensor is requested to send one."""

logger = logging.getLogger(__name__)


class SensorTrouble:
    """Follows one sensor's packets and what became of them.

    Attributes:
        text: What is wrong at present, one line; empty while samples come in.
        hellos_unusable: Hellos in mid-stream with which no sample could be used.
    """

    def __init__(self) -> None:
        self.text = ""
        self.hellos_unusable = 0
        self._changes = Changes(logger)
        self._is_unusable = False
        self._dropped_since_ns: int | None = None

    def reject(self, error: Exception) -> None:
        """Note a Hello that cannot be used."""
        self.hellos_unusable += 1
        self._is_unusable = True
        self._begin(f"{error}; its samples are left out until it sends a Hello that can be used")

    def accept(self, hello: Hello) -> None:
        """Note a Hello that can be used."""
        if self._is_unusable:
            self._end(hello)
        self._is_unusable = False

    def used(self, hello: Hello) -> None:
        """Note that samples became a block."""
        self._dropped_since_ns = None
        if self.text:
            self._end(hello)

    def dropped(self, packet: Packet, hello: Hello | None, arrival: Arrival) -> None:
        """Note a packet that became no block.

        Args:
            packet: Only Samples matter.
            hello: The latest usable one.
            arrival: Of the packet.
        """
        if not isinstance(packet, Samples) or self._is_unusable:
            return
        if hello is not None and packet.boot == hello.boot:
            name = f"sensor {hello.device_id}"
            announced, sent = len(hello.channels), packet.counts.shape[1]
            self._begin(
                f"{name}: its Hello has {_channels(announced)}, its Samples packets "
                f"have {sent}: the firmware contradicts itself, and they are left out"
            )
            return
        if self._dropped_since_ns is None:
            self._dropped_since_ns = arrival.monotonic_ns
        if arrival.monotonic_ns - self._dropped_since_ns >= UNKNOWN_SECONDS * 1e9:
            self._begin("samples come that no Hello has announced; they are left out")

    def _begin(self, text: str) -> None:
        self.text = text
        self._changes.note(logging.WARNING, text)

    def _end(self, hello: Hello) -> None:
        self.text = ""
        self._changes.note(logging.INFO, f"sensor {hello.device_id}: its samples are used again")


def _channels(number: int) -> str:
    return "1 channel" if number == 1 else f"{number} channels"
