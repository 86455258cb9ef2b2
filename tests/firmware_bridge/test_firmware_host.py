"""The C firmware built for Linux: its own tests, and its bytes against the Python side's."""

import math
import shutil
import subprocess
import time
from itertools import count

import pytest
from eqedge.edge.tools.sensor.waveform import waveform_bytes
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.framing import frame
from eqedge.firmware_bridge.packets import (
    Ack,
    Command,
    Hello,
    Result,
    Samples,
    Status,
    TimeReply,
    TimeRequest,
    Verb,
)
from eqedge.firmware_bridge.port import Port
from eqedge.firmware_bridge.virtual import VirtualSensor

pytestmark = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("make")), reason="needs gcc and make"
)


@pytest.fixture(scope="module")
def sensor_program(make_firmware):
    """The Linux build of the firmware, with address and undefined-behaviour sanitizers."""
    return make_firmware("sanitized_host") / "sensor-sanitized"


@pytest.fixture
def start(sensor_program, tmp_path):
    """Start the program on a waveform and return (process, port URL)."""
    running = []

    def begin(hello, counts, *arguments, **extras):
        path = tmp_path / "wave.bin"
        path.write_bytes(waveform_bytes(hello, counts, **extras))
        process = subprocess.Popen(
            [sensor_program, path, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        running.append(process)
        kind, where = process.stdout.readline().decode().split()
        return process, where if kind == "pty" else f"socket://127.0.0.1:{where}"

    yield begin
    for process in running:
        process.kill()
        _, errors = process.communicate()
        assert errors == b"", errors.decode()  # a sanitizer's report


@pytest.fixture
def host_hello():
    """What the host board's Hello has that the waveform does not."""
    return Hello(
        device_id="quake-7",
        firmware="eqedge host 1.0",
        rate_hz=100.0,
        channels=("HNE", "HNN", "HNZ"),
        tick_hz=1_000_000,
        units_per_count=3.8e-5,
        unit="M/S**2",
        boot_id=0x1000_0041,
    )


def read_until(port, decoder, enough, seconds=120.0):
    """Collect packets until `enough(packets)`."""
    packets, until = [], time.monotonic() + seconds
    while not enough(packets) and time.monotonic() < until:
        packets += decoder.feed(port.read(0.05))
    assert enough(packets), packets
    return packets


def has(packet_class):
    """The condition that a packet of this class is among those received."""
    return lambda packets: any(isinstance(p, packet_class) for p in packets)


def test_c_unit_tests_pass_on_the_golden_vectors(make_firmware):
    """test_protocol and test_device, sanitized, also with sample numbers about to wrap."""
    make_firmware("test")


@pytest.mark.parametrize("line", ["--pty", "--tcp"])
def test_the_firmware_and_the_virtual_sensor_send_the_same_bytes(start, host_hello, waves, line):
    """Greeting, packets of each width, two beacons: byte for byte the same stream."""
    counts = waves(2500)
    where = ["--pty"] if line == "--pty" else ["--tcp", "0"]
    process, url = start(host_hello, counts, *where, "--speed", "max")
    virtual = VirtualSensor(host_hello, 25)
    expected = virtual.greet() + virtual.push(counts)
    with Port(url) as port:
        stream = b""
        while len(stream) < len(expected):
            data = port.read(60.0)
            assert data, (len(stream), port.last_fault)
            stream += data
    assert stream == expected
    assert process.wait(120) == 0


@pytest.mark.parametrize("rate_hz", [62.5, 250.0])
def test_other_rates(start, waves, rate_hz):
    """Rates that do not divide the tick or the beacon evenly agree with the Python side too."""
    hello = Hello("d", "eqedge host 1.0", rate_hz, ("EHZ", "EHN", "EHE"), boot_id=5)
    counts = waves(2000)
    _, url = start(hello, counts, "--tcp", "0", "--speed", "max")
    virtual = VirtualSensor(hello, 25)
    expected = virtual.greet() + virtual.push(counts)
    with Port(url) as port:
        stream = b""
        while len(stream) < len(expected):
            data = port.read(60.0)
            assert data
            stream += data
    assert stream == expected


def test_in_real_time_ticks_follow_the_crystal(start, host_hello, waves, tick_rate_bounds):
    """With a crystal 5 % fast, at twice real time, ticks run 5 % above 2 MHz.

    Requests are sent until they bound the rate to 2 %, however slow the machine is.
    """
    _, url = start(host_hello, waves(24_000), "--pty", "--speed", "2", crystal_ppm=50_000.0)
    with Port(url) as port:
        decoder, trips, low, high = Decoder(), [], 0.0, math.inf
        read_until(port, decoder, has(Samples))
        until = time.monotonic() + 100
        while not 2.06e6 < low <= high < 2.14e6 and time.monotonic() < until:
            requested = time.monotonic()
            port.write(frame(TimeRequest(len(trips)).to_bytes()))
            packets = read_until(port, decoder, has(TimeReply))
            reply = next(p for p in packets if isinstance(p, TimeReply))
            assert reply.request_id == len(trips) and reply.tick_sent >= reply.tick_received
            trips.append((requested, time.monotonic(), reply.tick_received, reply.tick_sent))
            low, high = tick_rate_bounds(trips)
            time.sleep(0.03)
    assert 2.06e6 < low <= 2.1e6 <= high < 2.14e6
    assert decoder.losses.frames_bad == 0


def test_commands_are_obeyed(start, host_hello, waves):
    """Identify, stop, start, an impossible rate, and a reboot with a new boot_id."""
    _, url = start(host_hello, waves(120_000), "--pty", "--speed", "10")
    with Port(url) as port:
        decoder = Decoder()
        read_until(port, decoder, has(Samples))

        identifiers = count(1)

        def command(verb, argument=0):
            identifier = next(identifiers)
            port.write(frame(Command(identifier, verb, argument).to_bytes()))
            packets = read_until(port, decoder, has(Ack))
            at = next(i for i, p in enumerate(packets) if isinstance(p, Ack))
            assert packets[at].command_id == identifier
            return packets[at], packets[at + 1 :]

        ack, _ = command(Verb.IDENTIFY, 1)
        assert ack.result == Result.DONE
        ack, _ = command(Verb.RATE, 125_000)
        assert (ack.result, ack.value) == (Result.NOT_POSSIBLE, 100_000)
        ack, after = command(Verb.STOP)
        assert ack.result == Result.DONE
        before = decoder.losses.frames_ok
        decoder.feed(port.read(0.05))
        assert decoder.losses.frames_ok == before and after == []
        ack, rest = command(Verb.START)
        rest += read_until(port, decoder, has(Samples))
        assert decoder.losses.sequence_lost == 0
        ack, rest = command(Verb.REBOOT, host_hello.boot_id)
        assert ack.result == Result.DONE
        rest += read_until(port, decoder, has(Samples))
        hello = next(p for p in rest if isinstance(p, Hello))
        first = next(p for p in rest if isinstance(p, Samples))
        assert hello.boot_id == host_hello.boot_id + 1
        assert (first.sequence, first.first_sample) == (0, 0)
        assert decoder.losses.boots == 1 and decoder.losses.frames_bad == 0


def missing_before(packets, number):
    """Samples numbered below `number` that are in none of the packets."""
    runs = [p for p in packets if isinstance(p, Samples)]
    return number - sum(max(0, min(len(p.counts), number - p.first_sample)) for p in runs)


def test_a_reader_that_stalls_makes_the_ring_overflow(start, host_hello, waves):
    """Samples lost to a full ring are missing by number, and each Status has their count."""
    counts = waves(600_000)
    _, url = start(host_hello, counts, "--pty", "--speed", "100")

    def all_of(packets):
        """Those Statuses up to which all samples that came are among the packets."""
        reach = max((p.first_sample for p in packets if isinstance(p, Samples)), default=0)
        return [p for p in packets if isinstance(p, Status) and p.next_sample <= reach]

    with Port(url) as port:
        decoder = Decoder()
        packets = read_until(port, decoder, has(Samples))
        for _ in range(3):
            time.sleep(0.09)  # about 900 samples are taken and not read
        packets += read_until(port, decoder, lambda ps: any(s.samples_dropped for s in all_of(ps)))
    assert decoder.losses.sequence_lost == 0 and decoder.losses.frames_bad == 0
    statuses = all_of(packets)
    assert [missing_before(packets, s.next_sample) for s in statuses] == [
        s.samples_dropped for s in statuses
    ]
    for packet in packets:
        if isinstance(packet, Samples):
            truth = counts[packet.first_sample : packet.first_sample + len(packet.counts)]
            assert (packet.counts == truth).all()
            assert packet.tick == packet.first_sample * 10_000


def test_a_cut_tcp_line_is_taken_up_again(start, host_hello, waves):
    """After the reader hung up, the next one receives the stream, without a new boot."""
    _, url = start(host_hello, waves(60_000), "--tcp", "0", "--speed", "5")
    with Port(url) as port:
        first = read_until(port, Decoder(), has(Samples))
    with Port(url) as port:
        second = read_until(port, Decoder(), has(Samples))
    one = next(p for p in first if isinstance(p, Samples))
    other = next(p for p in second if isinstance(p, Samples))
    assert other.boot == one.boot and other.first_sample > one.first_sample


@pytest.mark.parametrize(
    "content, part",
    [
        (b"not a waveform", "no waveform"),
        (b"EQW1" + bytes(200), "no waveform"),
        (None, "No such file"),
        ("one channel", "CHANNELS"),
        ("cut", "shorter"),
    ],
)
def test_a_wrong_waveform_is_one_clear_line(sensor_program, tmp_path, content, part, waves):
    """The program names the file and what is wrong, and ends with 2."""
    path = tmp_path / "wave.bin"
    if content == "one channel":
        content = waveform_bytes(Hello("d", "", 100.0, ("EHZ",)), waves(10, channels=1))
    elif content == "cut":
        hello = Hello("d", "", 100.0, ("EHZ", "EHN", "EHE"))
        content = waveform_bytes(hello, waves(10))[:-1]
    if content is not None:
        path.write_bytes(content)
    done = subprocess.run([sensor_program, path, "--pty"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert part in done.stderr and str(path) in done.stderr and done.stderr.count("\n") == 1
