"""A sensor behind a TCP port, on a line that loses, repeats and damages frames."""

from __future__ import annotations

import random
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from eqedge.edge.settings.node import WindowSettings
from eqedge.firmware_bridge.packets import Hello
from eqedge.firmware_bridge.virtual import VirtualSensor

from tests.support.broker import PATIENCE_SECONDS, free_port

RATE = 100
PACKET = 25
MOST_UNREAD_SECONDS = 6.0
"""Of data that the node has not read: with more, the player waits."""
PACKETS_A_LOOK = 8
"""The player looks how much is unread when it has sent so many."""
HELD_SECONDS = MOST_UNREAD_SECONDS + PACKETS_A_LOOK * PACKET / RATE
"""Data sent and not read, at most, however busy the machine is."""
LAG_SECONDS = 2 * HELD_SECONDS
"""Data sent and not analysed, at most: held, and in the memory of a node that took all held."""
BRIDGED_SECONDS = WindowSettings().fill_seconds
KILL = "kill"
"""Reason of a break by which the node's memory is lost too."""
BYTES_WRONG, FRAMES_LOST, FRAMES_TWICE = 1e-4, 1e-3, 1e-3


@dataclass(frozen=True)
class Break:
    """Where the stream broke for longer than is bridged, and by what."""

    sample: int
    reason: str


class Sensor:
    """A sensor behind a TCP port on a bad line; what it takes while nobody reads is gone."""

    def __init__(self, rng: random.Random) -> None:
        hello = Hello("soak", "tests/soak.py", float(RATE), ("HHE", "HHN", "HHZ"))
        self.port = free_port()
        self.damaged = self.frames = 0
        self.breaks: list[Break] = []
        self._rng = rng
        self._sensor = VirtualSensor(hello, PACKET)
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None
        self._missing = 0
        self._swallows = False
        self._since_look = 0
        self._sent_bytes = 0
        self._packet_ends: deque[int] = deque()

    def plug_in(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.setblocking(False)

    def unplug(self) -> None:
        """Hang up, and take no calls."""
        for end in (self._connection, self._listener):
            if end is not None:
                end.close()
        self._connection = self._listener = None

    def send(self, counts: np.ndarray, at: int) -> None:
        """Send one packet, if anybody is there."""
        self._look_for_reader()
        if self._connection is None:
            self._sensor.skip(len(counts))
            if self._listener is None:
                self.breaks.append(Break(at, "unplug"))
            return
        packet = self._spoil(self._sensor.push(counts), at)
        try:
            with suppress(BlockingIOError):
                request = self._connection.recv(4096)
                if not request:
                    raise ConnectionResetError
                self._put(self._sensor.receive(request))
            self._put(packet)
            self._packet_ends.append(self._sent_bytes)
            self._since_look += 1
        except OSError:
            # Whoever kills the node notes the break; one that hangs up by itself has no excuse.
            self._connection.close()
            self._connection = None

    def is_read(self) -> bool:
        """Whether the next packet can be sent: the node keeps up, or nothing is plugged in.

        On a busy machine, and while the node starts, the replay waits: its time can. It waits until
        the node has read, so that `LAG_SECONDS` is a bound, which `account.py` relies on.
        """
        if self._listener is None:
            return True
        if not self.is_called():
            return False
        if self._since_look >= PACKETS_A_LOOK:
            if self.unread_seconds() > MOST_UNREAD_SECONDS:
                return False
            self._since_look = 0
        return True

    def unread_seconds(self) -> float:
        """Data that were sent over this connection and that the node has not read, in seconds."""
        read_bytes = self._sent_bytes - self._unread_bytes()
        while self._packet_ends and self._packet_ends[0] <= read_bytes:
            self._packet_ends.popleft()
        return len(self._packet_ends) * PACKET / RATE

    def _unread_bytes(self) -> int:
        """Bytes of this connection on their way or unread on the node's side, or a few more.

        What has come and is not yet acknowledged counts twice.
        """
        if self._connection is None:
            return 0
        unread = 0
        with suppress(OSError):
            theirs = f"0100007F:{self._connection.getpeername()[1]:04X}"
            ours = f"0100007F:{self.port:04X}"
            for line in Path("/proc/net/tcp").read_text().splitlines():
                _, local, remote, _, queues, *_ = line.split()
                sent, received = queues.split(":") if ":" in queues else ("0", "0")
                if (local, remote) == (theirs, ours):
                    unread += int(received, 16)
                elif (local, remote) == (ours, theirs):
                    unread += int(sent, 16)
        return unread

    def _put(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.settimeout(PATIENCE_SECONDS)
        self._connection.sendall(data)
        self._connection.setblocking(False)
        self._sent_bytes += len(data)

    def is_called(self) -> bool:
        """Whether the node is there."""
        self._look_for_reader()
        return self._connection is not None

    def _look_for_reader(self) -> None:
        if self._listener is not None and self._connection is None:
            with suppress(BlockingIOError):
                self._connection, _ = self._listener.accept()
                self._connection.setblocking(False)
                self._packet_ends.clear()

    def _spoil(self, data: bytes, at: int) -> bytes:
        """Lose, damage and repeat frames; the first is the samples' own."""
        out = []
        for number, piece in enumerate(data.split(b"\0")[:-1]):
            self.frames += 1
            whole = bytearray(piece + b"\0")
            luck = self._rng.random()
            lost = luck < FRAMES_LOST
            wrong = self._rng.random() > (1 - BYTES_WRONG) ** len(whole)
            if wrong:
                whole[self._rng.randrange(len(whole))] ^= 1 << self._rng.randrange(8)
            bad = lost or wrong or self._swallows
            # without its zero a frame takes the next one with it
            self._swallows = whole[-1] != 0 if not lost else self._swallows
            self.damaged += bad
            if number == 0:
                self._missing = self._missing + PACKET if bad else 0
                if self._missing > BRIDGED_SECONDS * RATE:
                    self.breaks.append(Break(at, "line"))
            if not lost:
                out.append(bytes(whole) * (2 if luck > 1 - FRAMES_TWICE else 1))
        return b"".join(out)
