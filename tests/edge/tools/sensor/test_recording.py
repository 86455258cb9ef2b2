"""Heard samples to files: runs, dates, HDF5 in STEAD's layout, miniSEED read back by its bytes."""

import struct
import sys
from datetime import UTC, datetime, timedelta

import h5py
import numpy as np
import pytest
from eqedge.edge.tools.sensor.link import Heard
from eqedge.edge.tools.sensor.monitor import Monitor
from eqedge.edge.tools.sensor.recording import Recorder
from eqedge.edge.tools.sensor.recording_files import RecordingError, open_writer
from eqedge.firmware_bridge.packets import Hello, Samples

from tests.support.limits import file_size_limit

START = datetime(2026, 12, 31, 23, 59, 58, 123_400, UTC)


def mini_seed(data):
    """Reads 512-byte records: [(code, start, rate, counts)], straight from the SEED manual."""
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
    """Codes, start of each record, rate and counts come back; two runs do not run together."""
    hello = Hello("d", "", rate_hz, ("HNE", "HNN", "HNZ"))
    counts = waves(500)
    path = tmp_path / "x.mseed"
    writer = open_writer(path, "XX", "EQEDG")
    writer.begin(hello, START, "tick")
    for at in range(0, 300, 25):
        writer.add(counts[at : at + 25])
    writer.begin(hello, START + timedelta(seconds=60), "tick")
    writer.add(counts[300:])
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
    writer.begin(hello, START, "tick")
    writer.add(waves(1000))
    assert sum(len(record[4]) for record in mini_seed(path.read_bytes())) > 3 * (1000 - 120)
    writer.close()


def test_mini_seed_without_its_library_is_one_line(tmp_path, monkeypatch):
    """The extra is named, and the way without it."""
    monkeypatch.setitem(sys.modules, "pymseed", None)
    with pytest.raises(RecordingError, match=r"pip install 'eqedge\[mseed\]', or record to .hdf5"):
        open_writer(tmp_path / "x.mseed", "XX", "EQEDG")


def test_hdf5_is_steads_layout(tmp_path, waves):
    """Columns are E, N, Z whatever the sensor's order, and edge's own reader takes the file."""
    from eqedge.edge.replay.stead import SteadFile

    hello = Hello("d", "f", 100.0, ("HNZ", "HNN", "HNE"), units_per_count=2e-6, unit="M/S**2")
    counts = waves(100)
    path = tmp_path / "x.hdf5"
    writer = open_writer(path, "XX", "EQEDG")
    writer.begin(hello, START, "tick")
    writer.add(counts[:60])
    writer.add(counts[60:])
    writer.close()
    with h5py.File(path) as file:
        (name,) = file["data"]
        dataset = file["data"][name]
        assert (dataset[:] == counts[:, ::-1]).all()
        assert dataset.attrs["trace_start_time"] == "2026-12-31 23:59:58.123400"
        assert dataset.attrs["channels"] == "HNE,HNN,HNZ" and dataset.attrs["unit"] == "M/S**2"
    with SteadFile(path) as stead:
        trace = stead.read(name)
    assert trace.rate_hz == 100.0 and (trace.waveform == counts[:, ::-1].astype(np.float32)).all()


class Kept:
    """A writer that keeps what it is told."""

    def __init__(self):
        self.runs = []

    def begin(self, hello, start, dated_by):
        """Notes a run."""
        self.runs.append((start, dated_by, []))

    def add(self, counts):
        """Notes samples."""
        self.runs[-1][2].extend(counts[:, 0].tolist())


def test_gaps_boots_and_late_packets(hello):
    """A gap or a boot begins a run; late, unannounced and misshapen packets are left out."""
    kept, monitor = Kept(), Monitor()
    recorder = Recorder(kept, monitor)

    def hear(first, boot=hello.boot, channels=3):
        counts = np.repeat(np.arange(first, first + 25)[:, None], channels, 1).astype(np.int32)
        recorder.take(Heard(Samples(0, first % 2**32, 0, counts, boot), 1.0))

    hear(0)  # nobody has said hello yet
    recorder.take(Heard(hello, 1.0))
    for first in (25, 50, 100, 75, 125):
        hear(first)
    hear(150, channels=2)
    hear(0, boot=hello.boot + 1)  # of a boot not announced
    fields = {name: getattr(hello, name) for name in Hello.__dataclass_fields__}
    recorder.take(Heard(Hello(**{**fields, "boot_id": hello.boot_id + 1}), 2.0))
    hear(0, boot=hello.boot + 1)
    runs = [samples for _, _, samples in kept.runs]
    assert runs == [list(range(25, 75)), list(range(100, 150)), list(range(25))]
    assert recorder.runs == 3 and recorder.samples == 125
    assert {dated for _, dated, _ in kept.runs} == {"arrival"}


def test_a_full_disk_costs_no_sample_that_was_there_before(tmp_path, hello, waves):
    """HDF5 is closed whole, and is no longer than its contents; the rest is one line."""
    path, counts, taken = tmp_path / "x.hdf5", waves(250), 0
    with file_size_limit(1_700_000):
        writer = open_writer(path, "XX", "EQEDG")
        with pytest.raises(RecordingError, match="File too large"):
            for second in range(1000):
                if second % 50 == 0:
                    writer.begin(hello, START + timedelta(seconds=second), "tick")
                writer.add(counts)
                taken += len(counts)
        writer.close()
    with h5py.File(path) as file:
        assert sum(len(dataset) for dataset in file["data"].values()) == taken > 10_000
        assert all((d[-250:] == counts).all() for d in list(file["data"].values())[:-1])
    assert path.stat().st_size < 1_500_000


def test_a_recording_without_an_end_can_be_read(tmp_path, hello, waves):
    """As a program that was killed leaves it, with room behind what was written."""
    path, copy = tmp_path / "x.hdf5", tmp_path / "copy.hdf5"
    writer = open_writer(path, "XX", "EQEDG")
    writer.begin(hello, START, "tick")
    writer.add(waves(100))
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
def test_what_is_no_code_is_refused(tmp_path, codes, ending):
    """They name traces; nothing is made."""
    with pytest.raises(RecordingError, match="use 1 to 8 capital letters or digits"):
        open_writer(tmp_path / f"x.{ending}", *codes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, network, word",
    [
        ("x.txt", "XX", "ending"),
        ("x.mseed", "LONG", "2 and 5"),
        ("none/x.mseed", "XX", "none/x"),
        ("none/x.hdf5", "XX", "none/x"),
    ],
)
def test_files_that_cannot_be_written(tmp_path, name, network, word):
    """The ending, a code too long, a folder that is not there: each is one clear line."""
    with pytest.raises(RecordingError, match=word) as caught:
        open_writer(tmp_path / name, network, "EQEDG")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.mseed", "x.hdf5"])
def test_no_file_is_overwritten(tmp_path, name):
    """A recording that exists is left as it is."""
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(RecordingError, match="exists already"):
        open_writer(tmp_path / name, "XX", "EQEDG")
    assert (tmp_path / name).read_bytes() == b"precious"
