"""Where health is left for others: two files, and an HTTP endpoint."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from ..delivery.file import OutputError
from ..files import written_whole
from ..settings.node import HealthSettings
from ..types import Message
from .liveness import State

REQUEST_SECONDS = 5.0
"""A client of the HTTP endpoint that takes longer for its whole request is cut off."""
MOST_CLIENTS = 8
"""At a time; another one takes the place of the one that has been at it longest."""
LOOK_SECONDS = 1.0
"""How often the endpoint looks for clients that take too long, and whether it shall end."""


class HealthFiles:
    """Where health is left for others: a JSON file, a Prometheus text file, each always whole.

    Args:
        settings: Which of them are wanted, and where.
        notice: Told one line when a file stops or starts being written.

    Attributes:
        errors: Files that could not be written; the next ones are tried all the same.
    """

    def __init__(self, settings: HealthSettings, notice: Callable[[str], None]) -> None:
        """Take the paths; nothing is written yet."""
        self.errors = 0
        self._json = Path(settings.json_file) if settings.json_file else None
        self._prometheus = Path(settings.prometheus_file) if settings.prometheus_file else None
        self._notice = notice
        self._refused: set[Path] = set()

    def write(self, record: Message, text: str) -> None:
        """Replace both files, as far as they are wanted."""
        if self._json is not None:
            self._replace(self._json, json.dumps(record, indent=1) + "\n")
        if self._prometheus is not None:
            self._replace(self._prometheus, text)

    def _replace(self, path: Path, text: str) -> None:
        try:
            # The collector is another user, and the service's umask is strict.
            with written_whole(path, mode=0o644) as unfinished:
                unfinished.write_text(text)
        except OSError as error:
            self.errors += 1
            if path not in self._refused:
                self._refused.add(path)
                self._notice(
                    f"health file {path} cannot be written: {error.strerror}; it wants a folder "
                    "that exists and that this program may write to"
                )
            return
        if path in self._refused:
            self._refused.remove(path)
            self._notice(f"health file {path} is written again")


class HealthServer:
    """`/metrics` and `/health` over HTTP: what it was last given, to a few clients at a time."""

    def __init__(self, host: str, port: int) -> None:
        """Listen.

        Args:
            host: Address; 127.0.0.1 keeps it on the node.
            port: TCP port; 0 takes a free one.

        Raises:
            OutputError: The port is taken or the address is not ours.
        """
        self._record: Message = {}
        self._text = ""
        try:
            self._server = _Server((host, port), self._handler())
        except OSError as error:
            raise OutputError(
                f"cannot serve health on {host}:{port}: {error.strerror}; choose another port, or "
                "correct http_host"
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": LOOK_SECONDS},
            daemon=True,
        )
        self._thread.start()

    def publish(self, record: Message, text: str) -> None:
        """Serve these from now on."""
        self._record, self._text = record, text

    def close(self) -> None:
        """Stop listening, at once; whoever is still being served is left."""
        with suppress(OSError):  # ends the wait for a client, which would last LOOK_SECONDS
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str) -> tuple[int, str, str]:
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4", self._text
        if path == "/health":
            well = self._record.get("state") == State.HEALTHY.name.lower()
            return 200 if well else 503, "application/json", json.dumps(self._record) + "\n"
        return 404, "text/plain", "/metrics or /health\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, text = answer(self.path)
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: a scrape every few seconds is no news."""

        return Handler


def family_of(host: str) -> socket.AddressFamily:
    """Return the kind of an address to listen on: of IPv6 only addresses have colons."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Server(ThreadingHTTPServer):
    """A thread a client, so that none waits for another; nor does the end of the program."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 4 * MOST_CLIENTS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._deadlines: dict[socket.socket, float] = {}
        self.address_family = family_of(address[0])
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind, without asking the DNS for the node's name as HTTPServer does."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a client, if need be in the place of the one that has been at it longest."""
        served = list(self._deadlines)
        for oldest in served[: max(0, len(served) + 1 - MOST_CLIENTS)]:
            self._cut_off(oldest)
        self._deadlines[request] = time.monotonic() + REQUEST_SECONDS
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Cut off who has taken too long: a byte now and then keeps nobody here."""
        now = time.monotonic()
        for request, deadline in list(self._deadlines.items()):
            if now > deadline:
                self._cut_off(request)

    def shutdown_request(self, request: Any) -> None:
        """Let go of a client."""
        self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away early is no news."""

    def _cut_off(self, request: socket.socket) -> None:
        self._deadlines.pop(request, None)
        with suppress(OSError):  # it may just have been let go
            request.shutdown(socket.SHUT_RDWR)
