"""A serial port by path or pyserial URL, reopened whenever it is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import select
import time
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Protocol

import serial
from serial.tools import list_ports

from .. import EqedgeError
from .address import FORMS, AddressError, port_problem, shown

_READ_BYTES = 65_536
"""Most bytes in one read."""


class PortError(EqedgeError):
    """A port that cannot be opened, with what to do about it.

    Attributes:
        url: The port's name in the settings.
        reason: `"address"`, `"unknown"`, `"permission"`, `"locked"` or `"failed"`.
    """

    def __init__(self, url: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.url = url
        self.reason = reason


class PortState(Enum):
    """State of a port."""

    CLOSED = "closed"
    OPEN = "open"
    LOST = "lost"


class UsbPort(Protocol):
    """Required part of an entry in the list of ports, as of pyserial's ListPortInfo."""

    device: str
    serial_number: str | None


class Port:
    """A byte stream from a serial device that may be unplugged and come back.

    `open` raises an error with a remedy. After it, `read` and `write` raise none: they look for a
    lost device, with growing pauses of random length, first by its USB serial number under any
    name, then by its former name.

    Args:
        url: A path such as `/dev/ttyACM0` or a pyserial URL such as `socket://host:port`.
        baud: Speed; ptys, sockets and USB devices ignore it.
        first_retry_seconds: Pause before the first attempt to reopen.
        longest_retry_seconds: Bound of the pause, which doubles with each failure.
        open_serial: Opens a URL; a test may put its own device here.
        find_ports: Lists the USB serial ports present.
        monotonic: The clock that pauses are measured by.
        jitter: Draws the share of a pause, 0 to 1; pauses last 50 % to 100 % of their length.
    """

    def __init__(
        self,
        url: str,
        baud: int = 115_200,
        *,
        first_retry_seconds: float = 0.25,
        longest_retry_seconds: float = 30.0,
        open_serial: Callable[[str, int], serial.SerialBase] | None = None,
        find_ports: Callable[[], Iterable[UsbPort]] = list_ports.comports,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.url = url
        self.baud = baud
        self.state = PortState.CLOSED
        self.opened_url = ""
        """The name under which the device was last opened."""
        self.usb_serial_number: str | None = None
        self.losses = 0
        """Times that an open port was lost."""
        self.reopenings = 0
        """Times that a lost port was opened again."""
        self.last_fault = ""
        """One line about the latest loss or failed attempt to reopen."""
        self._first_retry = first_retry_seconds
        self._longest_retry = longest_retry_seconds
        self._open_serial = open_serial or _open_exclusively
        self._find_ports = find_ports
        self._monotonic = monotonic
        self._jitter = jitter
        self._serial: serial.SerialBase | None = None
        self._pause = first_retry_seconds
        self._retry_at = 0.0

    def open(self) -> None:
        """Open the port and lock it against other programs.

        Raises:
            PortError: There is no such port, no permission, another program has it, or its name
                cannot be one.
        """
        try:
            self._connect(self.url)
        except (OSError, ValueError, TypeError) as error:  # a SerialException is an OSError
            raise self._explain(error) from error

    def read(self, timeout_seconds: float = 1.0) -> bytes:
        """Return what has arrived, or `b""` after the timeout; reopen a lost port."""
        if self.state is PortState.LOST:
            wait = self._retry_at - self._monotonic()
            if wait > 0.0:
                time.sleep(min(wait, timeout_seconds))
            if self._monotonic() < self._retry_at or not self._reconnect():
                return b""
        if self._serial is None:
            return b""
        try:
            return _read_available(self._serial, timeout_seconds)
        except (OSError, TypeError) as error:  # pyserial reads a closed descriptor as None
            self._lose(error)
            return b""

    def write(self, data: bytes) -> bool:
        """Send bytes; return False if the port is lost: the bytes are then dropped."""
        if self._serial is None:
            return False
        try:
            self._serial.write(data)
        except OSError as error:
            self._lose(error)
            return False
        return True

    def reopen(self) -> None:
        """Close a connection that delivers nothing; the next `read` looks for the device."""
        if self.state is PortState.OPEN:
            self._lose(OSError(errno.ETIMEDOUT, "silent, given up"))
        self._retry_at = self._monotonic()

    def close(self) -> None:
        """Close the port; `open` may be called again."""
        self._drop()
        self.state = PortState.CLOSED

    def __enter__(self) -> Port:
        """Open the port."""
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port."""
        self.close()

    def _connect(self, url: str) -> None:
        self._drop()
        self._serial = self._open_serial(url, self.baud)
        self.state = PortState.OPEN
        self.opened_url = url
        self._pause = self._first_retry
        for port in self._find_ports() if "://" not in url else ():
            if os.path.realpath(port.device) == os.path.realpath(url) and port.serial_number:
                self.usb_serial_number = port.serial_number

    def _reconnect(self) -> bool:
        names = [self.url]
        if self.usb_serial_number is not None:
            with contextlib.suppress(OSError):
                here = [p for p in self._find_ports() if p.serial_number == self.usb_serial_number]
                # A name that now belongs to another device must not be opened in its place.
                taken = {p.device for p in self._find_ports() if p.serial_number}
                names = [p.device for p in here] or [n for n in names if n not in taken]
        for name in names:
            try:
                self._connect(name)
            except (OSError, ValueError, TypeError) as error:
                self.last_fault = f"{name}: {_plain(error)}"
            else:
                self.reopenings += 1
                return True
        self._postpone()
        return False

    def _lose(self, error: BaseException) -> None:
        self._drop()
        self.state = PortState.LOST
        self.losses += 1
        self.last_fault = f"{self.opened_url}: {_plain(error)}"
        self._postpone()

    def _postpone(self) -> None:
        self._retry_at = self._monotonic() + self._pause * (0.5 + 0.5 * self._jitter())
        self._pause = min(self._pause * 2.0, self._longest_retry)

    def _drop(self) -> None:
        if self._serial is not None:
            with contextlib.suppress(OSError):
                self._serial.close()
        self._serial = None

    def _explain(self, error: BaseException) -> PortError:
        number = getattr(error, "errno", None)
        if isinstance(error, AddressError):
            reason, remedy = "address", str(error)
        elif isinstance(error, PermissionError) or number in (errno.EACCES, errno.EPERM):
            reason, remedy = (
                "permission",
                (
                    "permission denied: add yourself to the group that owns it "
                    "(sudo usermod -aG dialout $USER) and log in again"
                ),
            )
        elif number in (errno.EAGAIN, errno.EBUSY) or "lock" in str(error).lower():
            reason, remedy = (
                "locked",
                (
                    "another program reads it (a second eqedge? ModemManager?): "
                    f"stop that first; `fuser {self.url}` names it"
                ),
            )
        elif number == errno.ENOENT:
            found = ", ".join(sorted(port.device for port in self._find_ports())) or "none"
            reason = "unknown"
            remedy = f"there is no such port (ports found: {found}): plug in, or correct the name"
        else:
            reason, remedy = "failed", f"cannot be opened: {_plain(error)}"
        return PortError(self.url, reason, f"port {shown(self.url)}: {remedy}")


def _plain(error: BaseException) -> str:
    return " ".join((getattr(error, "strerror", None) or str(error) or repr(error)).split())


def _open_exclusively(url: str, baud: int) -> serial.SerialBase:
    problem = port_problem(url)
    if problem is not None:
        raise AddressError(problem)
    if "://" in url:
        port = _open_url(url, baud)
    else:
        port = serial.Serial(url, baudrate=baud, timeout=0.0, write_timeout=1.0, exclusive=True)
    assert isinstance(port, serial.SerialBase)
    return port


def _open_url(url: str, baud: int) -> serial.SerialBase:
    try:
        return serial.serial_for_url(url, baudrate=baud, timeout=0.0)
    except (OSError, ValueError, TypeError):
        raise
    except Exception as error:  # each kind of URL raises what its parts do, such as re.error
        raise AddressError(f"it cannot be read ({_plain(error)}); name {FORMS}") from error


def _read_available(port: serial.SerialBase, timeout_seconds: float) -> bytes:
    """Wait for the first bytes and return all there are; pyserial alone would wait for more."""
    try:
        descriptor = port.fileno()
    except OSError:  # loop:// and rfc2217:// have none
        port.timeout = timeout_seconds
        first = bytes(port.read(1))
        port.timeout = 0.0
        return first + bytes(port.read(_READ_BYTES)) if first else b""
    ready, _, _ = select.select([descriptor], [], [], timeout_seconds)
    if not ready:
        return b""
    data = os.read(descriptor, _READ_BYTES)
    if not data:
        raise OSError(errno.EIO, "the other side hung up")
    return data
