"""What host and device say to each other: time asked and told, commands given and acknowledged."""

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
    """What a Command may ask; the comment says what its argument means."""

    IDENTIFY = 1  # seconds to blink; a Hello follows the Ack
    START = 2  # nothing
    STOP = 3  # nothing
    RATE = 4  # millihertz
    GAIN = 5  # thousandths
    REBOOT = 6  # the boot_id to leave, so that a repeated command cannot reboot twice


class Result(IntEnum):
    """How a device answers a Command."""

    DONE = 0
    UNKNOWN_VERB = 1
    BAD_ARGUMENT = 2
    NOT_POSSIBLE = 3


@dataclass(frozen=True, slots=True)
class TimeRequest:
    """The host asks what the tick is; it keeps its own sending time by request_id."""

    request_id: int
    """32 bits that come back in the reply."""

    def to_bytes(self) -> bytes:
        """The payload of this packet."""
        return _TIME_REQUEST.pack(VERSION, PacketType.TIME_REQUEST, self.request_id)

    @classmethod
    def from_bytes(cls, payload: bytes) -> TimeRequest:
        """Reads a payload; raises MalformedPacket if it is too short."""
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
    """Tick of the latest pulse-per-second edge; means nothing while pps_count is 0."""
    pps_count: int = 0
    """Edges seen since boot (16 bits, wraps past zero to 1); 0 where there is no PPS."""
    boot: int = 0
    """Low byte of boot_id."""

    def to_bytes(self) -> bytes:
        """The payload of this packet."""
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
        """Reads a payload; raises MalformedPacket if it is too short."""
        _, _, boot, request_id, received, sent, pps_tick, pps_count = unpack(
            _TIME_REPLY, payload, "TimeReply"
        )
        return cls(request_id, received, sent, pps_tick, pps_count, boot)


@dataclass(frozen=True, slots=True)
class Command:
    """The host asks the device to do something; repeated with the same command_id until acked."""

    command_id: int
    """16 bits that come back in the Ack."""
    verb: int
    """A Verb, or a number that only a later device knows."""
    argument: int = 0
    """32 bits; their meaning depends on the verb."""

    def to_bytes(self) -> bytes:
        """The payload of this packet."""
        return _COMMAND.pack(VERSION, PacketType.COMMAND, self.command_id, self.verb, self.argument)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Command:
        """Reads a payload; raises MalformedPacket if it is too short."""
        _, _, command_id, verb, argument = unpack(_COMMAND, payload, "Command")
        return cls(command_id, verb, argument)


WHO_IS_THERE = Command(0, Verb.IDENTIFY)
"""Asked until a Hello comes; the same command each time, so that a repeat is known as one."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The device's answer to a Command: done or not, and what is now in force."""

    command_id: int
    """From the command."""
    verb: int
    """From the command."""
    result: int
    """A Result; anything but 0 means that nothing changed."""
    value: int = 0
    """What is in force now: millihertz after RATE, thousandths after GAIN, else 0."""
    boot: int = 0
    """Low byte of boot_id before the command took effect."""

    def to_bytes(self) -> bytes:
        """The payload of this packet."""
        return _ACK.pack(
            VERSION, PacketType.ACK, self.boot, self.command_id, self.verb, self.result, self.value
        )

    @classmethod
    def from_bytes(cls, payload: bytes) -> Ack:
        """Reads a payload; raises MalformedPacket if it is too short."""
        _, _, boot, command_id, verb, result, value = unpack(_ACK, payload, "Ack")
        return cls(command_id, verb, result, value, boot)
