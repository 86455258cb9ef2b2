"""The device's end of a line: a pseudo-terminal or a TCP port that one reader opens."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
import tty

from .... import EqedgeError

_LAST_WORDS_MILLISECONDS = 500
_SETTLE_SECONDS = 0.05  # a reader flushes its input just after it opened the line


class OutletError(EqedgeError):
    """The line cannot be offered.

    Attributes:
        where: The TCP port or pseudo-terminal.
    """

    def __init__(self, where: str, why: str) -> None:
        """Names the line and the reason."""
        super().__init__(f"cannot offer {where}: {why}")
        self.where = where


class Outlet:
    """One line; bytes sent while nobody reads are lost, as on a real one."""

    def __init__(self, tcp_port: int | None = None) -> None:
        """Offers a pseudo-terminal, or a TCP port on this computer (0: any free one)."""
        self._listener: socket.socket | None = None
        self._descriptor: int | None = None
        self._connection: socket.socket | None = None
        if tcp_port is None:
            self._descriptor, slave = os.openpty()
            tty.setraw(slave)
            self.url = os.ttyname(slave)
            os.close(slave)  # from now on the line hangs up until somebody opens it
            os.set_blocking(self._descriptor, False)
            return
        try:
            self._listener = socket.create_server(("127.0.0.1", tcp_port))
        except OSError as error:
            raise OutletError(f"TCP port {tcp_port}", error.strerror or str(error)) from error
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def wait_for_reader(self) -> None:
        """Returns when somebody has opened the line."""
        if self._listener is not None:
            self._accept()
            return
        poll = select.poll()
        poll.register(self._file(), 0)
        while any(event & select.POLLHUP for _, event in poll.poll(0)):
            time.sleep(0.005)
        time.sleep(_SETTLE_SECONDS)

    def send(self, data: bytes, patient: bool = False) -> None:
        """Sends bytes; if the reader is slow, waits (patient) or loses what does not fit."""
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
        """Returns what the reader sent, perhaps nothing; takes a new reader if the last left."""
        began = time.monotonic()
        data = b""
        if self._open() or self._listener is not None:
            source = self._file()
            if select.select([source], [], [], timeout_seconds)[0]:
                if not self._open():
                    self._accept()
                else:
                    data = self._read()
        if not data:  # a pty that nobody has open is always "ready"
            left = timeout_seconds - (time.monotonic() - began)
            time.sleep(max(0.0, min(left, timeout_seconds)))
        return data

    def close(self) -> None:
        """Takes the line away; a pty's reader first gets half a second for what is on its way."""
        if self._descriptor is not None:
            poll = select.poll()
            poll.register(self._descriptor, 0)
            poll.poll(_LAST_WORDS_MILLISECONDS)  # returns at once when the reader hangs up
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
        """The open line's descriptor; with nobody connected, the listener's."""
        if self._connection is not None:
            return self._connection.fileno()
        if self._listener is not None:
            return self._listener.fileno()
        return self._descriptor if self._descriptor is not None else -1

    def _accept(self) -> None:
        if self._listener is not None:
            self._connection, _ = self._listener.accept()
            self._connection.setblocking(False)
            time.sleep(_SETTLE_SECONDS)

    def _hang_up(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
        self._connection = None
