"""How the tools identify and date a sensor: as a node does."""

import os
import pty
import tty
from datetime import UTC, datetime
from threading import Event

import h5py
import numpy as np
import pytest
from eqedge.edge import sources
from eqedge.edge.dating.arrivals import Arrival
from eqedge.edge.dating.ticks import EAGER_SECONDS, TickRequests
from eqedge.edge.tools.sensor.listener import Listener
from eqedge.edge.tools.sensor.recording import Recorder
from eqedge.edge.tools.sensor.recording_files import open_writer
from eqedge.edge.wire import WireSource
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.packets import Command, TimeRequest, Verb
from eqedge.firmware_bridge.port import Port, PortState
from eqedge.firmware_bridge.virtual import VirtualSensor

BEGIN_NS = 1_790_000_000_000_000_000
FAST = 1 + 40e-6
"""Of the sensor's crystal."""


def test_the_sensor_is_identified_and_its_tick_requested(hello, monkeypatch):
    """Identify at once and every two seconds until the Hello; then a time request each second."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    now, sent = [0], {}
    monkeypatch.setattr(sources, "now", lambda: Arrival(now[0], now[0]))
    requests = Decoder()
    with Port(os.ttyname(slave)) as port:
        listener = Listener(port, TickRequests(EAGER_SECONDS), read_seconds=0.05)
        portions = listener.packets(float("inf"))
        for second in range(20):
            now[0] = second * 1_000_000_000
            if second == 7:  # the Hellos before were lost
                os.write(master, VirtualSensor(hello).greet())
            next(portions)
            try:
                sent[second] = requests.feed(os.read(master, 4096))
            except BlockingIOError:
                sent[second] = []
        portions.close()
    os.close(master)
    os.close(slave)
    identified = [n for n, packets in sent.items() for p in packets if isinstance(p, Command)]
    timed = [n for n, packets in sent.items() for p in packets if isinstance(p, TimeRequest)]
    assert identified == [0, 3, 5, 7] and timed == list(range(8, 20))
    packets = [p for packets in sent.values() for p in packets]
    assert {p.verb for p in packets if isinstance(p, Command)} == {Verb.IDENTIFY}
    assert len({p.request_id for p in packets if isinstance(p, TimeRequest)}) == len(timed)


class Cable:
    """A port with a sensor behind it, and the time that passes there: the same each time.

    The sensor's crystal is fast, its packets come 5 to 25 ms late and its replies after 2 to 8 ms.
    """

    state = PortState.OPEN
    losses = reopenings = 0

    def __init__(self, hello, counts, stop):
        self.now_ns = 0
        self._random = np.random.default_rng(5)
        self._sensor = VirtualSensor(hello, 25, now_tick=self._tick)
        self._counts = counts
        self._sent = 0
        self._pending = self._sensor.greet()
        self._stop = stop

    def now(self):
        """Both clocks of the host."""
        return Arrival(self.now_ns + 5_000_000_000, BEGIN_NS + self.now_ns)

    def _tick(self):
        return round(self.now_ns * FAST / 1000)

    def _wait(self, least_ns, most_ns):
        self.now_ns += round(self._random.uniform(least_ns, most_ns))

    def write(self, data):
        """Take a request; the reply is there at the next read."""
        self._wait(1e6, 4e6)
        self._pending += self._sensor.receive(data)
        return True

    def read(self, timeout_seconds):
        """Return a reply, or else the next packet once its last sample has been taken."""
        if self._pending:
            self._wait(1e6, 4e6)
            data, self._pending = self._pending, b""
            return data
        if self._sent == len(self._counts):
            self._stop.set()
            return b""
        self._sent += 25
        self.now_ns = max(self.now_ns, round(self._sent / 100 / FAST * 1e9))
        self._wait(5e6, 25e6)
        return self._sensor.push(self._counts[self._sent - 25 : self._sent])

    def close(self):
        """Do nothing."""


@pytest.mark.parametrize("name", ["x.hdf5", "x.mseed"])
def test_a_recording_is_dated_as_the_node_dates(name, hello, waves, tmp_path, monkeypatch):
    """The same bytes at the same moments, into `eqedge run`'s blocks and into a file.

    First and last sample of an HDF5 trace have the node's times, to the microsecond of its texts.
    A miniSEED record may be off by a millisecond or the clock's own error.
    """
    counts, stop = waves(30_000), Event()

    def cable():
        stop.clear()
        made = Cable(hello, counts, stop)
        monkeypatch.setattr(sources, "now", made.now)
        return made

    node = {}
    source = sources.SerialSource(cable(), stop)
    source.identify()  # as the listener does, so that time passes alike
    for blocks, _ in WireSource(source, 100.0):
        for block in blocks:
            node[block.first_sample] = block
    last = node[29_975]
    assert last.clock.source == "ticks"
    assert last.time_ns(24) == pytest.approx(BEGIN_NS + 299.99e9 / FAST, abs=3e6)

    writer = open_writer(tmp_path / name, "XX", "EQEDG")
    recorder = Recorder(writer)
    for portion in Listener(cable(), stop=stop).packets(float("inf")):
        for received in portion:
            recorder.take(received)
    recorder.close()
    writer.close()
    assert recorder.runs == 1 and recorder.samples == len(counts) == 25 * len(node)
    if name == "x.hdf5":
        with h5py.File(tmp_path / name) as file:
            (dataset,) = file["data"].values()
            assert (dataset[:] == counts).all()
            start, end = (nanoseconds(dataset.attrs[f"trace_{x}_time"]) for x in ("start", "end"))
        assert abs(start - node[0].start_time_ns) <= 1_000
        assert abs(end - last.time_ns(24)) <= 1_000
        return
    import pymseed

    done = 0
    for record in pymseed.MS3Record.from_file(str(tmp_path / name)):
        if record.sourceid.endswith("_Z"):
            block = node[done // 25 * 25]
            most_ns = max(1e6, block.clock.error_s * 1e9) + 4e5  # miniSEED 2 has tenths of a ms
            assert abs(record.starttime - block.time_ns(done % 25)) <= most_ns, done
            done += record.samplecnt
    assert done == len(counts)


def nanoseconds(text):
    """A time as STEAD writes it, as nanoseconds since 1970."""
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000) * 1000
