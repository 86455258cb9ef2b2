"""Parse a payload as one of the seven packets."""

from __future__ import annotations

from typing import TypeAlias

from .dialogue import IDENTIFY, Ack, Command, Result, TimeReply, TimeRequest, Verb
from .telemetry import UNITS, Hello, Samples, Status
from .wire import (
    HEADER,
    VERSION,
    MalformedPacket,
    PacketError,
    PacketType,
    UnknownType,
    UnknownVersion,
    unpack,
)

Packet: TypeAlias = Hello | Samples | Status | TimeRequest | TimeReply | Command | Ack

_CLASSES: dict[int, type[Packet]] = {
    PacketType.HELLO: Hello,
    PacketType.SAMPLES: Samples,
    PacketType.STATUS: Status,
    PacketType.TIME_REQUEST: TimeRequest,
    PacketType.TIME_REPLY: TimeReply,
    PacketType.COMMAND: Command,
    PacketType.ACK: Ack,
}


def parse(payload: bytes) -> Packet:
    """Parse the payload of a frame.

    Raises:
        UnknownVersion: The sender uses another version of the protocol.
        UnknownType: This version does not have the packet's type.
        MalformedPacket: The contents are contradictory or impossible.
    """
    version, type_code = unpack(HEADER, payload, "unnamed")
    if version != VERSION:
        raise UnknownVersion(version)
    packet_class = _CLASSES.get(type_code)
    if packet_class is None:
        raise UnknownType(type_code)
    return packet_class.from_bytes(payload)


__all__ = [
    "IDENTIFY",
    "UNITS",
    "VERSION",
    "Ack",
    "Command",
    "Hello",
    "MalformedPacket",
    "Packet",
    "PacketError",
    "PacketType",
    "Result",
    "Samples",
    "Status",
    "TimeReply",
    "TimeRequest",
    "UnknownType",
    "UnknownVersion",
    "Verb",
    "parse",
]
