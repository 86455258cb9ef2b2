"""Real ptys and sockets: opened, locked, lost, found again."""

import contextlib
import os
import pty
import socket
import time
import tty
from types import SimpleNamespace

import pytest
import serial
from eqedge import EqedgeError
from eqedge.firmware_bridge.port import Port, PortError, PortState


@pytest.fixture
def make_pty():
    """Make pseudo-terminals: (master descriptor, path of the slave)."""
    masters = []

    def make():
        master, slave = pty.openpty()
        tty.setraw(slave)
        path = os.ttyname(slave)
        os.close(slave)
        masters.append(master)
        return master, path

    yield make
    for master in masters:
        with contextlib.suppress(OSError):
            os.close(master)


def read_until_open(port, seconds=120.0):
    """Read until a lost port is found again; return what came meanwhile."""
    data, until = b"", time.monotonic() + seconds
    while port.state is not PortState.OPEN and time.monotonic() < until:
        data += port.read(0.02)
    assert port.state is PortState.OPEN, port.last_fault
    return data


def read_all(port, size, seconds=120.0):
    """Read until so many bytes are there or the time is up."""
    data, until = b"", time.monotonic() + seconds
    while len(data) < size and time.monotonic() < until:
        data += port.read(0.02)
    return data


def test_a_pty_by_path(make_pty):
    """Bytes go both ways, and a silent line gives an empty read after the timeout."""
    master, path = make_pty()
    with Port(path) as port:
        assert port.state is PortState.OPEN
        os.write(master, b"hello\0")
        assert read_all(port, 6) == b"hello\0"
        assert port.write(b"\1\2\3") and os.read(master, 10) == b"\1\2\3"
        began = time.monotonic()
        assert port.read(0.03) == b"" and 0.02 < time.monotonic() - began < 60.0
    assert port.state is PortState.CLOSED
    assert port.read(0.0) == b"" and not port.write(b"x")


def test_loop_url():
    """A pyserial URL without a descriptor works too."""
    with Port("loop://") as port:
        port.write(b"abc" * 50)
        assert read_all(port, 150) == b"abc" * 50
        assert port.read(0.01) == b""


def test_two_daemons_on_one_port(make_pty):
    """The second to open gets an error that the port is in use, and the first reads on."""
    master, path = make_pty()
    with Port(path) as first:
        with pytest.raises(PortError, match="another program") as caught:
            Port(path).open()
        assert caught.value.reason == "locked" and caught.value.url == path
        os.write(master, b"mine")
        assert read_all(first, 4) == b"mine"
    with Port(path):
        pass  # given back on close


def test_no_such_port_lists_those_present():
    """A wrong name is answered with the names there are."""
    port = Port(
        "/dev/ttyNONE", find_ports=lambda: [SimpleNamespace(device="/dev/ttyX9", serial_number="")]
    )
    with pytest.raises(PortError, match="ttyX9") as caught:
        port.open()
    assert caught.value.reason == "unknown" and isinstance(caught.value, EqedgeError)
    assert "\n" not in str(caught.value)


def test_permission_denied_names_dialout(make_pty):
    """Without the right to open the device the remedy is the group's name."""
    _, path = make_pty()
    os.chmod(path, 0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        with pytest.raises(PortError, match="dialout") as caught:
            Port(path).open()
    finally:
        if root:
            os.seteuid(0)
    assert caught.value.reason == "permission"


@pytest.mark.parametrize("url", ["nonsense://x", "socket://127.0.0.1:1", "socket://bad"])
def test_urls_that_cannot_be_opened(url):
    """A URL of no known kind, or no server, is one clear line."""
    with pytest.raises(PortError, match=url) as caught:
        Port(url).open()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["hwgrep://(", "hwgrep://[", "loop://?x=1", "spy:///dev/null?file", "alt://?class"]
)
def test_a_url_on_which_pyserial_fails_is_one_line(url):
    """Whatever pyserial raises while it reads a URL names the URL, not a line of its code."""
    with pytest.raises(PortError) as caught:
        Port(url).open()
    assert str(caught.value).startswith(f"port {url}: ")
    assert "\n" not in str(caught.value)


def test_a_socket_that_hangs_up_is_reopened():
    """The daemon reads on after the server dropped it, without an exception."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        with Port(url, first_retry_seconds=0.01) as port:
            for turn, message in enumerate((b"first", b"second", b"third")):
                assert read_until_open(port) == b"" and port.losses == turn
                connection, _ = server.accept()
                connection.sendall(message)
                assert read_all(port, len(message)) == message
                connection.close()
                assert port.read(60.0) == b"" and "hung up" in port.last_fault


def test_unplugged_and_back_under_another_name(make_pty):
    """The device with the same USB serial number is found although its name has changed."""
    master, path = make_pty()
    plugged = [SimpleNamespace(device=path, serial_number="SN-1")]
    port = Port(path, first_retry_seconds=0.01, find_ports=lambda: list(plugged))
    port.open()
    assert port.usb_serial_number == "SN-1"
    os.write(master, b"before")
    assert read_all(port, 6) == b"before"
    plugged.clear()
    os.close(master)
    assert port.read(0.05) == b"" and port.state is PortState.LOST
    assert not port.write(b"no reader")
    other_master, other_path = make_pty()
    stranger_master, stranger_path = make_pty()
    plugged += [
        SimpleNamespace(device=stranger_path, serial_number="SN-2"),
        SimpleNamespace(device=other_path, serial_number="SN-1"),
    ]
    assert read_until_open(port) == b""
    os.write(stranger_master, b"wrong")
    os.write(other_master, b"after")
    assert read_all(port, 5) == b"after"
    assert port.opened_url == other_path and port.state is PortState.OPEN and port.losses == 1
    port.close()


class Clock:
    """A clock that stands until it is set."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        """The time it was set to."""
        return self.now


class Flaky:
    """Opens once; that port fails at the first read, and nothing opens after."""

    def __init__(self, clock):
        self.clock = clock
        self.opened = []

    def __call__(self, url, baud):
        """Opens, the first time."""
        self.opened.append((self.clock.now, url))
        if len(self.opened) > 1:
            raise serial.SerialException("still gone")
        return self

    def fileno(self):
        """Have none."""
        raise OSError("no descriptor")

    def read(self, size):
        """Fail as a pulled-out device does."""
        raise serial.SerialException("device reports readiness but returned no data")

    def close(self):
        """Have nothing to close."""


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_pauses_double_up_to_their_bound(jitter):
    """Attempts to reopen come at growing intervals, jittered, never beyond the longest."""
    clock = Clock()
    flaky = Flaky(clock)
    port = Port(
        "socket://gone",
        first_retry_seconds=1.0,
        longest_retry_seconds=8.0,
        open_serial=flaky,
        monotonic=clock,
        jitter=lambda: jitter,
    )
    port.open()
    while clock.now < 150.0:
        assert port.read(0.0) == b""
        clock.now += 0.125
    times = [when for when, _ in flaky.opened[1:]]
    gaps = [b - a for a, b in zip([100.0, *times], times, strict=False)]
    wanted = [min(2.0**n, 8.0) * (0.5 + 0.5 * jitter) for n in range(len(gaps))]
    assert len(gaps) >= 6
    assert all(w <= gap <= w + 0.25 for gap, w in zip(gaps, wanted, strict=True))
    assert "still gone" in port.last_fault


def test_a_name_taken_by_another_device_is_not_opened():
    """While the sensor is out, a stranger that got its name is left alone."""
    clock = Clock()
    flaky = Flaky(clock)
    plugged = [SimpleNamespace(device="/dev/ttyS-fake", serial_number="SN-1")]
    port = Port("/dev/ttyS-fake", open_serial=flaky, find_ports=lambda: plugged, monotonic=clock)
    port.open()
    plugged[0] = SimpleNamespace(device="/dev/ttyS-fake", serial_number="SN-2")
    for _ in range(20):
        port.read(0.0)
        clock.now += 40.0
    assert len(flaky.opened) == 1 and port.state is PortState.LOST
