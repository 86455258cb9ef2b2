"""Bound what a broker may send: the client library collects up to 256 MiB and has no limit."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from .reasons import PROTOCOL_ERROR, LinkLost

MAX_INCOMING_BYTES = 65_536
"""The node expects acknowledgements only: a longer message is read and dropped, and a broker that
sends any other longer packet is left."""
RECEIVE_BUFFER_BYTES = 16_384
"""Receive buffer of the kernel for the connection; it bounds what is read at a time."""
MOST_ANSWERS = 100
"""Packets that wait to be written: the node sends a few messages at a time."""
PUBLISH, PUBACK, PINGRESP, QOS_2 = 0x30, 0x40, 0xD0, 0x04
"""First byte of some packets of MQTT, without flags, and a flag of the first."""


class Incoming:
    """What arrives at a client of one connection.

    The library's buffer and what reads it are private; a test checks that they still are what they
    are taken for.

    Args:
        client: Its packets are bounded from now on, where `check` is called after each reading.

    Attributes:
        dropped: Messages that were too long and were dropped.
        reason: Of the acknowledgement that is being read, with the number of its message.
    """

    def __init__(self, client: Client) -> None:
        self.dropped = 0
        self.reason: tuple[int, ReasonCode] | None = None
        self._client = client
        self._dropping: dict[str, Any] | None = None
        self._handle = client._packet_handle
        setattr(client, "_packet_handle", self._handle_packet)  # noqa: B010
        client.on_socket_open = _shrink_buffer

    @property
    def is_dropping(self) -> bool:
        """Whether a message that is too long has begun to arrive and has not ended."""
        return self._dropping is not None

    def check(self) -> bool:
        """Drop what has arrived of a message that is too long; return whether there was any.

        Raises:
            LinkLost: Another packet is too long, or what the library keeps would grow without end.
        """
        if len(getattr(self._client, "_out_packet", ())) > MOST_ANSWERS:
            raise _violation("the broker demands answers and does not read them")
        packet = getattr(self._client, "_in_packet", None)
        if not isinstance(packet, dict):
            return False
        was_dropping = self.is_dropping
        if packet is not self._dropping:
            self._dropping = None
        length = packet.get("remaining_length", 0)
        if length > MAX_INCOMING_BYTES:
            if packet["command"] & 0xF0 != PUBLISH:
                raise _violation(f"the broker sends a packet of {length} bytes")
            # From here on it is an answer to a ping, which has no content: the library reads to its
            # end, hands nothing on, and knows that the broker is alive.
            packet["command"], packet["remaining_length"] = PINGRESP, 0
            self._dropping = packet
            self.dropped += 1
        if self.is_dropping:
            packet["packet"].clear()
        return was_dropping or self.is_dropping

    def _handle_packet(self) -> MQTTErrorCode:
        """Read a whole packet, changed where the library would stumble over it or keep it."""
        packet = getattr(self._client, "_in_packet")  # noqa: B009
        kind, body = packet["command"] & 0xF0, packet["packet"]
        if kind == PUBACK and len(body) > 2:
            # Of the reasons, the library knows those that the standard has for this packet; brokers
            # send others too, "packet too large" for one. Properties are of no use here.
            self.reason = int.from_bytes(body[:2], "big"), named(body[2])
            del body[2:]
            packet["remaining_length"] = 2
        elif kind == PUBLISH and packet["command"] & QOS_2:
            # The node subscribed with QoS 0. The library would keep it until it is released.
            packet["command"] &= ~QOS_2
            at = 2 + int.from_bytes(body[:2], "big")
            del body[at : at + 2]
            packet["remaining_length"] = len(body)
        return self._handle()


def named(code: int) -> ReasonCode:
    """Return a reason code of MQTT 5 with its name, also where the packet may not have it."""
    for kind in (PacketTypes.PUBACK, PacketTypes.DISCONNECT, PacketTypes.CONNACK):
        with suppress(Exception):  # which one depends on the library's version
            return ReasonCode(kind, identifier=code)
    return ReasonCode(PacketTypes.PUBACK, identifier=0x80 if code >= 0x80 else 0)


def _violation(text: str) -> LinkLost:
    return LinkLost(text, code=PROTOCOL_ERROR, by_broker=True)


def limits() -> Properties:
    """Return the properties of CONNECT that bound what the broker may send."""
    make: Callable[[int], Any] = Properties  # which has no annotations
    properties = make(PacketTypes.CONNECT)
    properties.MaximumPacketSize = MAX_INCOMING_BYTES
    return cast(Properties, properties)


def _shrink_buffer(client: Client, userdata: Any, connection: Any) -> None:
    # The library reads up to a hundred times what the kernel has before it returns;
    # acknowledgements need no more.
    if isinstance(connection, socket.socket):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
