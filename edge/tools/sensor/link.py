"""A port's bytes become packets with the time they came; the device is asked who it is and when."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from ....firmware_bridge.decoder import Decoder
from ....firmware_bridge.framing import frame
from ....firmware_bridge.packets import WHO_IS_THERE, Hello, Packet, TimeReply, TimeRequest
from ....firmware_bridge.port import Port

ASK_SECONDS = 1.0
"""Pause between time requests, and between attempts to learn who is there."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet and when it was complete, on the host's monotonic clock."""

    packet: Packet
    heard_seconds: float
    asked_seconds: float | None = None
    """For the answer to the time request under way: when that was asked."""


class Link:
    """Talks to the device on an open port.

    Attributes:
        decoder: its counters tell what was lost.
        hello: who is there, or None as long as nobody has said so.
    """

    def __init__(
        self,
        port: Port,
        decoder: Decoder | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is read or sent before ``poll``."""
        self.port = port
        self.decoder = decoder or Decoder()
        self.hello: Hello | None = None
        self._monotonic = monotonic
        self._losses_of_port = 0
        self._request_id = random.getrandbits(32)
        self._asked_seconds = 0.0
        self._next_ask_seconds = 0.0

    def poll(self, timeout_seconds: float = 0.2) -> list[Heard]:
        """Waits for the next bytes and returns the packets that they complete, perhaps none."""
        now = self._monotonic()
        if now >= self._next_ask_seconds:
            self._ask(now)
        data = self.port.read(timeout_seconds)
        if self.port.losses != self._losses_of_port:
            self._losses_of_port = self.port.losses
            self.decoder.restart()
        heard = self._monotonic()
        return [self._note(packet, heard) for packet in self.decoder.feed(data)]

    def _ask(self, now: float) -> None:
        self._next_ask_seconds = now + ASK_SECONDS
        if self.hello is None:
            self.port.write(frame(WHO_IS_THERE.to_bytes()))
        self._request_id = (self._request_id + 1) & 0xFFFF_FFFF
        self._asked_seconds = self._monotonic()
        self.port.write(frame(TimeRequest(self._request_id).to_bytes()))

    def _note(self, packet: Packet, heard: float) -> Heard:
        if isinstance(packet, Hello):
            self.hello = packet
        if isinstance(packet, TimeReply) and packet.request_id == self._request_id:
            return Heard(packet, heard, self._asked_seconds)
        return Heard(packet, heard)
