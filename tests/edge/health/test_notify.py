"""Notifications at systemd's socket, and that one which does not read costs nothing."""

import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing

import pytest
from eqedge.edge.health.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A socket like systemd's, and its address as the environment gives it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@eqedge-{uuid.uuid4()}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as receiver:
        receiver.bind("\0" + name[1:] if name.startswith("@") else name)
        receiver.settimeout(120)
        yield receiver, name


def test_ready_status_watchdog_stopping(manager):
    """Each notification arrives as one datagram, in systemd's form."""
    receiver, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "60000000"})
    assert notifier.watchdog_seconds == 60
    notifier.ready("waiting for samples")
    notifier.watchdog()
    notifier.status("3 events")
    notifier.stopping()
    got = [receiver.recv(1000).decode() for _ in range(4)]
    assert got == [
        "READY=1\nSTATUS=waiting for samples",
        "WATCHDOG=1",
        "STATUS=3 events",
        "STOPPING=1",
    ]
    notifier.close()
    assert notifier.counts.unsent == 0


def test_a_status_cannot_contain_another_assignment(manager):
    """A line break in a text that quotes a device or broker stays within the status."""
    receiver, name = manager
    Notifier({"NOTIFY_SOCKET": name}).status("broken\nWATCHDOG=trigger\n" + "x" * 500)
    text = receiver.recv(1000).decode()
    assert text.startswith("STATUS=broken WATCHDOG=trigger") and "\n" not in text
    assert len(text) < 250


def test_without_a_manager_nothing_happens():
    """For a node that is started by hand."""
    notifier = Notifier({})
    notifier.ready("x")
    notifier.watchdog()
    notifier.close()
    notifier.stopping()
    assert notifier.counts.unsent == 0 and notifier.watchdog_seconds is None


def test_a_manager_that_is_gone_or_does_not_read_is_counted(tmp_path):
    """No socket there, or one whose queue is full: no error, no waiting."""
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")})
    gone.ready()
    gone.stopping()
    assert gone.counts.unsent == 2, "stopping does not try a manager that is gone again"
    path = str(tmp_path / "full")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as receiver:
        receiver.bind(path)
        full = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "60000000"})
        assert full.ready() and full.watchdog()
        begin = time.monotonic()
        for _ in range(2000):
            full.status("x")
        assert not full.ready() and not full.watchdog()
        assert full.counts.unsent > 2
        assert time.monotonic() - begin < 60, "a wait of 30 ms for each would take longer"


def test_stopping_waits_a_little_for_a_full_queue(tmp_path):
    """It arrives where the manager reads again soon; where it does not, the end comes anyway."""
    path = str(tmp_path / "busy")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as receiver:
        receiver.bind(path)
        notifier = Notifier({"NOTIFY_SOCKET": path})
        while notifier.counts.unsent == 0:
            notifier.status("x")
        notifier.stopping()
        assert notifier.counts.unsent > 2, "it tried more than once and came back"
        received = []

        def read():
            while "STOPPING=1" not in received:
                received.append(receiver.recv(1000).decode())

        reader = threading.Timer(0.2, read)
        reader.start()
        notifier.stopping()
        reader.join(60)
        assert received[-1] == "STOPPING=1"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_only_a_watchdog_of_this_process_counts(environ, expected):
    """The watchdog of another process gets no pings from here."""
    assert Notifier(environ).watchdog_seconds == expected


def test_the_socket_is_not_inherited(manager):
    """A child process has no descriptor of the socket."""
    _, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    count = "import os; print(len(os.listdir('/proc/self/fd')))"
    command = [sys.executable, "-c", count]
    with_notifier = subprocess.run(command, capture_output=True, check=True).stdout
    notifier.close()
    assert subprocess.run(command, capture_output=True, check=True).stdout == with_notifier
