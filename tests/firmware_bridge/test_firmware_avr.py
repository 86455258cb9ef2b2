"""The Arduino Uno binaries on simavr: the converter on the chip, and an ADS1256 on SPI."""

import shutil
import subprocess
import time
from itertools import count, pairwise
from pathlib import Path

import numpy as np
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
    TimeReply,
    TimeRequest,
    Verb,
)
from eqedge.firmware_bridge.port import Port

pytestmark = pytest.mark.skipif(
    not (shutil.which("avr-gcc") and Path("/usr/include/simavr/sim_avr.h").exists()),
    reason="needs Debian's gcc-avr, avr-libc, libsimavr-dev, libelf-dev",
)
WAVE = Hello("d", "", 1000.0, ("HNE", "HNN", "HNZ"))  # inputs in steps of a millisecond
TICK_HZ = 250_000


@pytest.fixture
def start(make_firmware, tmp_path):
    """Run a board on simavr with these inputs and return its open port and a decoder."""
    processes, ports = [], []

    def begin(board, inputs):
        out = make_firmware("simulate_avr", board)
        path = tmp_path / "wave.bin"
        path.write_bytes(waveform_bytes(WAVE, inputs))
        converter = "uno" if board == "avr_uno" else "ads1256"
        process = subprocess.Popen(
            [out / "simulate_avr", out / f"{board}.elf", converter, path, "--tcp", "0"],
            stdout=subprocess.PIPE,
        )
        processes.append(process)
        where = b""
        while not where.startswith(b"tcp "):
            where = process.stdout.readline()
        ports.append(Port(f"socket://127.0.0.1:{int(where.split()[1])}"))
        ports[-1].open()
        return ports[-1], Decoder()

    yield begin
    for port in ports:
        port.close()
    for process in processes:
        process.kill()
        process.communicate()


def read_until(port, decoder, enough, seconds=120.0):
    """Collect packets until `enough(packets)`."""
    packets, until = [], time.monotonic() + seconds
    while not enough(packets) and time.monotonic() < until:
        packets += decoder.feed(port.read(0.05))
    assert enough(packets), (packets, decoder.losses)
    return packets


def runs_of(packets):
    """The Samples among the packets."""
    return [p for p in packets if isinstance(p, Samples)]


def commander(port, decoder):
    """Return a function that sends a command, repeats it by the protocol, returns the Ack."""
    identifiers = count(1)

    def command(verb, argument=0):
        identifier = next(identifiers)
        packets = []
        for _ in range(5):
            port.write(frame(Command(identifier, verb, argument).to_bytes()))
            until = time.monotonic() + 10.0
            while time.monotonic() < until:
                packets += decoder.feed(port.read(0.05))
                acks = [p for p in packets if isinstance(p, Ack) and p.command_id == identifier]
                if acks:
                    return acks[0], packets
        raise AssertionError(decoder.losses)

    return command


def test_the_uno_measures_its_inputs(start):
    """Three steady inputs come out as sums of 16 conversions, 100 readings a second by its tick."""
    levels = np.array([-6000, 0, 7000], dtype=np.int32)
    port, decoder = start("avr_uno", np.tile(levels, (20_000, 1)))
    packets = read_until(port, decoder, lambda ps: len(runs_of(ps)) >= 6)
    hello = next(p for p in packets if isinstance(p, Hello))
    assert (hello.device_id, hello.rate_hz, hello.tick_hz) == ("uno", 100.0, TICK_HZ)
    assert hello.adc_bits == 14 and hello.unit == ""
    runs = runs_of(packets)
    # A conversion cuts to 16 steps, the simulator takes whole millivolts (3.3 steps) and spreads
    # 5 V over 1023 instead of 1024 conversions (8 steps at the ends).
    assert np.abs(np.concatenate([p.counts for p in runs]) - levels).max() <= 16 + 4 + 8
    ticks = [p.tick for p in runs]
    assert set(np.diff(ticks)) == {25 * TICK_HZ // 100}
    assert decoder.losses.frames_bad == decoder.losses.sequence_lost == 0


def test_the_uno_obeys(start):
    """A new rate begins a new stream, odd rates are rejected, requests answered, REBOOT resets."""
    port, decoder = start("avr_uno", np.zeros((20_000, 3), np.int32))
    first = next(p for p in read_until(port, decoder, runs_of) if isinstance(p, Hello))
    command = commander(port, decoder)
    ack, _ = command(Verb.RATE, 99_999)
    assert (ack.result, ack.value) == (Result.NOT_POSSIBLE, 100_000)
    ack, _ = command(Verb.RATE, 200_000)
    assert ack.result == Result.NOT_POSSIBLE  # 48 conversions do not fit 5 ms
    ack, packets = command(Verb.RATE, 125_000)
    assert (ack.result, ack.value) == (Result.DONE, 125_000)
    new_boot = (first.boot_id + 1) % 2**32
    packets += read_until(
        port, decoder, lambda ps: sum(p.boot == new_boot & 0xFF for p in runs_of(ps)) >= 2
    )
    runs = [p for p in runs_of(packets) if p.boot == new_boot & 0xFF]
    assert [p.first_sample for p in runs[:2]] == [0, 25]
    assert runs[1].tick - runs[0].tick == 25 * TICK_HZ // 125
    port.write(frame(TimeRequest(77).to_bytes()))
    packets = read_until(port, decoder, lambda ps: any(isinstance(p, TimeReply) for p in ps))
    reply = next(p for p in packets if isinstance(p, TimeReply))
    assert reply.request_id == 77
    assert 0 <= (reply.tick_sent - reply.tick_received) % 2**32 < TICK_HZ // 20
    ack, packets = command(Verb.REBOOT, new_boot)
    assert ack.result == Result.DONE


def test_the_pulse_per_second_is_caught_by_the_timer(start):
    """Edges one second apart have ticks exactly one second apart, in each time reply."""
    port, decoder = start("avr_uno", np.zeros((20_000, 3), np.int32))
    edges, until = {}, time.monotonic() + 120
    while len(edges) < 3 and time.monotonic() < until:
        port.write(frame(TimeRequest(5).to_bytes()))
        for packet in decoder.feed(port.read(0.2)):
            if isinstance(packet, TimeReply) and packet.pps_count:
                edges[packet.pps_count] = packet.pps_tick
        time.sleep(0.05)
    numbers = sorted(edges)  # on a busy machine some of them are missing
    assert len(numbers) >= 3
    assert {(edges[n] - edges[m]) / (n - m) for m, n in pairwise(numbers)} == {TICK_HZ}


def test_the_ads1256_is_read_channel_by_channel(start):
    """A ramp of one count a millisecond: values, channel order, conversion times, gain."""
    ramp = np.arange(20_000, dtype=np.int32)[:, None] + np.array([0, 100_000, -5_000_000])
    port, decoder = start("uno_ads1256", ramp.astype(np.int32))
    packets = read_until(port, decoder, lambda ps: len(runs_of(ps)) >= 6)
    hello = next(p for p in packets if isinstance(p, Hello))
    assert hello.channels == ("EHE", "EHN", "EHZ") and hello.gain == 64.0 and hello.unit == "M/S"
    assert hello.units_per_count == pytest.approx(5.0 / 64 / (2**23 - 1) / 28.8, rel=1e-6)
    counts = np.concatenate([p.counts for p in runs_of(packets)]) - [0, 100_000, -5_000_000]
    assert set(np.diff(counts[:, 0])) == {10}  # one reading each 10 ms exactly
    # Each conversion ends 2.18 ms and the transfers after the one before.
    assert set((counts[:, 1] - counts[:, 0]).tolist()) <= {2, 3, 4}
    assert set((counts[:, 2] - counts[:, 1]).tolist()) <= {2, 3, 4}
    ack, rest = commander(port, decoder)(Verb.GAIN, 8000)
    assert (ack.result, ack.value) == (Result.DONE, 8000)
    rest += read_until(port, decoder, lambda ps: any(isinstance(p, Hello) for p in ps + rest))
    assert next(p for p in rest if isinstance(p, Hello)).gain == 8.0
    assert decoder.losses.frames_bad == 0
