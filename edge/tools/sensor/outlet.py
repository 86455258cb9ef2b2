"""The device's end of a line: a pseudo-terminal or a TCP port for one reader."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
import tty

from .... import EqedgeError, reason_of

LAST_READ_MILLISECONDS = 500
"""A reader has this time for the last bytes before the line closes."""
SETTLE_SECONDS = 0.05
"""A reader flushes its input just after it has opened the line."""


class OutletError(EqedgeError):
    """The line cannot be opened.

    Attributes:
        where: The TCP port or pseudo-terminal.
    """

    def __init__(self, where: str, why: str) -> None:
        """Name the line and the reason."""
        super().__init__(f"cannot offer {where}: {why}")
        self.where = where


class Outlet:
    """One line; bytes sent without a reader are lost, as on a real line."""

    def __init__(self, tcp_port: int | None = None) -> None:
        """Open a pseudo-terminal, or a TCP port on this computer (0: any free one)."""
        self._listener: socket.socket | None = None
        self._descriptor: int | None = None
        self._connection: socket.socket | None = None
        if tcp_port is None:
            self._descriptor, slave = os.openpty()
            tty.setraw(slave)
            self.url = os.ttyname(slave)
            os.close(slave)  # from now on the line is hung up until a reader opens it
            os.set_blocking(self._descriptor, False)
            return
        try:
            self._listener = socket.create_server(("127.0.0.1", tcp_port))
        except OSError as error:
            raise OutletError(f"TCP port {tcp_port}", reason_of(error)) from error
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def wait_for_reader(self) -> None:
        """Return when a reader has opened the line."""
        if self._listener is not None:
            self._accept()
            return
        poll = select.poll()
        poll.register(self._file(), 0)
        while any(event & select.POLLHUP for _, event in poll.poll(0)):
            time.sleep(0.005)
        time.sleep(SETTLE_SECONDS)

    def send(self, data: bytes, patient: bool = False) -> None:
        """Send bytes; if the reader is slow, wait (patient) or drop what does not fit."""
        view = memoryview(data)
        while view and self._open():
            try:
                sent = os.write(self._file(), view)
            except BlockingIOError:
                if not patient:
                    return
                select.select([], [self._file()], [], 0.5)
                continue
            except OSError:
                self._hang_up()
                return
            view = view[sent:]

    def receive(self, timeout_seconds: float) -> bytes:
        """Return what the reader sent, perhaps nothing; accept a new reader if the last left."""
        began = time.monotonic()
        data = b""
        if self._open() or self._listener is not None:
            source = self._file()
            if select.select([source], [], [], timeout_seconds)[0]:
                if not self._open():
                    self._accept()
                else:
                    data = self._read()
        if not data:  # a pty without a reader is always "ready"
            left = timeout_seconds - (time.monotonic() - began)
            time.sleep(max(0.0, min(left, timeout_seconds)))
        return data

    def close(self) -> None:
        """Close the line; a pty's reader first gets half a second to read the last bytes."""
        if self._descriptor is not None:
            poll = select.poll()
            poll.register(self._descriptor, 0)
            poll.poll(LAST_READ_MILLISECONDS)  # returns at once when the reader hangs up
        self._hang_up()
        if self._listener is not None:
            self._listener.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self) -> bytes:
        try:
            data = os.read(self._file(), 4096)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EIO):
                self._hang_up()
            return b""
        if not data:
            self._hang_up()
        return data

    def _open(self) -> bool:
        return self._descriptor is not None or self._connection is not None

    def _file(self) -> int:
        """Return the open line's descriptor; without a connection, the listener's."""
        if self._connection is not None:
            return self._connection.fileno()
        if self._listener is not None:
            return self._listener.fileno()
        return self._descriptor if self._descriptor is not None else -1

    def _accept(self) -> None:
        if self._listener is not None:
            self._connection, _ = self._listener.accept()
            self._connection.setblocking(False)
            time.sleep(SETTLE_SECONDS)

    def _hang_up(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
        self._connection = None
