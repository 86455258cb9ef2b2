"""`eqedge sensor` as a user runs it: processes, ptys, sockets, and errors."""

import os
import pty
import resource
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import tty

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from eqedge.edge.replay.fields import TraceError
from eqedge.edge.tools.sensor.cli import sensor
from eqedge.edge.tools.sensor.record import read_record
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.packets import Hello, Samples
from eqedge.firmware_bridge.port import Port
from eqedge.firmware_bridge.virtual import VirtualSensor

pytestmark = pytest.mark.slow  # most start a program


@pytest.fixture
def stead(tmp_path):
    """A file in STEAD's layout with one minute of seeded noise, receiver type BH."""
    path = tmp_path / "stead.hdf5"
    waveform = np.random.default_rng(4).normal(0, 1000, (6000, 3)).astype(np.float32)
    with h5py.File(path, "w") as file:
        dataset = file.create_group("data").create_dataset("A.XX_1_NO", data=waveform)
        dataset.attrs["receiver_type"] = "BH"
    return path, np.rint(waveform).astype(np.int32)


@pytest.fixture
def simulate(stead):
    """Start `eqedge sensor simulate` and return the URL it prints."""
    processes = []

    def start(*flags):
        process = subprocess.Popen(
            [sys.executable, "-m", "eqedge", "sensor", "simulate", str(stead[0]), *flags],
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def read_all(url, seconds=120.0):
    """Read a simulated sensor to its end; return packets and decoder."""
    decoder, packets, until = Decoder(), [], time.monotonic() + seconds
    with Port(url) as port:
        while time.monotonic() < until and not port.losses:
            packets += decoder.feed(port.read(0.1))
    assert port.losses, "the simulation did not end"
    return packets, decoder


def counts_of(packets):
    """The counts of all Samples, one after the other."""
    return np.concatenate([p.counts for p in packets if isinstance(p, Samples)])


@pytest.mark.parametrize("line", [["--pty"], ["--tcp", "0"]])
def test_simulate_plays_the_trace(simulate, stead, line):
    """A STEAD trace comes out as counts of channels BHE, BHN, BHZ, all of it."""
    packets, decoder = read_all(simulate(*line, "--speed", "max", "--boot-id", "9"))
    assert (counts_of(packets) == stead[1]).all()
    hello = next(p for p in packets if isinstance(p, Hello))
    assert hello.channels == ("BHE", "BHN", "BHZ") and hello.boot_id == 9
    assert decoder.losses.frames_bad == decoder.losses.sequence_lost == 0


def test_simulated_faults(simulate, stead):
    """Frames are dropped, bytes damaged, samples missed, the same ones for the same seed."""
    flags = ["--speed", "max", "--drop", "0.1", "--corrupt", "0.0005", "--jump", "20:3"]
    flags += ["--boot-id", "7"]  # else random, and one bit may be a framing or a CRC error
    runs = [read_all(simulate("--tcp", "0", *flags, "--seed", s)) for s in ("1", "1", "2")]
    (packets, decoder), (_, again), (_, other) = runs
    assert decoder.losses == again.losses != other.losses
    assert decoder.losses.sequence_lost > 10 and decoder.losses.crc_errors > 3
    for packet in packets:
        if isinstance(packet, Samples):
            at = packet.first_sample
            assert (packet.counts == stead[1][at : at + len(packet.counts)]).all()
            assert not any(2000 * n <= at < 2000 * n + 300 for n in (1, 2))


def test_simulated_drift_and_stall(simulate):
    """At ten times real time the stall and the pace are kept; nothing is lost.

    On a busy machine packets come late, never early; test_player has the rest.
    """
    url = simulate("--tcp", "0", "--speed", "10", "--stall", "20:10", "--drift", "1000")
    began, decoder, arrivals = time.monotonic(), Decoder(), {}
    with Port(url) as port:
        while not port.losses and time.monotonic() < began + 120:
            for packet in decoder.feed(port.read(0.05)):
                if isinstance(packet, Samples):
                    arrivals[packet.first_sample] = time.monotonic() - began
    assert len(arrivals) == 240 and decoder.losses.sequence_lost == 0
    assert arrivals[2000] > 2.99  # taken after 2.02 s
    assert arrivals[5975] > 5.99


def test_check_passes_a_good_sensor(simulate):
    """Device, line, rate, clock, gaps and channels are listed without a fault."""
    url = simulate("--tcp", "0")
    done = CliRunner().invoke(sensor, ["check", url, "--seconds", "5"])
    assert done.exit_code == 0, done.output
    assert "BHE BHN BHZ" in done.output and "FAIL" not in done.output


def test_check_finds_a_sensor_of_another_pace(simulate):
    """A sensor that delivers five times its nominal rate fails on its rate."""
    url = simulate("--tcp", "0", "--speed", "5")
    done = CliRunner().invoke(sensor, ["check", url, "--seconds", "7"])
    assert done.exit_code == 1
    assert "FAIL  rate" in done.output


class AtOneSpeed(threading.Thread):
    """A sensor on a pty that can be read only by a reader at its own speed."""

    def __init__(self, hello, speed):
        super().__init__(daemon=True)
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave  # kept open: between two readers the line does not hang up
        self._speed = speed
        self._hello = hello
        self.ended = False

    def run(self):
        """Send a packet every 50 ms, garbled unless the reader's speed is right."""
        rng = np.random.default_rng(1)
        sensor_ = VirtualSensor(self._hello, 5)
        os.set_blocking(self._master, False)
        while not self.ended:
            data = sensor_.greet() + sensor_.push(rng.integers(-99, 99, (5, 3)).astype(np.int32))
            if termios.tcgetattr(self._slave)[4] != self._speed:
                data = rng.integers(0, 256, len(data), dtype=np.uint8).tobytes()
            try:
                os.write(self._master, data)
                os.read(self._master, 4096)
            except BlockingIOError:
                pass
            time.sleep(0.05)
        os.close(self._slave)
        os.close(self._master)


def test_check_finds_the_speed(hello):
    """A sensor at 57600 baud is found, and the output names the speed."""
    device = AtOneSpeed(hello, termios.B57600)
    device.start()
    done = CliRunner().invoke(sensor, ["check", device.path, "--seconds", "1"])
    wrong = CliRunner().invoke(sensor, ["check", device.path, "--seconds", "2", "--baud", "9600"])
    device.ended = True
    device.join(120)
    assert "give --baud 57600" in done.output and "ok    device" in done.output
    assert wrong.exit_code == 1 and "9600 baud" in wrong.output and "speed" in wrong.output


def test_watch_prints_figures_and_plots(simulate):
    """Reports of rate and samples, each with a line for each channel."""
    url = simulate("--tcp", "0")
    done = CliRunner().invoke(sensor, ["watch", url, "--seconds", "2.5", "--every", "1"])
    assert done.exit_code == 0, done.output
    assert 1 <= done.output.count("simulated |") == done.output.count("BHZ mean") <= 3


@pytest.mark.parametrize("command", ["watch", "record"])
def test_ctrl_c_ends_quietly(simulate, tmp_path, command):
    """SIGINT ends watching and recording with 0, no traceback, and a file that can be read."""
    url, path = simulate("--tcp", "0"), tmp_path / "x.hdf5"
    rest = [str(path)] if command == "record" else ["--every", "0.5"]
    # Where the tests run in a shell's background SIGINT is ignored, and a child would inherit that.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "eqedge", "sensor", command, url, *rest],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, inherited)
    until = time.monotonic() + 120
    if command == "watch":
        process.stdout.readline()
    written = set()  # the file is made, its first packets are
    while command == "record" and time.monotonic() < until and len(written) < 4:
        if path.exists():
            written.add(path.stat().st_mtime_ns)
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and "Traceback" not in err, err
    if command == "record":
        assert "in 1 traces" in out
        with h5py.File(path) as file:
            assert all(len(dataset) for dataset in file["data"].values())


@pytest.mark.parametrize("name", ["none.hdf5", "none.mseed"])
def test_a_recording_without_a_sample_leaves_no_file(tmp_path, name):
    """What is at the port is named with exit code 1, and the same command can be given again."""
    path = tmp_path / name
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"socket://127.0.0.1:{silent.getsockname()[1]}"
            done = CliRunner().invoke(sensor, ["record", url, str(path), "--seconds", "0.5"])
        assert done.exit_code == 1 and "no samples came" in done.stderr, done.output
        assert done.stdout == "" and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.hdf5", "x.mseed"])
def test_record_writes_what_the_sensor_measured(simulate, stead, tmp_path, name):
    """Some seconds of a sensor stand in the file, from the first sample after its Hello on."""
    url = simulate("--tcp", "0", "--speed", "5")
    path = tmp_path / name
    done = CliRunner().invoke(sensor, ["record", url, str(path), "--seconds", "2"])
    assert done.exit_code == 0, done.output
    assert "in 1 traces" in done.output and path.stat().st_size > 4096
    if name.endswith("hdf5"):
        with h5py.File(path) as file:
            (dataset,) = file["data"].values()
            recorded = dataset[:]
            assert dataset.attrs["dated_by"] in ("tick", "arrival")
        begins = np.flatnonzero((stead[1] == recorded[0]).all(axis=1))
        at = int(begins[0])
        assert len(recorded) > 100 and (recorded == stead[1][at : at + len(recorded)]).all()


@pytest.mark.parametrize("name", ["x.hdf5", "x.mseed"])
def test_a_full_disk_is_one_line(simulate, tmp_path, name):
    """Exit code 2, and whole records or no file."""
    url, path = simulate("--tcp", "0", "--speed", "max"), tmp_path / name
    done = subprocess.run(
        [sys.executable, "-m", "eqedge", "sensor", "record", url, str(path), "--seconds", "20"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"eqedge: cannot record to {path}: File too large\n"
    assert path.stat().st_size == 30_000 // 512 * 512 if path.exists() else name == "x.hdf5"


def test_waveform_writes_what_the_firmware_plays(stead, tmp_path):
    """The file has its signature, the counts, and the right size."""
    path = tmp_path / "wave.bin"
    done = CliRunner().invoke(sensor, ["waveform", str(stead[0]), str(path)])
    assert done.exit_code == 0, done.output
    data = path.read_bytes()
    assert data[:4] == b"EQW1" and len(data) == 96 + 6000 * 12
    assert (np.frombuffer(data[96:], "<i4").reshape(-1, 3) == stead[1]).all()


@pytest.mark.parametrize(
    "stated, rate_hz",
    [(50.0, 50.0), (np.int64(200), 200.0), (None, 100.0), (np.nan, 100.0), ([50.0, 50.0], 50.0)],
)
def test_a_record_plays_at_the_rate_it_states(stead, stated, rate_hz):
    """STEAD's 100 Hz, unless the record has another `sampling_rate_hz`; as STEAD's reader reads."""
    with h5py.File(stead[0], "a") as file:
        if stated is not None:
            file["data/A.XX_1_NO"].attrs["sampling_rate_hz"] = stated
    assert read_record(stead[0]).rate_hz == rate_hz


@pytest.mark.parametrize("stated", [0.0, -1.0, 1e9, "quick", [50.0, 2.0]])
def test_a_rate_that_no_sensor_has_is_an_error(stead, stated):
    """The record and its field are named."""
    with h5py.File(stead[0], "a") as file:
        file["data/A.XX_1_NO"].attrs["sampling_rate_hz"] = stated
    with pytest.raises(TraceError, match=r"\.hdf5: trace A\.XX_1_NO: sampling_rate_hz"):
        read_record(stead[0])


@pytest.mark.parametrize("factor", [1e-11, 1e-6, 1e9, 1e-29])
def test_a_record_in_physical_units_is_scaled(stead, factor):
    """Not rounded to zeros, nor cut at 32 bits: the Hello states what a count is."""
    with h5py.File(stead[0], "a") as file:
        x = file["data/A.XX_1_NO"][()].astype("f8") * factor
        del file["data/A.XX_1_NO"]
        file["data/A.XX_1_NO"] = x
        file["data/A.XX_1_NO"].attrs["unit"] = "m/s"
    record = read_record(stead[0])
    hello = record.hello("a", "b", 1)
    assert hello.unit == "M/S"
    back = record.counts * float(hello.units_per_count)
    assert np.abs(back - x).max() <= 1e-6 * np.abs(x).max()


def test_a_record_too_small_to_be_scaled_is_named(stead):
    """Its scale would be nothing in the Hello's 32 bits."""
    with h5py.File(stead[0], "a") as file:
        file["data/A.XX_1_NO"].attrs["sampling_rate_hz"] = 100.0
        x = file["data/A.XX_1_NO"][()].astype("f8") * 1e-40
        del file["data/A.XX_1_NO"]
        file["data/A.XX_1_NO"] = x
    with pytest.raises(TraceError, match="too small to be sent as counts; multiply it"):
        read_record(stead[0])


def test_a_dead_sensor_can_be_played(stead):
    """A trace without motion is refused by a replay, but not by a simulated sensor."""
    with h5py.File(stead[0], "a") as file:
        file["data/A.XX_1_NO"][...] = 7
    assert (read_record(stead[0]).counts == 7).all()


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["simulate", "STEAD"], "either --pty or --tcp"),
        (["simulate", "STEAD", "--pty", "--tcp", "0"], "either --pty or --tcp"),
        (["simulate", "STEAD", "--pty", "--speed", "0"], "is not a speed"),
        (["simulate", "STEAD", "--pty", "--speed", "quick"], "is not a speed"),
        (["simulate", "STEAD", "--pty", "--drop", "2"], "--drop"),
        (["simulate", "STEAD", "--pty", "--corrupt", "nan"], "--corrupt"),
        (["simulate", "STEAD", "--pty", "--stall", "soon"], "EVERY:FOR"),
        (["simulate", "STEAD", "--pty", "--jump", "1:inf"], "EVERY:FOR"),
        (["simulate", "STEAD", "--tcp", "99999"], "65535"),
        (["simulate", "STEAD", "--pty", "--drift", "-1000000"], "-100000"),
        (["waveform", "STEAD", "x.bin", "--crystal-ppm", "9999999"], "100000"),
        (["watch", "STEAD", "--every", "-1"], "--every"),
        (["record", "STEAD", "x.hdf5", "--seconds", "nan"], "--seconds"),
        (["simulate", "STEAD", "--pty", "--trace", "B"], "trace B: not in"),
        (["simulate", "nowhere.hdf5", "--pty"], "no such file"),
        (["simulate", "NOT_HDF5", "--pty"], "HDF5"),
        (["simulate", "EMPTY", "--pty"], "data/"),
        (["record", "/dev/ttyNONE", "x.hdf5"], "no such port"),
        (["check", "socket://127.0.0.1:1"], "127.0.0.1:1"),
        (["watch", "/dev/ttyNONE"], "no such port"),
    ],
)
def test_wrong_calls_are_one_clear_line(stead, tmp_path, eqedge, arguments, part):
    """Exit code 2 and a line that names the thing."""
    (tmp_path / "not.hdf5").write_text("not at all")
    h5py.File(tmp_path / "empty.hdf5", "w").close()
    files = {"STEAD": stead[0], "NOT_HDF5": tmp_path / "not.hdf5", "EMPTY": tmp_path / "empty.hdf5"}
    done = eqedge("sensor", *(files.get(a, a) for a in arguments))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert part in done.stderr and done.stdout == ""


def test_every_command_has_help():
    """A text for each command."""
    for name, command in sensor.commands.items():
        done = CliRunner().invoke(sensor, [name, "--help"])
        assert done.exit_code == 0 and command.help
