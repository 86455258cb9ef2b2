"""Packets between host and device: time requests and replies, commands and acknowledgements."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from .wire import VERSION, PacketType, unpack

_TIME_REQUEST = struct.Struct("<BBI")
_TIME_REPLY = struct.Struct("<BBBIIIIH")
_COMMAND = struct.Struct("<BBHBI")
_ACK = struct.Struct("<BBBHBBI")


class Verb(IntEnum):
    """What a Command requests; the comment gives the meaning of its argument."""

    IDENTIFY = 1  # seconds to blink; a Hello follows the Ack
    START = 2  # nothing
    STOP = 3  # nothing
    RATE = 4  # millihertz
    GAIN = 5  # thousandths
    REBOOT = 6  # the boot_id to leave, so that a repeated command cannot reboot twice


class Result(IntEnum):
    """Result of a Command."""

    DONE = 0
    UNKNOWN_VERB = 1
    BAD_ARGUMENT = 2
    NOT_POSSIBLE = 3


@dataclass(frozen=True, slots=True)
class TimeRequest:
    """A request for the device's tick; the host remembers when it sent each request_id."""

    request_id: int
    """32 bits, repeated in the reply."""

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return _TIME_REQUEST.pack(VERSION, PacketType.TIME_REQUEST, self.request_id)

    @classmethod
    def from_bytes(cls, payload: bytes) -> TimeRequest:
        """Read a payload; raise MalformedPacket if it is too short."""
        return cls(unpack(_TIME_REQUEST, payload, "TimeRequest")[2])


@dataclass(frozen=True, slots=True)
class TimeReply:
    """The device's two ticks of a round trip, and its last pulse-per-second edge."""

    request_id: int
    """From the request."""
    tick_received: int
    """Tick at which the request's closing zero arrived."""
    tick_sent: int
    """Tick at which this reply's first byte was handed to the wire."""
    pps_tick: int = 0
    """Tick of the latest pulse-per-second edge; not valid while pps_count is 0."""
    pps_count: int = 0
    """Edges seen since boot (16 bits, wraps past zero to 1); 0 where there is no PPS."""
    boot: int = 0
    """Low byte of boot_id."""

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return _TIME_REPLY.pack(
            VERSION,
            PacketType.TIME_REPLY,
            self.boot,
            self.request_id,
            self.tick_received,
            self.tick_sent,
            self.pps_tick,
            self.pps_count,
        )

    @classmethod
    def from_bytes(cls, payload: bytes) -> TimeReply:
        """Read a payload; raise MalformedPacket if it is too short."""
        _, _, boot, request_id, received, sent, pps_tick, pps_count = unpack(
            _TIME_REPLY, payload, "TimeReply"
        )
        return cls(request_id, received, sent, pps_tick, pps_count, boot)


@dataclass(frozen=True, slots=True)
class Command:
    """A command to the device; the host repeats it with the same command_id until the Ack comes."""

    command_id: int
    """16 bits, repeated in the Ack."""
    verb: int
    """A Verb, or a number that a later version defines."""
    argument: int = 0
    """32 bits; their meaning depends on the verb."""

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return _COMMAND.pack(VERSION, PacketType.COMMAND, self.command_id, self.verb, self.argument)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Command:
        """Read a payload; raise MalformedPacket if it is too short."""
        _, _, command_id, verb, argument = unpack(_COMMAND, payload, "Command")
        return cls(command_id, verb, argument)


IDENTIFY = Command(0, Verb.IDENTIFY)
"""Sent until a Hello comes; always with this command_id, so that the device sees a repetition."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The device's reply to a Command: whether it was done, and the value now in force."""

    command_id: int
    """From the command."""
    verb: int
    """From the command."""
    result: int
    """A Result; any value except 0 means that nothing changed."""
    value: int = 0
    """The value now in force: millihertz after RATE, thousandths after GAIN, else 0."""
    boot: int = 0
    """Low byte of boot_id before the command took effect."""

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return _ACK.pack(
            VERSION, PacketType.ACK, self.boot, self.command_id, self.verb, self.result, self.value
        )

    @classmethod
    def from_bytes(cls, payload: bytes) -> Ack:
        """Read a payload; raise MalformedPacket if it is too short."""
        _, _, boot, command_id, verb, result, value = unpack(_ACK, payload, "Ack")
        return cls(command_id, verb, result, value, boot)
