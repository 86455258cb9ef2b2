"""Write health to two files; serve it over HTTP."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

from ... import reason_of
from ...firmware_bridge.measured import counter
from ..delivery.errors import OutputFileError
from ..delivery.notices import Notices
from ..files import written_whole
from ..settings.health import HealthSettings
from ..types import Message
from .liveness import State

REQUEST_SECONDS = 5.0
"""A client of the HTTP endpoint that takes longer for its whole request is disconnected."""
MOST_CLIENTS = 8
"""Clients at a time; another one replaces the one that has been connected longest."""
ALLOWED = "GET, HEAD"
"""Methods that the endpoint answers."""
POLL_SECONDS = 1.0
"""How often the endpoint looks for clients that take too long, and for its own end."""

logger = logging.getLogger(__name__)


@dataclass
class HealthFileCounts:
    """What became of the files."""

    errors: int = counter(
        "health_errors_total", "Health files that could not be written.", degrades=1
    )


class HealthFiles:
    """Writes a JSON file and a Prometheus text file, each always whole.

    A file that cannot be written is logged once and counted; the next record is tried again.

    Args:
        settings: Which of them are written, and where.

    Attributes:
        counts: Files that could not be written.
    """

    def __init__(self, settings: HealthSettings) -> None:
        self.counts = HealthFileCounts()
        self._json = Path(settings.json_file) if settings.json_file else None
        self._prometheus = Path(settings.prometheus_file) if settings.prometheus_file else None
        self._notices = Notices(logger)

    def write(self, record: Message, text: str) -> None:
        """Replace the files that the settings name."""
        if self._json is not None:
            self._replace(self._json, json.dumps(record, indent=1) + "\n")
        if self._prometheus is not None:
            self._replace(self._prometheus, text)

    def _replace(self, path: Path, text: str) -> None:
        try:
            # The collector runs as another user, and the service's umask is strict.
            with written_whole(path, mode=0o644) as unfinished:
                unfinished.write_text(text)
        except OSError as error:
            self.counts.errors += 1
            self._notices.begin(
                str(path),
                f"health file {path} cannot be written: {reason_of(error)}; use a folder that "
                "exists and that this program may write to",
            )
            return
        self._notices.end(str(path), f"health file {path} is written again")


class HealthServer:
    """Serves the newest record over HTTP, as `/metrics` and `/health`, to a few clients at a time.

    Args:
        host: Address; 127.0.0.1 keeps it on the node.
        port: TCP port; 0 takes a free one.

    Raises:
        OutputFileError: The port is taken or the address is not one of this machine's.
    """

    def __init__(self, host: str, port: int) -> None:
        self._record: Message = {}
        self._text = ""
        try:
            self._server = _Server((host, port), self._handler())
        except OSError as error:
            raise OutputFileError(
                f"cannot serve health on {host}:{port}: {reason_of(error)}; choose another port, "
                "or correct http_host"
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": POLL_SECONDS},
            daemon=True,
        )
        self._thread.start()

    def publish(self, record: Message, text: str) -> None:
        """Serve these from now on."""
        self._record, self._text = record, text

    def close(self) -> None:
        """Stop listening, at once; clients that are being served are left."""
        with suppress(OSError):  # ends the wait for a client, which would last POLL_SECONDS
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, target: str) -> tuple[int, str, str]:
        """Return status, type and body; what follows a `?` changes nothing."""
        try:
            path = urlsplit(target).path
        except ValueError:
            path = ""
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4", self._text
        if path == "/health":
            well = self._record.get("state") == State.HEALTHY.name.lower()
            return 200 if well else 503, "application/json", json.dumps(self._record) + "\n"
        return 404, "text/plain", "/metrics or /health\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            default_request_version = "HTTP/1.0"  # an error is answered with a status too

            def do_GET(self) -> None:
                self._reply(*answer(self.path))

            def do_HEAD(self) -> None:
                self._reply(*answer(self.path))

            def send_error(
                self, code: int, message: str | None = None, explain: str | None = None
            ) -> None:
                """Answer a request that is none in one line of text; other methods are 405."""
                if code == HTTPStatus.NOT_IMPLEMENTED:
                    code, message = HTTPStatus.METHOD_NOT_ALLOWED, f"use {ALLOWED}"
                self.close_connection = True
                text = message or HTTPStatus(code).phrase
                self._reply(code, "text/plain", f"{text.encode('ascii', 'replace').decode()}\n")
                # A body that nobody read would reset the connection before the answer is read.
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_WR)
                    while self.connection.recv(65_536):
                        pass

            def version_string(self) -> str:
                """Name the program, without its versions."""
                return "eqedge"

            def _reply(self, status: int, kind: str, text: str) -> None:
                body = text.encode()
                self.send_response(status)
                if status == HTTPStatus.METHOD_NOT_ALLOWED:
                    self.send_header("Allow", ALLOWED)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing: there is a request every few seconds."""

        return Handler


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of an address to listen on: only those of IPv6 have colons."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Server(ThreadingHTTPServer):
    """Has a thread for each client; neither clients nor the program's end wait for one another."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 4 * MOST_CLIENTS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._deadlines: dict[socket.socket, float] = {}
        self.address_family = family_of(address[0])
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without looking up the node's name, as HTTPServer does."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a client; if there are too many, disconnect the oldest."""
        served = list(self._deadlines)
        for oldest in served[: max(0, len(served) + 1 - MOST_CLIENTS)]:
            self._disconnect(oldest)
        self._deadlines[request] = time.monotonic() + REQUEST_SECONDS
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Disconnect clients that take too long, however steadily they send."""
        now = time.monotonic()
        for request, deadline in list(self._deadlines.items()):
            if now > deadline:
                self._disconnect(request)

    def shutdown_request(self, request: Any) -> None:
        """Forget a client and close its connection."""
        self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: a client may disconnect early."""

    def _disconnect(self, request: socket.socket) -> None:
        self._deadlines.pop(request, None)
        with suppress(OSError):  # it may just have been closed
            request.shutdown(socket.SHUT_RDWR)
