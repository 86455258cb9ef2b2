"""A sensor behind a TCP port, on a line that loses, repeats and damages frames."""

from __future__ import annotations

import random
import socket
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
MOST_UNREAD_BYTES = 8192
"""What the node's kernel may hold before the player waits: six seconds of data."""
PACKETS_A_LOOK = 8
BRIDGED_SECONDS = WindowSettings().fill_seconds
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
        self._packets = 0

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
        except OSError:
            # Whoever kills the node notes the break; one that hangs up by itself has no excuse.
            self._connection.close()
            self._connection = None

    def is_read(self) -> bool:
        """Whether the next packet can be sent: the node keeps up, or nothing is plugged in.

        On a busy machine, and while the node starts, the replay waits: its time can.
        """
        self._packets += 1
        if self._listener is None:
            return True
        return self.is_called() and (
            self._packets % PACKETS_A_LOOK > 0 or self.unread_bytes() < MOST_UNREAD_BYTES
        )

    def unread_bytes(self) -> int:
        """What has reached the node's side of the connection and was not read by it."""
        if self._connection is None:
            return 0
        with suppress(OSError):
            theirs = f"0100007F:{self._connection.getpeername()[1]:04X}"
            ours = f"0100007F:{self.port:04X}"
            for line in Path("/proc/net/tcp").read_text().splitlines():
                fields = line.split()
                if fields[1:3] == [theirs, ours]:
                    return int(fields[4].split(":")[1], 16)
        return 0

    def _put(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.settimeout(PATIENCE_SECONDS)
        self._connection.sendall(data)
        self._connection.setblocking(False)

    def is_called(self) -> bool:
        """Whether the node is there."""
        self._look_for_reader()
        return self._connection is not None

    def _look_for_reader(self) -> None:
        if self._listener is not None and self._connection is None:
            with suppress(BlockingIOError):
                self._connection, _ = self._listener.accept()
                self._connection.setblocking(False)

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
