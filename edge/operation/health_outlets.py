"""Where health is left for others: two files, and an HTTP endpoint."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from ..delivery.sinks import OutputError
from ..records import Message
from ..settings import HealthSettings
from .health import State

REQUEST_SECONDS = 5.0
"""A client of the HTTP endpoint that is slower is cut off."""


class HealthFiles:
    """Where health is left for others: a JSON file, a Prometheus text file, each always whole.

    Attributes:
        errors: Files that could not be written; the next ones are tried all the same.
    """

    def __init__(self, settings: HealthSettings) -> None:
        """Take the paths; nothing is written yet."""
        self.errors = 0
        self._json = Path(settings.json_file) if settings.json_file else None
        self._prometheus = Path(settings.prometheus_file) if settings.prometheus_file else None

    def write(self, record: Message, text: str) -> None:
        """Replace both files, as far as they are wanted."""
        if self._json is not None:
            self._replace(self._json, json.dumps(record, indent=1) + "\n")
        if self._prometheus is not None:
            self._replace(self._prometheus, text)

    def _replace(self, path: Path, text: str) -> None:
        # The collector reads every *.prom, so the half-written one is named otherwise.
        half = path.with_name(path.name + ".tmp")
        try:
            half.write_text(text)
            half.chmod(0o644)  # the collector is another user, and the service's umask is strict
            os.replace(half, path)
        except OSError:
            self.errors += 1


class HealthServer:
    """`/metrics` and `/health` over HTTP, one client at a time; serves what it was last given."""

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
            self._server = HTTPServer((host, port), self._handler())
        except OSError as error:
            raise OutputError(
                f"cannot serve health on {host}:{port}: {error.strerror}; choose another port"
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 1.0}, daemon=True
        )
        self._thread.start()

    def publish(self, record: Message, text: str) -> None:
        """Serve these from now on."""
        self._record, self._text = record, text

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(REQUEST_SECONDS)

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
            timeout = REQUEST_SECONDS

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
