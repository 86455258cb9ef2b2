"""A payload becomes one of the seven frozen packets."""

from __future__ import annotations

from typing import TypeAlias

from .dialogue import WHO_IS_THERE, Ack, Command, Result, TimeReply, TimeRequest, Verb
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
    """Reads a payload taken from a frame.

    Raises:
        UnknownVersion: the sender speaks another version of the protocol.
        UnknownType: a kind of packet that this version does not have yet.
        MalformedPacket: the contents contradict themselves or cannot be a sensor's.
    """
    version, type_code = unpack(HEADER, payload, "unnamed")
    if version != VERSION:
        raise UnknownVersion(version)
    packet_class = _CLASSES.get(type_code)
    if packet_class is None:
        raise UnknownType(type_code)
    return packet_class.from_bytes(payload)


__all__ = [
    "UNITS",
    "VERSION",
    "WHO_IS_THERE",
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
