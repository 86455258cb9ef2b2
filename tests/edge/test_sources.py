"""Bytes from a timeline and from a port."""

import os
import pty
import socket
import threading
import time
import tty
from types import SimpleNamespace

import numpy as np
import pytest
from eqedge.edge.dating.replayed import SimClock
from eqedge.edge.dating.ticks import TickDatedClock
from eqedge.edge.replay.source import SimSource
from eqedge.edge.replay.stead import Trace
from eqedge.edge.replay.timeline import Timeline
from eqedge.edge.sources import SerialSource
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.dialogue import Command, TimeRequest, Verb
from eqedge.firmware_bridge.packets import Hello, Samples
from eqedge.firmware_bridge.port import Port, PortError

HELLO = Hello("s", "f", 100.0, ("HHE", "HHN", "HHZ"))


def timeline(rng_seed=1, length=3000):
    """Return a timeline of one trace: 0.5 s of lead, the trace, 1 s of tail."""
    wave = np.random.default_rng(rng_seed).standard_normal((length, 3)).astype(np.float32)
    one = Trace("t_NO", wave, 100.0, None, {}, kind="noise")
    return Timeline([one], 100.0, spacing_seconds=1, lead_seconds=0.5, tail_seconds=1)


def decoded(source):
    """Return (counts, hellos) that come through the wire."""
    decoder, counts, hellos = Decoder(), [], []
    for data, _ in source:
        for packet in decoder.feed(data):
            if isinstance(packet, Samples):
                counts.append(packet.counts)
            elif isinstance(packet, Hello):
                hellos.append(packet)
    assert decoder.losses.frames_bad == 0
    return np.concatenate(counts) if counts else np.zeros((0, 3)), hellos


@pytest.mark.parametrize("speed", [None, 200.0])
def test_what_is_played_comes_out_of_the_wire(speed):
    """Count for count, the last partial packet too, at any speed."""
    expected = np.concatenate(list(timeline().stretches()))
    counts, hellos = decoded(SimSource(timeline(), 100.0, 0, speed, threading.Event()))
    np.testing.assert_array_equal(counts, expected)
    assert hellos[0].channels == ("HHE", "HHN", "HHZ")


def test_speed_is_kept():
    """Thirty-one seconds at a hundred times real time last a third of a second, and never less.

    A busy machine makes it longer; the quickest of some runs counts.
    """
    lasted = []
    while len(lasted) < 20 and min(lasted, default=1.0) >= 1.0:
        begin = time.monotonic()
        decoded(SimSource(timeline(), 100.0, 0, 100.0, threading.Event()))
        lasted.append(time.monotonic() - begin)
    assert 0.3 < min(lasted) < 1.0


def test_stop_ends_a_simulation_at_once():
    """Also while it waits for its time: the whole would last five minutes."""
    stop = threading.Event()
    source = SimSource(timeline(), 100.0, 0, 0.1, stop)
    threading.Timer(0.05, stop.set).start()
    begin = time.monotonic()
    decoded(source)
    assert time.monotonic() - begin < 60.0


def test_a_simulation_has_its_own_time():
    """Sample zero is at the start, whenever it is played."""
    clock = SimSource(timeline(), 100.0, 5_000, None, threading.Event()).clock(HELLO)
    assert isinstance(clock, SimClock)
    assert clock.time_ns(100) == 5_000 + 1_000_000_000


@pytest.fixture
def device():
    """A pseudo-terminal: (our end, its name)."""
    ours, theirs = pty.openpty()
    tty.setraw(ours)
    name = os.ttyname(theirs)
    os.close(theirs)
    yield ours, name
    os.close(ours)


def serial_source(name):
    """Return (source, stop) on a port that is looked for again soon."""
    stop = threading.Event()
    port = Port(name, first_retry_seconds=0.01)
    return SerialSource(port, stop), stop


def deliver(reading, device, data):
    """Write to the device once the port is open (opening drops what came before); read it."""
    threading.Timer(0.05, os.write, (device, data)).start()
    return what_came(reading)


def what_came(reading, seconds=120.0):
    """Return the next (bytes, arrival) that are not empty."""
    until = time.monotonic() + seconds
    for arrived in reading:
        if arrived[0]:
            return arrived
        assert time.monotonic() < until, "nothing came"
    raise AssertionError("the source ended")


def test_a_port_is_read_and_written(device):
    """What arrives is yielded with both clocks; the question goes out as a command."""
    ours, name = device
    source, stop = serial_source(name)
    reading = iter(source)
    data, arrival = deliver(reading, ours, b"hello")
    assert data == b"hello"
    assert abs(time.time_ns() - arrival.utc_ns) < 1e9
    assert abs(time.monotonic_ns() - arrival.monotonic_ns) < 1e9
    source.identify()
    (packet,) = Decoder().feed(os.read(ours, 100))
    assert isinstance(packet, Command)
    assert packet.verb == Verb.IDENTIFY
    assert isinstance(source.clock(HELLO), TickDatedClock)
    assert deliver(reading, ours, b"again")[0] == b"again"
    assert deliver(reading, ours, b"and again")[0] == b"and again"
    (question,) = Decoder().feed(os.read(ours, 100))
    assert isinstance(question, TimeRequest)
    stop.set()
    assert list(reading) == []


def test_a_lost_port_is_logged_and_found_again(tmp_path, caplog):
    """The loss is a warning, the return an information; the stream goes on."""
    caplog.set_level("INFO")
    link = tmp_path / "ttySENSOR"
    first, first_slave = pty.openpty()
    link.symlink_to(os.ttyname(first_slave))
    os.close(first_slave)
    source, stop = serial_source(str(link))
    reading = iter(source)
    assert deliver(reading, first, b"one")[0] == b"one"
    os.close(first)
    second, second_slave = pty.openpty()
    tty.setraw(second)
    link.unlink()
    link.symlink_to(os.ttyname(second_slave))
    deadline = time.monotonic() + 120
    while len(caplog.records) < 2 and time.monotonic() < deadline:
        next(reading)
    assert deliver(reading, second, b"two")[0] == b"two"
    logged = [(record.levelname, record.message.split(" (")[0]) for record in caplog.records]
    assert logged == [("WARNING", "port lost"), ("INFO", f"port {link} is back")]
    stop.set()
    assert list(reading) == []
    os.close(second)
    os.close(second_slave)


def test_a_rescue_finds_the_sensor_under_another_name(tmp_path, device):
    """Given up while unplugged; a stranger that has got its name is left alone."""
    ours, name = device
    link, new_link = tmp_path / "ttyACM0", tmp_path / "ttyACM1"
    first, first_slave = pty.openpty()
    tty.setraw(first)
    link.symlink_to(os.ttyname(first_slave))
    plugged = [SimpleNamespace(device=str(link), serial_number="SN-1")]
    stop = threading.Event()
    port = Port(str(link), first_retry_seconds=0.01, find_ports=lambda: list(plugged))
    source = SerialSource(port, stop)
    reading = iter(source)
    assert deliver(reading, first, b"before")[0] == b"before"
    os.close(first_slave)
    os.close(first)
    second, second_slave = pty.openpty()
    tty.setraw(second)
    link.unlink()
    link.symlink_to(os.ttyname(second_slave))
    plugged[0] = SimpleNamespace(device=str(link), serial_number="SN-2")
    source.reopen()
    assert next(reading)[0] == b""
    os.write(second, b"stranger")
    assert next(reading)[0] == b""
    new_link.symlink_to(name)
    plugged.append(SimpleNamespace(device=str(new_link), serial_number="SN-1"))
    source.reopen()
    assert deliver(reading, ours, b"after")[0] == b"after"
    assert port.opened_url == str(new_link)
    stop.set()
    assert list(reading) == []
    os.close(second)
    os.close(second_slave)


def test_a_rescue_opens_a_silent_port_anew():
    """At once, and the sensor sees it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        source, stop = serial_source(f"socket://127.0.0.1:{server.getsockname()[1]}")
        reading = iter(source)
        assert next(reading)[0] == b""
        silent, _ = server.accept()
        source.reopen()
        threading.Timer(0.05, lambda: server.accept()[0].sendall(b"again")).start()
        assert what_came(reading)[0] == b"again"
        assert silent.recv(1) == b""
        silent.close()
        stop.set()
        assert list(reading) == []


def test_a_port_that_is_not_there():
    """At the start it is an error, before any waiting."""
    source, _ = serial_source("/dev/ttyNOWHERE")
    with pytest.raises(PortError, match="there is no such port"):
        next(iter(source))
