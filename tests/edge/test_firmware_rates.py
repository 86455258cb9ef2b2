"""The reference firmware sampling at other rates than the model's, and the daemon behind it."""

import shutil
import socket
import subprocess

import numpy as np
import pytest
from eqedge.edge.daemon import Daemon
from eqedge.edge.dating.arrivals import Arrival
from eqedge.edge.dating.replayed import SimClock
from eqedge.edge.message import Node
from eqedge.edge.settings.node import Settings
from eqedge.edge.tools.sensor.waveform import waveform_bytes
from eqedge.edge.wire import WireSource
from eqedge.firmware_bridge.packets import Hello

from ..support.sinks import Kept

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture
def program(make_firmware):
    """The firmware built for this machine."""
    return make_firmware("host") / "sensor"


class Recorded:
    """A source of bytes that were taken from a board, on the recording's own time."""

    losses = reopenings = 0

    def __init__(self, data):
        self._data = data

    def __iter__(self):
        """Yield them in portions."""
        for at in range(0, len(self._data), 4096):
            yield self._data[at : at + 4096], Arrival(0, 0)

    def clock(self, hello):
        """Sample 0 was taken at 0."""
        return SimClock(0, hello.rate_hz)

    def identify(self):
        """Do nothing: its Hello has come."""


@pytest.mark.parametrize("rate", [62.5, 250.0])
def test_a_board_of_another_rate_is_picked(model, stream, program, tmp_path, rate):
    """Its C code frames 62.5 or 250 samples a second; P and S are found where they were put."""
    counts, p, s = stream
    seconds = np.arange(round(len(counts) * rate / 100)) / rate
    taken = np.stack([np.interp(seconds, np.arange(len(counts)) / 100, x) for x in counts.T], 1)
    hello = Hello("board", "", rate, ("HNE", "HNN", "HNZ"), adc_bits=32)
    wave = tmp_path / "wave.bin"
    wave.write_bytes(waveform_bytes(hello, np.rint(taken).astype(np.int32)))
    with subprocess.Popen(
        [program, wave, "--tcp", "0", "--speed", "max"], stdout=subprocess.PIPE, text=True
    ) as board:
        assert board.stdout is not None
        port = int(board.stdout.readline().split()[1])
        with socket.create_connection(("127.0.0.1", port)) as line:
            data = b"".join(iter(lambda: line.recv(65536), b""))
    kept, node = Kept(), Node(Settings().station, model, "boot")
    source = WireSource(Recorded(data), model.spec.sampling_rate_hz)
    counted = Daemon(Settings(), model, source, node, live=False).run([kept])
    assert counted.stream.seconds == pytest.approx(len(counts) / 100, abs=0.1)
    last = kept.messages[-1]
    assert (last["sensor_rate_hz"], last["sampling_rate_hz"]) == (rate, 100.0)
    found = {pick["phase"]: pick["sample"] for pick in last["picks"]}
    assert abs(found["P"] - p) <= 50
    assert abs(found["S"] - s) <= 50
