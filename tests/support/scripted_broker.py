"""A broker in a few lines that may lie: a function of the test answers each packet."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 2, 3, 4, 8, 12, 14
KEEP_ALIVE, MAXIMUM_PACKET, RECEIVE_MAXIMUM = 0x13, 0x27, 0x21
MAXIMUM_QOS, RETAIN_AVAILABLE, SERVER_REFERENCE = 0x24, 0x25, 0x1C
"""Properties of MQTT 5."""


@dataclass(frozen=True)
class Packet:
    """One packet of the client, with its first byte, and of a PUBLISH topic, number, payload."""

    first: int
    body: bytes
    topic: str = ""
    number: int = 0
    payload: bytes = b""

    @property
    def kind(self) -> int:
        """Its type."""
        return self.first >> 4

    @property
    def qos(self) -> int:
        """Of a PUBLISH."""
        return self.first >> 1 & 3

    @property
    def retain(self) -> bool:
        """Of a PUBLISH."""
        return bool(self.first & 1)

    @property
    def size(self) -> int:
        """Its length on the wire."""
        return len(frame(self.first, self.body))

    @property
    def five(self) -> bool:
        """Of a CONNECT: whether it is MQTT 5."""
        return self.body[6] == 5


@dataclass
class Peer:
    """One connection, as a script sees it."""

    broker: ScriptedBroker
    number: int
    connection: socket.socket
    five: bool = True
    taken: list[Packet] = field(default_factory=list)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.connection.sendall(data)

    def close(self) -> None:
        """End the connection, at once and without a reason."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def welcome(self, properties: bytes = b"", reason: int = 0) -> None:
        """Answer CONNECT."""
        listed = bytes([len(properties)]) + properties if self.five else b""
        self.send(frame(CONNACK << 4, bytes([0, reason]) + listed))

    def acknowledge(self, packet: Packet, reason: int = 0) -> None:
        """Answer a PUBLISH, if it wants an answer; where the reason is success, it has arrived."""
        if reason < 0x80:
            self.broker.arrived.append(packet)
        if packet.qos:
            code = bytes([reason, 0]) if self.five and reason else b""
            self.send(frame(PUBACK << 4, packet.number.to_bytes(2, "big") + code))


Script = Callable[[Peer, Packet], None]


def honest(peer: Peer, packet: Packet) -> None:
    """Answer as a broker does."""
    if packet.kind == CONNECT:
        peer.welcome()
    elif packet.kind == PUBLISH:
        peer.acknowledge(packet)
    elif packet.kind == PINGREQ:
        peer.send(b"\xd0\x00")
    elif packet.kind == SUBSCRIBE:
        listed = b"\x00" if peer.five else b""
        peer.send(frame(0x90, packet.body[:2] + listed + b"\x00"))


class ScriptedBroker:
    """It serves every connection by its script, which may be changed at any time.

    Attributes:
        script: Called with each packet.
        packets: All that came, of all connections.
        arrived: The PUBLISHes that it took, acknowledged ones and those at QoS 0.
        connections: How many were made.
    """

    def __init__(self, script: Script = honest) -> None:
        self.script = script
        self.packets: list[Packet] = []
        self.arrived: list[Packet] = []
        self.peers: list[Peer] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]

    @property
    def connections(self) -> int:
        """How many were made."""
        return len(self.peers)

    def events(self) -> list[dict[str, Any]]:
        """The events that arrived."""
        return [json.loads(p.payload) for p in list(self.arrived) if p.topic.endswith("/event")]

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Break all connections, accept no more."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for peer in self.peers:
            peer.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                peer = Peer(self, len(self.peers), connection)
                self.peers.append(peer)
                threading.Thread(target=self._serve, args=[peer], daemon=True).start()

    def _serve(self, peer: Peer) -> None:
        with suppress(OSError, EOFError), peer.connection:
            stream = peer.connection.makefile("rb")
            while True:
                packet = _read(stream, peer)
                self.packets.append(packet)
                peer.taken.append(packet)
                self.script(peer, packet)


def frame(first: int, body: bytes) -> bytes:
    """Return a packet."""
    length, digits = len(body), b""
    while True:
        length, digit = divmod(length, 128)
        digits += bytes([digit | (128 if length else 0)])
        if not length:
            return bytes([first]) + digits + body


def text(content: str) -> bytes:
    """Return a text as MQTT encodes it."""
    return len(content.encode()).to_bytes(2, "big") + content.encode()


def _read(stream: Any, peer: Peer) -> Packet:
    first = _exactly(stream, 1)[0]
    length = shift = 0
    while True:
        digit = _exactly(stream, 1)[0]
        length |= (digit & 127) << shift
        shift += 7
        if digit < 128:
            break
    body = _exactly(stream, length)
    if first >> 4 == CONNECT:
        peer.five = body[6] == 5
    if first >> 4 != PUBLISH:
        return Packet(first, body)
    at = 2 + int.from_bytes(body[:2], "big")
    topic, number = body[2:at].decode(), 0
    if first >> 1 & 3:
        number, at = int.from_bytes(body[at : at + 2], "big"), at + 2
    if peer.five:
        at += 1 + body[at]
    return Packet(first, body, topic, number, body[at:])


def _exactly(stream: Any, count: int) -> bytes:
    data: bytes = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
