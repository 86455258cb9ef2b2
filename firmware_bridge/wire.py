"""The header of every payload, and the errors for payloads that are rejected."""

from __future__ import annotations

import struct
from enum import IntEnum

from .. import EqedgeError

VERSION = 1
"""Version of the packet layouts; PROTOCOL.md has the rule for changes."""

HEADER = struct.Struct("<BB")


class PacketType(IntEnum):
    """Second byte of every payload: below 0x10 sent unrequested, above in a request or reply."""

    HELLO = 0x01
    SAMPLES = 0x02
    STATUS = 0x03
    TIME_REQUEST = 0x10
    TIME_REPLY = 0x11
    COMMAND = 0x20
    ACK = 0x21


class PacketError(EqedgeError):
    """A payload that arrived whole but cannot be parsed; the decoder counts it."""


class UnknownVersion(PacketError):
    """A payload of another protocol version.

    Attributes:
        version: The version the device announced.
    """

    def __init__(self, version: int) -> None:
        """Name the side that must be updated."""
        super().__init__(
            f"the device uses protocol version {version}, this node version {VERSION}: "
            f"{'update eqedge' if version > VERSION else 'flash current firmware'}"
        )
        self.version = version


class UnknownType(PacketError):
    """A payload of an unknown type; later minor revisions may add types.

    Attributes:
        type_code: The type byte found.
    """

    def __init__(self, type_code: int) -> None:
        """Keep the type byte."""
        super().__init__(f"packet type 0x{type_code:02x} is not known here: skipped")
        self.type_code = type_code


class MalformedPacket(PacketError):
    """A payload with a correct CRC but impossible contents.

    Attributes:
        packet: Name of the packet class.
        reason: What is wrong with it.
    """

    def __init__(self, packet: str, reason: str) -> None:
        """Keep class name and reason."""
        super().__init__(f"{packet} packet refused: {reason}")
        self.packet = packet
        self.reason = reason


def require(condition: bool, packet: object, reason: str) -> None:
    """Raise MalformedPacket, with the packet's class name and the reason, unless `condition`."""
    if not condition:
        name = packet if isinstance(packet, str) else type(packet).__name__
        raise MalformedPacket(name, reason)


def unpack(layout: struct.Struct, payload: bytes, packet: str) -> tuple[int, ...]:
    """Read the fixed part of a payload; bytes after it are for later revisions."""
    if len(payload) < layout.size:
        raise MalformedPacket(packet, f"{len(payload)} bytes, at least {layout.size} wanted")
    return layout.unpack_from(payload)
