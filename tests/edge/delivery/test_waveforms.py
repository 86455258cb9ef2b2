"""Waveforms of events as miniSEED, read back with pymseed."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from eqedge.edge.assemble import Assembler
from eqedge.edge.dating.arrivals import Arrival, HostClock
from eqedge.edge.dating.replayed import SimClock
from eqedge.edge.delivery.errors import OutputFileError
from eqedge.edge.delivery.waveforms import WaveformWriter
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.edge.settings.delivery import WaveformSettings
from eqedge.edge.types import NANOSECONDS, Block, ClockState
from eqedge.firmware_bridge.packets import Hello, Samples

from tests.support.disks import remount, small_disk

pymseed = pytest.importorskip("pymseed")

RATE = 100.0
START_NS = 1_790_000_000 * NANOSECONDS
CLOCK = ClockState("host", True)


def event(first_sample, channels=("HHZ", "HHN", "HHE"), name="e1", **more):
    """Return a `new` message."""
    time_ns = START_NS + first_sample * 10_000_000
    return {
        "type": "new",
        "event_id": name,
        "picks": [{"sample": first_sample, "time_ns": time_ns}],
        "sampling_rate_hz": RATE,
        "sensor_rate_hz": RATE,
        "channels": list(channels),
        "network": "AM",
        "station": "HILL",
        "location": "00",
        **more,
    }


def block(at, clock_off_ns=0):
    """Return 25 samples that count up; each component differs."""
    numbers = np.arange(at, at + 25)
    counts = np.stack([numbers, -numbers, 3 * numbers], axis=1).astype(np.float32)
    return Block(at, START_NS + at * 10_000_000 + clock_off_ns, counts, CLOCK)


def feed(waveforms, first, samples, jitter_ns=0):
    """Push blocks dated with jitter."""
    for at in range(first, first + samples, 25):
        waveforms.sampled(block(at, jitter_ns if at // 25 % 2 else 0))


def read(path):
    """Return {source id: (start nanoseconds, samples)}; each must be one piece."""
    found = {}
    for trace in pymseed.MS3TraceList.from_file(str(path), unpack_data=True):
        (segment,) = list(trace)
        found[trace.sourceid] = (segment.starttime, np.array(segment.datasamples))
    return found


@pytest.fixture
def waveforms(tmp_path):
    """Waveforms of a quota of 64 KiB, from 30 s before to 60 s after."""
    return WaveformWriter(tmp_path, WaveformSettings(max_bytes=65_536))


def test_an_event_becomes_a_file_of_ninety_seconds(waveforms, tmp_path):
    """From 30 s before the first pick to 60 s after, in one piece in spite of jittered dates."""
    feed(waveforms, 0, 10_000, jitter_ns=200_000)
    waveforms.write(event(9000))
    assert not list(tmp_path.iterdir())
    feed(waveforms, 10_000, 6_000, jitter_ns=200_000)
    (path,) = tmp_path.iterdir()
    assert path.name == "e1.mseed"
    found = read(path)
    assert set(found) == {f"FDSN:AM_HILL_00_H_H_{part}" for part in "ENZ"}
    start_ns, east = found["FDSN:AM_HILL_00_H_H_E"]
    assert start_ns == START_NS + 6000 * 10_000_000
    assert (len(east), east[0]) == (9000, 6000)
    assert (np.diff(east) == 1).all()
    assert (found["FDSN:AM_HILL_00_H_H_Z"][1] == 3 * east).all()


def test_a_sensor_without_horizontals_has_one_component(waveforms, tmp_path):
    """A component that the sensor lacks is not in the file; its own codes stay."""
    waveforms.write(event(100, channels=("EL3",)))
    feed(waveforms, 0, 9_000)
    assert set(read(tmp_path / "e1.mseed")) == {"FDSN:AM_HILL_00_E_L_3"}


def test_of_two_instruments_the_file_has_the_one_that_was_picked(waveforms, tmp_path):
    """The one with a vertical, though another has more components: the assembler's choice."""
    channels = ("HNE", "HNN", "EHZ")
    hello = Hello("bench", "test", RATE, channels)
    assembler = Assembler(RATE, lambda hello: SimClock(START_NS, RATE))
    assembler.push(hello, Arrival(0, 0))
    waveforms.write(event(100, channels))
    for at in range(0, 9_000, 25):
        counts = np.arange(at, at + 25)[:, None] * np.array([-1, -1, 3], dtype=np.int32)
        packet = Samples(at // 25 & 0xFFFF, at, 0, counts.astype(np.int32), hello.boot)
        waveforms.sampled(assembler.push(packet, Arrival(0, 0)))
    found = read(tmp_path / "e1.mseed")
    assert set(found) == {"FDSN:AM_HILL_00_E_H_Z"}
    assert (np.diff(found["FDSN:AM_HILL_00_E_H_Z"][1]) == 3).all()


@pytest.mark.parametrize("step_ns", [3600 * NANOSECONDS, -3600 * NANOSECONDS, 10**18])
def test_a_step_of_the_clock_cuts_nothing_off(step_ns, waveforms, tmp_path):
    """Stepped 10 s after the first pick: the same 9,000 samples at the same time, dated by it."""
    for at in range(0, 16_000, 25):
        waveforms.sampled(block(at, step_ns if at >= 5_000 else 0))
        if at == 4_500:
            waveforms.write(event(4_000))
        if at == 9_950:
            assert not list(tmp_path.iterdir())
        if at == 9_975:
            assert (tmp_path / "e1.mseed").exists()
    for start_ns, samples in read(tmp_path / "e1.mseed").values():
        assert (start_ns, len(samples)) == (START_NS + 1_000 * 10_000_000, 9_000)


def test_an_event_that_is_dated_anew_has_a_file_dated_anew(waveforms, tmp_path):
    """Begun in 1970, ended in the right year: the file has the time of the last message."""
    anew_ns = START_NS + 10**18
    feed(waveforms, 0, 4_500)
    waveforms.write(event(4_000))
    feed(waveforms, 4_500, 3_000)
    moved = [{"sample": 4_003, "time_ns": anew_ns + 30_000_000}]
    waveforms.write(event(4_000, type="end", picks=moved))
    feed(waveforms, 7_500, 3_000)
    for start_ns, samples in read(tmp_path / "e1.mseed").values():
        assert (start_ns, len(samples)) == (anew_ns - 3_000 * 10_000_000, 9_000)


def test_a_gap_and_blocks_that_come_twice(waveforms, tmp_path):
    """Missing samples are a gap of their length; samples that come late or twice are there once."""
    late = (5_100, 5_300)
    order = [*range(0, 5_000, 25), *range(5_250, 6_000, 25), *late, *range(6_000, 12_000, 25)]
    for at in order:
        waveforms.sampled(block(at))
        if at == 4_500:
            waveforms.write(event(4_000))
    for trace in pymseed.MS3TraceList.from_file(str(tmp_path / "e1.mseed"), unpack_data=True):
        pieces = [(piece.starttime, np.abs(piece.datasamples, dtype=np.int64)) for piece in trace]
        assert [len(counts) for _, counts in pieces] == [4_000, 25, 4_750]
        for start_ns, counts in pieces:
            factor = 3 if trace.sourceid.endswith("Z") else 1
            assert start_ns == START_NS + counts[0] // factor * 10_000_000
            assert (np.diff(counts) == factor).all()


def test_a_sensor_that_is_away_for_minutes_costs_what_it_did_not_send(waveforms, tmp_path):
    """What came before it was unplugged is in the file."""
    feed(waveforms, 0, 5_000)
    waveforms.write(event(4_000))
    feed(waveforms, 60_000, 25)
    assert len(read(tmp_path / "e1.mseed")["FDSN:AM_HILL_00_H_H_Z"][1]) == 4_000


def test_a_saturated_count_keeps_its_sign(waveforms, tmp_path):
    """The largest 32-bit count, which a float32 rounds up, and the smallest."""
    counts = np.array([[2**31 - 1, -(2**31), 0]] * 25, dtype=np.int32).astype(np.float32)
    for at in range(0, 7_000, 25):
        waveforms.sampled(Block(at, START_NS + at * 10_000_000, counts, CLOCK))
    waveforms.write(event(500))
    waveforms.close()
    found = {name[-1]: set(samples) for name, (_, samples) in read(tmp_path / "e1.mseed").items()}
    assert found == {"E": {2**31 - 1}, "N": {-(2**31)}, "Z": {0}}


@pytest.mark.parametrize(
    ("codes", "version"),
    [
        (("AM", "R1234", "00"), 2),
        (("AM", "R1234", ""), 2),
        (("NETWORKX", "HILL", "00"), 3),
        (("AM", "ABCDEFGH", "00"), 3),
        (("AM", "HILL", "LOCATION"), 3),
    ],
)
def test_codes_that_miniseed_2_has_no_room_for_take_version_3(codes, version, waveforms, tmp_path):
    """All codes that the settings allow have a file; version 2 wherever it can be."""
    named = dict(zip(("network", "station", "location"), codes, strict=True))
    feed(waveforms, 0, 1_000)
    waveforms.write(event(500, **named))
    waveforms.close()
    path = str(tmp_path / "e1.mseed")
    versions = {record.formatversion for record in pymseed.MS3Record.from_file(path)}
    assert versions == {version}
    assert f"FDSN:{'_'.join(codes)}_H_H_Z" in read(path)


def test_the_end_of_a_run_writes_what_there_is(waveforms, tmp_path):
    """An event shortly before the end has a short file."""
    feed(waveforms, 0, 1_000)
    waveforms.write(event(500))
    waveforms.close()
    assert len(read(tmp_path / "e1.mseed")["FDSN:AM_HILL_00_H_H_N"][1]) == 1000


def test_the_oldest_go_first(waveforms, tmp_path):
    """The quota holds, what is removed is counted, the newest is there."""
    for number in range(12):
        waveforms.write(event(10_000 * number, name=f"e{number:02}"))
        feed(waveforms, 10_000 * number, 10_000)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 65_536
    assert (tmp_path / "e11.mseed").exists() and not (tmp_path / "e00.mseed").exists()
    assert waveforms.counts.written == 12
    assert waveforms.counts.purged == 12 - len(list(tmp_path.iterdir())) > 0


def test_a_folder_that_goes_away_costs_the_files_only(tmp_path, logged):
    """It is logged once, counted, and raised nowhere."""
    waveforms = WaveformWriter(tmp_path / "gone", WaveformSettings())
    (tmp_path / "gone").rmdir()
    for name in ("e1", "e2"):
        waveforms.write(event(0, name=name))
        waveforms.close()
    assert (waveforms.counts.errors, waveforms.counts.written, len(logged())) == (2, 0, 1)
    assert "is not written" in logged()[0]


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    """At the next start."""
    (tmp_path / ".e0.mseed.part").write_bytes(b"half")
    WaveformWriter(tmp_path, WaveformSettings())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("left", ["no folder", "a half file"])
def test_a_disk_that_is_read_only_at_the_start_costs_its_files_only(left, tmp_path, logged):
    """Logged once and counted, no error; once it is writable, the next event has a file."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        waves = disk / "waves"
        if left == "a half file":
            waves.mkdir()
            (waves / ".e0.mseed.part").write_bytes(b"half")
        remount(disk, "ro")
        waveforms = WaveformWriter(waves, WaveformSettings())
        feed(waveforms, 0, 1_000)
        waveforms.write(event(500))
        waveforms.close()
        assert (waveforms.counts.errors, waveforms.counts.written, len(logged())) == (2, 0, 1)
        assert "Read-only" in logged()[0]
        remount(disk, "rw")
        waveforms.write(event(500, name="e2"))
        waveforms.close()
        assert [path.name for path in waves.iterdir()] == ["e2.mseed"]
    assert "written again" in logged()[1]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    """A file in its place is a mistake in the settings, not the disk's."""
    (tmp_path / "waves").touch()
    with pytest.raises(OutputFileError, match=r"cannot make the folder .*; choose another"):
        WaveformWriter(tmp_path / "waves", WaveformSettings())


def test_a_file_is_on_the_disk_before_it_has_its_name(waveforms, tmp_path, monkeypatch):
    """A power cut leaves the whole file under its name, or none."""
    done = []
    fsync, rename = os.fsync, os.replace

    def synced(descriptor):
        done.append(Path(f"/proc/self/fd/{descriptor}").resolve().name)
        fsync(descriptor)

    def renamed(old, new):
        done.append(f"{Path(old).name} -> {Path(new).name}")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    feed(waveforms, 0, 1_000)
    waveforms.write(event(500))
    waveforms.close()
    assert done == [".e1.mseed.part", ".e1.mseed.part -> e1.mseed"]


def test_a_run_writes_them(eqedge, tmp_path):
    """One file an event, named by its id, around its first pick."""
    config = tmp_path / "node.toml"
    config.write_text(f'[waveforms]\nfolder = "{tmp_path}/waves"\n')
    flags = ("--sim", DEMO_FILE, "--traces", "3", "--speed", "max", "--config", config)
    result = eqedge("run", *flags)
    assert result.returncode == 0, result.stderr
    messages = [json.loads(line) for line in result.stdout.splitlines()]
    begun = {m["event_id"]: m for m in messages if m["type"] == "new"}
    assert begun
    assert {path.stem for path in (tmp_path / "waves").iterdir()} == set(begun)
    for name, message in begun.items():
        for start_ns, samples in read(tmp_path / "waves" / f"{name}.mseed").values():
            assert start_ns <= message["start_time_ns"] <= start_ns + len(samples) * 10_000_000
            assert len(samples) <= 9000


def test_a_clock_that_is_redated_leaves_one_piece(tmp_path, waveforms):
    """The host's clock corrects its dates a little while it learns; the file stays in one piece."""
    clock, rng = HostClock(RATE), np.random.default_rng(22)
    waveforms.write(event(3000))
    for at in range(0, 12_000, 25):
        late_ns = round(float(rng.exponential(5e6)))
        arrival_ns = (at + 25) * 10_000_000 + late_ns
        clock.observe(at + 25, Arrival(arrival_ns, START_NS + arrival_ns))
        counts = np.full((25, 3), at, dtype=np.float32)
        waveforms.sampled(Block(at, clock.time_ns(at), counts, CLOCK))
    assert len(read(tmp_path / "e1.mseed")) == 3


def test_a_sensor_of_another_rate_is_kept_at_its_own(waveforms, tmp_path):
    """The file holds the samples the sensor took, not those the network saw."""
    for at in range(0, 20_000, 250):
        counts = np.full((250, 3), at, dtype=np.float32)
        start_ns = START_NS + at * 4_000_000
        waveforms.sampled(Block(at, start_ns, counts, CLOCK, rate_hz=250.0))
    # numbered at the model's rate: 40 s after the start
    waveforms.write(event(4000, sensor_rate_hz=250.0))
    waveforms.close()
    path = str(tmp_path / "e1.mseed")
    for trace in pymseed.MS3TraceList.from_file(path, unpack_data=True):
        (segment,) = list(trace)
        assert segment.samprate == 250.0
        assert len(segment.datasamples) == 250 * 70  # from 10 s on to where the stream ends


def test_a_sensor_almost_of_the_models_rate_counts_at_its_own(waveforms, tmp_path):
    """After a month at 100.05 Hz, which is not resampled, the file is still about its pick."""
    month = 260_000_000
    for at in range(month, month + 16_000, 25):
        waveforms.sampled(replace(block(at), rate_hz=100.05))
        if at == month + 4_500:
            waveforms.write(event(month + 4_000, sensor_rate_hz=100.05))
    for start_ns, samples in read(tmp_path / "e1.mseed").values():
        assert abs(start_ns - (START_NS + (month + 4_000) * 10_000_000) + 30 * NANOSECONDS) < 5e6
        assert abs(len(samples) - 90 * 100.05) < 1
