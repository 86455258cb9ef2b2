"""Waveforms of events as miniSEED, read back with pymseed."""

import json

import numpy as np
import pytest
from eqedge.edge.clock import HostClock
from eqedge.edge.delivery.snippets import Snippets
from eqedge.edge.records import NANOSECONDS, Block, ClockState
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.edge.settings import SnippetSettings

pymseed = pytest.importorskip("pymseed")

RATE = 100.0
START_NS = 1_790_000_000 * NANOSECONDS
CLOCK = ClockState("host", True)


def event(first_sample, channels=("HHZ", "HHN", "HHE"), name="e1"):
    """Return a `new` message."""
    return {
        "type": "new",
        "event_id": name,
        "start_time_ns": START_NS + first_sample * 10_000_000,
        "channels": list(channels),
        "network": "AM",
        "station": "HILL",
        "location": "00",
    }


def feed(snippets, first, samples, jitter_ns=0):
    """Push blocks of 25 samples that count up, dated with jitter; each component differs."""
    for at in range(first, first + samples, 25):
        numbers = np.arange(at, at + 25)
        counts = np.stack([numbers, -numbers, 3 * numbers], axis=1).astype(np.float32)
        start_ns = START_NS + at * 10_000_000 + (jitter_ns if at // 25 % 2 else 0)
        snippets.sampled(Block(at, start_ns, counts, CLOCK))


def read(path):
    """Return {source id: (start nanoseconds, samples)}; each must be one piece."""
    found = {}
    for trace in pymseed.MS3TraceList.from_file(str(path), unpack_data=True):
        (segment,) = list(trace)
        found[trace.sourceid] = (segment.starttime, np.array(segment.datasamples))
    return found


@pytest.fixture
def snippets(tmp_path):
    """Snippets of a quota of 64 KiB, from 30 s before to 60 s after."""
    return Snippets(tmp_path, SnippetSettings(max_bytes=65_536), print)


def test_an_event_becomes_a_file_of_ninety_seconds(snippets, tmp_path):
    """From 30 s before the first pick to 60 s after, in one piece in spite of jittered dates."""
    feed(snippets, 0, 10_000, jitter_ns=200_000)
    snippets.write(event(9000))
    assert not list(tmp_path.iterdir())
    feed(snippets, 10_000, 6_000, jitter_ns=200_000)
    (path,) = tmp_path.iterdir()
    assert path.name == "e1.mseed"
    found = read(path)
    assert set(found) == {f"FDSN:AM_HILL_00_H_H_{part}" for part in "ENZ"}
    start_ns, east = found["FDSN:AM_HILL_00_H_H_E"]
    assert abs(start_ns - (START_NS + 6000 * 10_000_000)) < 250_000_000
    assert 9000 <= len(east) <= 9050
    assert east[0] == pytest.approx(6000, abs=25)
    assert (np.diff(east) == 1).all()
    assert (found["FDSN:AM_HILL_00_H_H_Z"][1] == 3 * east).all()


def test_a_sensor_without_horizontals_has_one_component(snippets, tmp_path):
    """What the sensor has not is not in the file; codes of its own stay."""
    snippets.write(event(100, channels=("EL3",)))
    feed(snippets, 0, 9_000)
    assert set(read(tmp_path / "e1.mseed")) == {"FDSN:AM_HILL_00_E_L_3"}


def test_the_end_of_a_run_writes_what_there_is(snippets, tmp_path):
    """An event shortly before the end has a short file."""
    feed(snippets, 0, 1_000)
    snippets.write(event(500))
    snippets.close()
    assert len(read(tmp_path / "e1.mseed")["FDSN:AM_HILL_00_H_H_N"][1]) == 1000


def test_the_oldest_go_first(snippets, tmp_path):
    """The quota holds, what is removed is counted, the newest is there."""
    for number in range(12):
        snippets.write(event(10_000 * number, name=f"e{number:02}"))
        feed(snippets, 10_000 * number, 10_000)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 65_536
    assert (tmp_path / "e11.mseed").exists() and not (tmp_path / "e00.mseed").exists()
    assert snippets.written == 12
    assert snippets.purged == 12 - len(list(tmp_path.iterdir())) > 0


def test_a_folder_that_goes_away_costs_the_files_only(tmp_path):
    """It is told once, counted, and raised nowhere."""
    told = []
    snippets = Snippets(tmp_path / "gone", SnippetSettings(), told.append)
    (tmp_path / "gone").rmdir()
    for name in ("e1", "e2"):
        snippets.write(event(0, name=name))
        snippets.close()
    assert (snippets.errors, snippets.written, len(told)) == (2, 0, 1)
    assert "is not written" in told[0]


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    """Nobody else would."""
    (tmp_path / "e0.mseed.part").write_bytes(b"half")
    Snippets(tmp_path, SnippetSettings(), print)
    assert not list(tmp_path.iterdir())


def test_a_run_writes_them(eqedge, tmp_path):
    """One file an event, named by its id, around its first pick."""
    config = tmp_path / "node.toml"
    config.write_text(f'[snippets]\nfolder = "{tmp_path}/waves"\n')
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


def test_a_clock_that_is_redated_leaves_one_piece(tmp_path, snippets):
    """The host's clock moves its line a little while it learns; the file stays whole."""
    from eqedge.edge.clock import Arrival

    clock, rng = HostClock(RATE), np.random.default_rng(22)
    snippets.write(event(3000))
    for at in range(0, 12_000, 25):
        late_ns = round(float(rng.exponential(5e6)))
        arrival_ns = (at + 25) * 10_000_000 + late_ns
        clock.observe(at + 25, Arrival(arrival_ns, START_NS + arrival_ns))
        counts = np.full((25, 3), at, dtype=np.float32)
        snippets.sampled(Block(at, clock.time_ns(at), counts, CLOCK))
    assert len(read(tmp_path / "e1.mseed")) == 3


def test_a_sensor_of_another_rate_is_kept_at_its_own(snippets, tmp_path):
    """The file holds the samples the sensor took, not those the network saw."""
    for at in range(0, 20_000, 250):
        counts = np.full((250, 3), at, dtype=np.float32)
        start_ns = START_NS + at * 4_000_000
        snippets.sampled(Block(at, start_ns, counts, CLOCK, rate_hz=250.0))
    snippets.write(event(4000))
    snippets.close()
    path = str(tmp_path / "e1.mseed")
    for trace in pymseed.MS3TraceList.from_file(path, unpack_data=True):
        (segment,) = list(trace)
        assert segment.samprate == 250.0
        assert len(segment.datasamples) == 250 * 70  # from 10 s on to where the stream ends
