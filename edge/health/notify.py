"""Notify systemd: ready, alive, status, stopping; nothing where it does not listen."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ...firmware_bridge.measured import counter

MAX_STATUS_CHARS = 200
STOPPING_WAIT_SECONDS = 1.0
"""How long `stopping` tries to reach a manager whose queue is full; the stream is over by then."""
RETRY_SECONDS = 0.02
FULL = (errno.EAGAIN, errno.ENOBUFS)
"""Errors of a manager that is there but does not read at the moment."""


@dataclass
class NotifyCounts:
    """What systemd did not receive."""

    unsent: int = counter(
        "notify_unsent_total", "Notifications not sent: systemd's queue was full, or it was gone."
    )


class Notifier:
    """Sends by sd_notify's protocol; a service manager that is gone or does not read costs nothing.

    Args:
        environ: Has `NOTIFY_SOCKET` and `WATCHDOG_USEC` where systemd wants notifications.

    Attributes:
        watchdog_seconds: Within this time `watchdog` must be called again, or systemd kills the
            service; None where it has no watchdog. A third of it is a good interval.
        counts: Attempts to send that failed.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.counts = NotifyCounts()
        self.watchdog_seconds = _watchdog_seconds(environ)
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]  # Linux's abstract namespace
        self._is_full = False
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # A manager with a full queue must not hold up the samples.
            self._socket.setblocking(False)

    def ready(self, status: str = "") -> bool:
        """Send that the start is over: model loaded, outputs open.

        Returns:
            Whether it was sent, or no one listens. If not, call again soon: systemd ends a service
            that does not report ready in time.
        """
        return self._send("READY=1", *_status_line(status))

    def status(self, text: str) -> None:
        """Send one line that `systemctl status` shows."""
        self._send(*_status_line(text))

    def watchdog(self) -> bool:
        """Send that the node is alive; call it only while samples, inference and output are.

        Returns:
            Whether it was sent, or no one listens. If not, the watchdog's time runs on; call again
            soon.
        """
        return self.watchdog_seconds is None or self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Send that the node stops, with a short wait where the manager's queue is full."""
        deadline = time.monotonic() + STOPPING_WAIT_SECONDS
        while not self._send("STOPPING=1") and self._is_full and time.monotonic() < deadline:
            time.sleep(RETRY_SECONDS)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> bool:
        if self._socket is None or not lines:
            return True
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            self.counts.unsent += 1
            self._is_full = error.errno in FULL
            return False
        return True


def _status_line(text: str) -> list[str]:
    # One line: a second one would be an assignment of its own, and text may quote a device.
    return [f"STATUS={' '.join(text.split())[:MAX_STATUS_CHARS]}"] if text else []


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """Return the time systemd allows, if its watchdog is for this very process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() and int(microseconds) else None
