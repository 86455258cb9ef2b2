"""A node's delivery to a broker without the node: messages, settings that retry fast, a sink."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from eqedge.edge.delivery.mqtt import Mqtt
from eqedge.edge.delivery.spool import Spool
from eqedge.edge.settings.delivery import MqttSettings

INFO = {"version": "0.1.0", "network": "XX", "station": "EDGE"}
FAST = {"retry_min_seconds": 0.05, "retry_max_seconds": 0.2, "connect_timeout_seconds": 3.0}
CONNACK = b"\x20\x03\x00\x00\x00"
"""A broker's packet that accepts a connection."""


def event(number: int, kind: str = "new", sequence: int = 0, **more: Any) -> dict[str, Any]:
    """Return a message like the daemon's."""
    base = {"schema": 1, "type": kind, "event_id": f"XX.EDGE.00-{number:06d}", "sequence": sequence}
    where = {"network": "XX", "station": "EDGE", "location": "00", "historical": False}
    return {**base, **where, "picks": [], **more}


def ids(messages: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return the numbers of the events, in order."""
    return [int(message["event_id"].rsplit("-", 1)[1]) for message in messages]


def once(numbers: Iterable[int]) -> list[int]:
    """Return the numbers without repetitions, in order of first arrival."""
    return list(dict.fromkeys(numbers))


def numbers(path: Path) -> list[int]:
    """Return the number of each event `e1`, `e2` in a file; a line that is not JSON raises."""
    return [int(json.loads(line)["event_id"][1:]) for line in path.read_bytes().splitlines()]


def settings_for(broker_or_port: Any, **more: Any) -> MqttSettings:
    """Return settings that retry fast."""
    port = getattr(broker_or_port, "port", broker_or_port)
    return MqttSettings(**{"host": "127.0.0.1", "port": port, **FAST, **more})


class Node:
    """A sink and its spool."""

    def __init__(
        self,
        settings: MqttSettings,
        path: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        synchronised: Any = lambda: False,
        **clocks: Any,
    ) -> None:
        self.port = settings.port
        self.spool = Spool(path, **clocks)
        self.sink = Mqtt(
            settings,
            network="XX",
            station="EDGE",
            info=INFO,
            spool=self.spool,
            environ=environ or {},
            synchronised=synchronised,
        )


@contextmanager
def running(settings: MqttSettings, *args: Any, **kwargs: Any) -> Iterator[Node]:
    """A node that is closed at the end."""
    node = Node(settings, *args, **kwargs)
    try:
        yield node
    finally:
        node.sink.close()


class Unanswering:
    """A broker that accepts connections, answers every ping and acknowledges no message."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open = [self._server]
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(4096)
            connection.sendall(CONNACK)
            while data := connection.recv(4096):
                if data.endswith(b"\xc0\x00"):
                    connection.sendall(b"\xd0\x00")

    def __enter__(self) -> Self:
        """It listens already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Break all connections, accept no more."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
