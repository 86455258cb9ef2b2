"""What every payload begins with, and the ways in which a payload can be refused."""

from __future__ import annotations

import struct
from enum import IntEnum

from .. import EqedgeError

VERSION = 1
"""Version of the packet layouts; PROTOCOL.md says when it rises."""

HEADER = struct.Struct("<BB")


class PacketType(IntEnum):
    """Second byte of every payload: below 0x10 the device speaks unasked, above they converse."""

    HELLO = 0x01
    SAMPLES = 0x02
    STATUS = 0x03
    TIME_REQUEST = 0x10
    TIME_REPLY = 0x11
    COMMAND = 0x20
    ACK = 0x21


class PacketError(EqedgeError):
    """A payload that arrived whole but cannot be understood; the decoder counts it."""


class UnknownVersion(PacketError):
    """A payload from a protocol this node does not speak.

    Attributes:
        version: the version the device announced.
    """

    def __init__(self, version: int) -> None:
        """Names the remedy by which of the two is older."""
        super().__init__(
            f"the device speaks protocol version {version}, this node version {VERSION}: "
            f"{'update eqedge' if version > VERSION else 'flash current firmware'}"
        )
        self.version = version


class UnknownType(PacketError):
    """A payload of a kind this node does not know; later minor revisions may add some.

    Attributes:
        type_code: the type byte found.
    """

    def __init__(self, type_code: int) -> None:
        """Keeps the type byte."""
        super().__init__(f"packet type 0x{type_code:02x} is not known here: skipped")
        self.type_code = type_code


class MalformedPacket(PacketError):
    """A payload whose CRC holds but whose contents cannot be.

    Attributes:
        packet: name of the packet class.
        reason: what is wrong with it.
    """

    def __init__(self, packet: str, reason: str) -> None:
        """Keeps class name and reason."""
        super().__init__(f"{packet} packet refused: {reason}")
        self.packet = packet
        self.reason = reason


def require(condition: bool, packet: object, reason: str) -> None:
    """Refuses a packet, with its class name and the reason, unless the condition holds."""
    if not condition:
        name = packet if isinstance(packet, str) else type(packet).__name__
        raise MalformedPacket(name, reason)


def unpack(layout: struct.Struct, payload: bytes, packet: str) -> tuple[int, ...]:
    """Reads the fixed part of a payload; bytes after it are left to later revisions."""
    if len(payload) < layout.size:
        raise MalformedPacket(packet, f"{len(payload)} bytes, at least {layout.size} wanted")
    return layout.unpack_from(payload)
