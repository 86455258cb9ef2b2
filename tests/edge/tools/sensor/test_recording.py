"""Recordings: runs, dates, HDF5 in STEAD's layout, miniSEED read back by its bytes."""

import struct
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import h5py
import numpy as np
import pytest
from eqedge.edge.dating.arrivals import Arrival
from eqedge.edge.dating.samples import Dated, SampleDating
from eqedge.edge.tools.sensor.listener import Received
from eqedge.edge.tools.sensor.recording import Recorder
from eqedge.edge.tools.sensor.recording_files import RecordingError, open_writer
from eqedge.edge.types import ClockState
from eqedge.firmware_bridge.packets import Hello, Samples

from tests.support.limits import file_size_limit

TICKS = ClockState("ticks", True)
START = datetime(2026, 12, 31, 23, 59, 58, 123_400, UTC)


def dated(hello, start, samples=0, clock=TICKS):
    """The date of a sample that comes so many after `start`, at the nominal rate."""
    start_ns = (start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    return Dated(hello, samples, start_ns + round(samples / hello.rate_hz * 1e9), clock)


def mini_seed(data):
    """Read 512-byte records: [(code, start, rate, counts)], straight from the SEED manual."""
    records = []
    for at in range(0, len(data), 512):
        r = data[at : at + 512]
        year, day, hour, minute, second, _, fraction = struct.unpack(">HHBBBBH", r[20:30])
        count, factor, multiplier = struct.unpack(">Hhh", r[30:36])
        offset, blockette = struct.unpack(">HH", r[44:48])
        kind, _, encoding, order, length = struct.unpack(">HHBBB", r[blockette : blockette + 7])
        assert (r[6:7], kind, encoding, order, length) == (b"D", 1000, 3, 1, 9)
        start = datetime(year, 1, 1, hour, minute, second, tzinfo=UTC)
        start += timedelta(days=day - 1, microseconds=100 * fraction)
        rate = factor * multiplier if multiplier > 0 else factor / -multiplier
        counts = np.frombuffer(r, ">i4", count, offset)
        names = (r[18:20] + b"." + r[8:13]).decode().replace(" ", "")
        records.append((names, r[15:18].decode(), start, rate, counts))
    return records


@pytest.mark.parametrize("rate_hz", [100.0, 62.5, 31.25])
def test_mini_seed_holds_what_was_added(tmp_path, waves, rate_hz):
    """Codes, start of each record, rate and counts come back; two runs stay apart."""
    hello = Hello("d", "", rate_hz, ("HNE", "HNN", "HNZ"))
    counts = waves(500)
    path = tmp_path / "x.mseed"
    writer = open_writer(path, "XX", "EQEDG")
    writer.begin(dated(hello, START))
    for at in range(0, 300, 25):
        writer.add(counts[at : at + 25], dated(hello, START, at))
    again = dated(hello, START + timedelta(seconds=60))
    writer.begin(again)
    writer.add(counts[300:], again)
    writer.close()
    records = mini_seed(path.read_bytes())
    assert {r[0] for r in records} == {"XX.EQEDG"} and {r[3] for r in records} == {rate_hz}
    for channel, code in enumerate(hello.channels):
        mine = [r for r in records if r[1] == code]
        assert (np.concatenate([r[4] for r in mine]) == counts[:, channel]).all()
        lengths = [len(r[4]) for r in mine]
        before = np.cumsum([0, *lengths[:-1]])
        assert 300 in before and max(lengths) > 100
        for record, samples in zip(mine, before.tolist(), strict=True):
            run, within = (0, samples) if samples < 300 else (60, samples - 300)
            expected = START + timedelta(seconds=run + within / rate_hz)
            assert abs(record[2] - expected) <= timedelta(microseconds=100)


def test_mini_seed_is_written_as_records_fill(tmp_path, hello, waves):
    """A crash costs a record of each channel, not the run."""
    path = tmp_path / "x.mseed"
    writer = open_writer(path, "XX", "EQEDG")
    writer.begin(dated(hello, START))
    writer.add(waves(1000), dated(hello, START))
    assert sum(len(record[4]) for record in mini_seed(path.read_bytes())) > 3 * (1000 - 120)
    writer.close()


def test_mini_seed_without_its_library_is_one_line(tmp_path, monkeypatch):
    """The extra is named, and the way without it."""
    monkeypatch.setitem(sys.modules, "pymseed", None)
    with pytest.raises(RecordingError, match=r"pip install '\.\[mseed\]', or record to .hdf5"):
        open_writer(tmp_path / "x.mseed", "XX", "EQEDG")


def test_hdf5_is_steads_layout(tmp_path, waves):
    """Columns are E, N, Z whatever the sensor's order, and edge's own reader takes the file."""
    from eqedge.edge.replay.stead import SteadFile

    hello = Hello("d", "f", 100.0, ("HNZ", "HNN", "HNE"), units_per_count=2e-6, unit="M/S**2")
    counts = waves(100)
    path = tmp_path / "x.hdf5"
    writer = open_writer(path, "XX", "EQEDG")
    writer.begin(dated(hello, START))
    writer.add(counts[:60], dated(hello, START))
    writer.add(counts[60:], dated(hello, START, 60))
    writer.close()
    with h5py.File(path) as file:
        (name,) = file["data"]
        dataset = file["data"][name]
        assert (dataset[:] == counts[:, ::-1]).all()
        assert dataset.attrs["trace_start_time"] == "2026-12-31 23:59:58.123400"
        assert dataset.attrs["trace_end_time"] == "2026-12-31 23:59:59.113400"
        assert dataset.attrs["dated_by"] == "tick"
        assert dataset.attrs["channels"] == "HNE,HNN,HNZ" and dataset.attrs["unit"] == "M/S**2"
    with SteadFile(path) as stead:
        trace = stead.read(name)
    assert trace.rate_hz == 100.0 and (trace.waveform == counts[:, ::-1]).all()


class Kept:
    """A writer that keeps what it is given."""

    def __init__(self):
        self.runs = []

    def begin(self, dated):
        """Keep the start of a run."""
        self.runs.append((dated, []))

    def add(self, counts, dated):
        """Keep samples."""
        self.runs[-1][1].extend(counts[:, 0].tolist())


class NominalClock:
    """A clock of the nominal rate; the test changes its source and its origin."""

    rate_factor = 1.0
    start_ns = 0

    def __init__(self, hello):
        self.period_ns = 1e9 / hello.rate_hz
        self.state = ClockState("host", True)

    def observe(self, *_):
        """Learn nothing."""

    def time_ns(self, sample):
        """UTC of a sample."""
        return self.start_ns + round(sample * self.period_ns)


def received(packet, dating):
    """A packet, dated."""
    arrival = Arrival(1_000_000_000, 0)
    return Received(packet, arrival, dated=dating.push(packet, arrival))


def samples(hello, first, channels=3):
    """25 samples whose counts are their numbers."""
    counts = np.repeat(np.arange(first, first + 25)[:, None], channels, 1).astype(np.int32)
    return Samples(0, first % 2**32, 0, counts, hello.boot)


def test_runs_that_begin_at_one_time_are_kept_apart(tmp_path, hello, waves):
    """Restarts whose packets are read together are dated alike; each has its own samples."""
    path, counts = tmp_path / "x.hdf5", waves(75)
    writer = open_writer(path, "XX", "EDGE")
    for at in range(0, 75, 25):
        writer.begin(dated(hello, START))
        writer.add(counts[at : at + 25], dated(hello, START))
    writer.close()
    with h5py.File(path) as file:
        names = sorted(file["data"])
        assert [name.rpartition("123400")[2] for name in names] == ["_2_CO", "_3_CO", "_CO"]
        assert all(file["data"][name].attrs["trace_name"] == name for name in names)
        again = [file["data"][name][:] for name in (names[2], names[0], names[1])]
    order = [[code[2] for code in hello.channels].index(one) for one in "ENZ"]
    assert (np.concatenate(again) == counts[:, order]).all()


def test_gaps_boots_and_late_packets(hello):
    """A gap or a boot begins a run; late, unannounced and misshapen packets are left out."""
    kept = Kept()
    recorder, dating = Recorder(kept), SampleDating(NominalClock)

    def take(packet):
        recorder.take(received(packet, dating))

    take(samples(hello, 0))  # not announced by a Hello yet
    take(hello)
    for first in (25, 50, 100, 75, 125):
        take(samples(hello, first))
    take(samples(hello, 150, channels=2))
    rebooted = replace(hello, boot_id=hello.boot_id + 1)
    take(samples(rebooted, 0))  # of a boot not announced
    take(rebooted)
    take(samples(rebooted, 0))
    recorder.close()
    runs = [numbers for _, numbers in kept.runs]
    assert runs == [list(range(25, 75)), list(range(100, 150)), list(range(25))]
    assert recorder.runs == 3 and recorder.samples == 125
    assert {dated.clock.source for dated, _ in kept.runs} == {"host"}
    assert [dated.start_time_ns for dated, _ in kept.runs[:2]] == [250_000_000, 1_000_000_000]


def test_a_hello_of_another_channel_begins_a_run(hello):
    """Also where boot and sample numbers go on."""
    kept = Kept()
    recorder, dating = Recorder(kept), SampleDating(NominalClock)
    renamed = replace(hello, channels=("BHE", "BHN", "BHZ"))
    for packet in (hello, samples(hello, 0), renamed, samples(renamed, 25)):
        recorder.take(received(packet, dating))
    recorder.close()
    assert [(dated.hello, numbers[0]) for dated, numbers in kept.runs] == [
        (hello, 0),
        (renamed, 25),
    ]


@pytest.mark.parametrize("answered", [3, None])
def test_the_start_of_a_run_waits_for_the_first_reply(hello, answered):
    """It is dated by the clock as it is then; without a reply it waits for five seconds."""
    kept, clock = Kept(), NominalClock(hello)
    recorder, dating = Recorder(kept), SampleDating(lambda hello: clock)
    recorder.take(received(hello, dating))
    for number in range(24):
        if number == answered:
            clock.state, clock.start_ns = TICKS, 7_000_000
        recorder.take(received(samples(hello, 25 * number), dating))
        assert bool(kept.runs) == (number >= (answered or 19))
    ((dated, numbers),) = kept.runs
    assert numbers == list(range(600))
    assert (dated.first_sample, dated.start_time_ns) == (0, 7_000_000 if answered else 0)


@pytest.mark.parametrize("slow, most_seconds", [(1.0001, 0.0012), (0.9999, 0.0012), (0.2, 3600)])
def test_mini_seed_follows_a_crystal_that_is_off(tmp_path, slow, most_seconds):
    """At 100 ppm each record is within a millisecond of its time, an hour later too.

    A recording played at five times its speed is not followed, but kept in one piece.
    """
    hello, path = Hello("d", "", 100.0, ("HNZ",)), tmp_path / "x.mseed"
    writer = open_writer(path, "XX", "EQEDG")
    first = dated(hello, START)
    writer.begin(first)
    for at in range(0, 360_000, 100):
        time_ns = first.start_time_ns + round(at * slow * 10_000_000)
        writer.add(np.full((100, 1), at, np.int32), Dated(hello, at, time_ns, TICKS, 1 / slow))
    writer.close()
    done, partly_filled = 0, 0
    for _, _, start, _, counts in mini_seed(path.read_bytes()):
        assert abs((start - START).total_seconds() - done * slow / 100) < most_seconds, done
        done += len(counts)
        partly_filled += len(counts) < 100
    assert done == 360_000
    assert partly_filled <= 1 if slow < 0.9 else 300 < partly_filled < 400


def test_a_full_disk_costs_no_sample_that_was_there_before(tmp_path, hello, waves):
    """HDF5 is closed whole, and is no longer than its contents; the rest is one line."""
    path, counts, taken = tmp_path / "x.hdf5", waves(250), 0
    with file_size_limit(1_700_000):
        writer = open_writer(path, "XX", "EQEDG")
        with pytest.raises(RecordingError, match="File too large"):
            for second in range(1000):
                if second % 50 == 0:
                    writer.begin(dated(hello, START, 100 * second))
                writer.add(counts, dated(hello, START, 100 * second))
                taken += len(counts)
        writer.close()
    with h5py.File(path) as file:
        assert sum(len(dataset) for dataset in file["data"].values()) == taken > 10_000
        assert all((d[-250:] == counts).all() for d in list(file["data"].values())[:-1])
    assert path.stat().st_size < 1_500_000


def test_a_recording_without_an_end_can_be_read(tmp_path, hello, waves):
    """As a killed program leaves it, with free space behind what was written."""
    path, copy = tmp_path / "x.hdf5", tmp_path / "copy.hdf5"
    writer = open_writer(path, "XX", "EQEDG")
    writer.begin(dated(hello, START))
    writer.add(waves(100), dated(hello, START))
    copy.write_bytes(path.read_bytes())
    writer.close()
    for one in (copy, path):
        with h5py.File(one) as file:
            assert [(d[:] == waves(100)).all() for d in file["data"].values()] == [True]
    assert path.stat().st_size < 100_000


@pytest.mark.parametrize("ending", ["hdf5", "mseed"])
@pytest.mark.parametrize(
    "codes", [("XX", "../../x"), ("", "EQEDG"), ("xx", "EQEDG"), ("XX", "TOOLONGAS")]
)
def test_a_code_that_is_not_valid_is_rejected(tmp_path, codes, ending):
    """They name traces; nothing is made."""
    with pytest.raises(RecordingError, match="use 1 to 8 capital letters or digits"):
        open_writer(tmp_path / f"x.{ending}", *codes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, network, part",
    [
        ("x.txt", "XX", "ending"),
        ("x.mseed", "LONG", "2 and 5"),
        ("none/x.mseed", "XX", "none/x"),
        ("none/x.hdf5", "XX", "none/x"),
    ],
)
def test_files_that_cannot_be_written(tmp_path, name, network, part):
    """A wrong suffix, a code too long, a missing folder: each is one clear line."""
    with pytest.raises(RecordingError, match=part) as caught:
        open_writer(tmp_path / name, network, "EQEDG")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.mseed", "x.hdf5"])
def test_no_file_is_overwritten(tmp_path, name):
    """A recording that exists is left as it is."""
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(RecordingError, match="exists already"):
        open_writer(tmp_path / name, "XX", "EQEDG")
    assert (tmp_path / name).read_bytes() == b"precious"
