"""The decoder on links that lose, damage, repeat, shuffle and invent bytes; all seeded."""

import gc
import os
import pty
import shutil
import threading
import time
import tracemalloc
import tty

import numpy as np
import pytest
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.diagnosis import diagnose
from eqedge.firmware_bridge.framing import frame
from eqedge.firmware_bridge.packets import Hello, Samples
from eqedge.firmware_bridge.port import Port
from eqedge.firmware_bridge.virtual import VirtualSensor
from hypothesis import given
from hypothesis import strategies as st

from studies.megabaud import run

NMEA = (
    b"$GPRMC,081836,A,3751.65,S,14507.36,E,000.0,360.0,130998,011.3,E*62\r\n"
    b"$GPGGA,081837,3751.65,S,14507.36,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
)
BOOTLOADER = b"\x14\x10" * 8 + b"\x30\x20" * 20 + b"\x41\x81\x20" * 9 + b"\xfc\xfe\xff" * 5
"""Noise such as a serial bootloader's dialogue leaves behind: no zero in it."""


def uart(data, sent_baud, read_baud):
    """What a receiver at one speed makes of bytes sent at another: each bit sampled mid-way."""
    bits = np.ones((len(data), 10), np.uint8)
    bits[:, 0] = 0
    bits[:, 1:9] = np.unpackbits(
        np.frombuffer(data, np.uint8).reshape(-1, 1), axis=1, bitorder="little"
    )
    line = np.concatenate([np.ones(20, np.uint8), bits.ravel(), np.ones(40, np.uint8)])
    step, at, out = sent_baud / read_baud, 1.0, bytearray()
    while at < len(line) - 12 * step - 2:
        if line[int(at)]:
            at += step / 16
            continue
        middles = at + step * (np.arange(10) + 0.5)
        levels = line[middles.astype(int)]
        if levels[0] == 0:
            out.append(int(np.packbits(levels[1:9], bitorder="little")[0]))
        at = middles[9]
    return bytes(out)


def damage(stream, rng, share, kinds=("flip", "drop", "insert")):
    """Damage a share of the bytes, each in a way drawn from `kinds`."""
    out = bytearray()
    hit = rng.random(len(stream)) < share
    for byte, bad in zip(stream, hit, strict=True):
        kind = kinds[rng.integers(len(kinds))] if bad else ""
        if kind == "flip":
            out.append(byte ^ 1 << int(rng.integers(8)))
        elif kind == "insert":
            out += bytes([byte, int(rng.integers(256))])
        elif kind != "drop":
            out.append(byte)
    return bytes(out)


def test_the_uart_model_is_faithful_at_equal_speeds():
    """At the same speed the model of the line gives back what was sent."""
    data = bytes(range(256))
    assert uart(data, 115_200, 115_200) == data


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [1e-4, 1e-3, 1e-2])
def test_damaged_bytes_never_make_a_wrong_packet(hello, waves, share, seed):
    """What comes through was sent, in order, and what is missing is counted exactly."""
    rng = np.random.default_rng(seed)
    sensor, decoder = VirtualSensor(hello, 10), Decoder()
    sent = {
        p.sequence: p
        for p in Decoder().feed(VirtualSensor(hello, 10).push(waves(3000)))
        if isinstance(p, Samples)
    }
    stream = sensor.push(waves(3000))
    received = [p for p in decoder.feed(damage(stream, rng, share)) if isinstance(p, Samples)]
    assert all(p == sent[p.sequence] for p in received)
    numbers = [p.sequence for p in received]
    assert numbers == sorted(set(numbers)) and len(numbers) > 20
    span = numbers[-1] - numbers[0] + 1
    assert decoder.losses.sequence_lost == span - len(numbers)
    assert decoder.losses.duplicates == decoder.losses.late == decoder.losses.boots == 0


@given(st.binary(max_size=500))
def test_one_frame_at_most_is_lost_after_garbage(garbage):
    """Whatever came before, the second of two frames is read."""
    first = frame(Samples(1, 0, 0, np.ones((1, 1), np.int32)).to_bytes())
    second = frame(Samples(2, 1, 0, np.ones((1, 1), np.int32)).to_bytes())
    packets = Decoder().feed(garbage + first + second)
    assert packets[-1].sequence == 2


def test_a_greeting_after_bootloader_noise_loses_nothing(hello):
    """The zero before the first Hello separates it from the bootloader's last output."""
    decoder = Decoder()
    assert decoder.feed(BOOTLOADER + VirtualSensor(hello).greet()) == [hello]
    assert decoder.losses.framing_errors + decoder.losses.crc_errors == 1
    assert decoder.losses.bytes_discarded == len(BOOTLOADER) + 1
    assert diagnose(decoder) is None


@pytest.mark.parametrize("seed", range(3))
def test_duplicated_and_shuffled_frames(hello, waves, seed):
    """Frames repeated and moved by up to 20 places: each sample arrives once, none is lost."""
    rng = np.random.default_rng(seed)
    stream = VirtualSensor(hello, 5).push(waves(1000))
    frames = [piece + b"\0" for piece in stream.split(b"\0")[:-1]]
    keyed = [(i + float(rng.uniform(0, 20)), f) for i, f in enumerate(frames)]
    keyed += [(i + float(rng.uniform(0, 20)), f) for i, f in enumerate(frames) if i % 3 == 0]
    shuffled = b"".join(f for _, f in sorted(keyed))
    decoder = Decoder()
    received = [p for p in decoder.feed(shuffled) if isinstance(p, Samples)]
    assert sorted(p.sequence for p in received) == list(
        range(min(p.sequence for p in received), 200)
    )
    assert len(received) >= 200 - 20
    assert decoder.losses.sequence_lost == 0 and decoder.losses.late > 0


def test_a_run_without_an_end_costs_no_memory(hello):
    """50 MB of bytes without a zero are dropped as they come; then a frame is read."""
    decoder = Decoder()
    noise = bytes(range(1, 256)) * 400
    decoder.feed(noise)
    tracemalloc.start()
    for _ in range(500):
        decoder.feed(noise)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000
    assert decoder.losses.oversize == 1
    assert decoder.losses.bytes_discarded == 501 * len(noise)
    assert decoder.feed(b"\0" + frame(hello.to_bytes())) == [hello]


@pytest.mark.slow
def test_one_percent_damage_for_long_leaves_memory_flat(hello, waves):
    """Four simulated hours with 1 % of bytes damaged: nothing grows."""
    rng = np.random.default_rng(8)
    sensor, decoder = VirtualSensor(hello), Decoder()
    block = damage(sensor.push(waves(6000)), rng, 0.01)
    tracemalloc.start()
    held = []
    for turn in range(240):
        for at in range(0, len(block), 997):
            decoder.feed(block[at : at + 997])
        if turn in (59, 239):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # Less than a byte a frame: Python 3.13 and numpy go on filling their own free lists, to 22 kB.
    frames = decoder.losses.frames_ok + decoder.losses.frames_bad
    assert held[1] - held[0] < 30_000 < frames * 180 / 240
    assert decoder.losses.frames_bad > 10_000


def pour(master, block, size):
    """Write so many bytes to a pty, at 1 Mbaud (100 kB a second) or slower."""
    sent, began = 0, time.monotonic()
    while sent < size:
        due = min(int((time.monotonic() - began) * 100_000), size) - sent
        if due > 0:
            at = sent % len(block)
            sent += os.write(master, block[at : at + min(due, 4096)])
        time.sleep(0.002)


@pytest.mark.slow
def test_a_megabaud_pty_with_one_percent_damage(hello, waves):
    """Four seconds at 1 Mbaud, 1 % of bytes damaged: all read, frames found, memory flat.

    `python -m studies.megabaud` does it for ten minutes, and gives an account.
    """
    block = damage(VirtualSensor(hello).push(waves(6000)), np.random.default_rng(9), 0.01)
    master, slave = pty.openpty()
    tty.setraw(slave)
    with Port(os.ttyname(slave), baud=1_000_000) as port:
        writer = threading.Thread(target=pour, args=(master, block, 400_000))
        writer.start()
        decoder, sizes, more = Decoder(), [], True
        tracemalloc.start()
        while more:
            more = writer.is_alive()
            data = port.read(0.05)
            more |= bool(data)
            decoder.feed(data)
            sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        writer.join()
    os.close(master)
    os.close(slave)
    assert decoder.losses.bytes_received == 400_000
    assert decoder.losses.frames_ok > 50 and decoder.losses.frames_bad > 1000
    half = len(sizes) // 2
    assert max(sizes[half:]) < max(sizes[:half]) + 50_000


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("make")), reason="needs gcc and make")
def test_the_account_of_a_megabaud_line(tmp_path):
    """A second of the firmware's bytes, 1 % damaged: all that arrives whole is read, no more."""
    account = run(tmp_path, seconds=1.0, share=0.01, seed=3)
    assert [fault for fault in account.faults() if "memory" not in fault] == []
    assert account.bytes_sent == 100_000 and account.frames_sent > 380


def test_a_gps_receiver_is_named():
    """NMEA text yields no packet and is recognised."""
    decoder = Decoder()
    assert decoder.feed(NMEA * 40) == []
    assert "GPS" in diagnose(decoder)
    assert decoder.losses.oversize == 1


def test_another_talkative_device_is_named():
    """An Arduino that prints its readings is distinguished from noise, and the line is quoted."""
    decoder = Decoder()
    decoder.feed(b"x=12 y=-3 z=981\r\n" * 30 + b"x=12 y=-3")
    assert "sends text" in diagnose(decoder) and "x=12" in diagnose(decoder)


@pytest.mark.parametrize("sent", [9_600, 57_600, 230_400, 921_600])
def test_a_wrong_speed_is_found_and_named(hello, waves, sent):
    """A sensor at another speed gives no packet, and the message names the speed."""
    sensor, decoder = VirtualSensor(hello), Decoder()
    noise = uart(sensor.greet() + sensor.push(waves(600)), sent, 115_200)
    assert len(noise) > 500
    assert decoder.feed(noise) == []
    assert "115200 baud" in diagnose(decoder, 115_200) and "speed" in diagnose(decoder, 115_200)


def test_a_dead_line_is_no_sensor():
    """Zeros only (a break, or a line held low) hold no frame, and the message is of that."""
    decoder = Decoder()
    assert decoder.feed(bytes(100_000)) == []
    assert decoder.losses.frames_bad == 0
    assert "not one packet" in diagnose(decoder)


def test_a_device_of_the_future_is_named(hello):
    """The message on a stream of version 2 names the side to update."""
    decoder = Decoder()
    decoder.feed(frame(b"\x02\x01 anything") * 20)
    assert "version 2" in diagnose(decoder) and "update eqedge" in diagnose(decoder)
    assert decoder.losses.unknown_version == 20


def test_an_absurd_rate_is_named(vectors):
    """A device that claims 0 Hz is refused, and the reason reaches the user."""
    bad = {vector["name"]: bytes.fromhex(vector["frame"]) for vector in vectors["bad"]}
    decoder = Decoder()
    assert decoder.feed(bad["hello-at-0-hz"]) == []
    assert "0 Hz" in diagnose(decoder)


def test_a_good_stream_needs_no_diagnosis(hello, waves):
    """Neither a clean stream nor one with a few damaged frames gives a message."""
    sensor, decoder = VirtualSensor(hello), Decoder()
    stream = sensor.greet() + sensor.push(waves(2000))
    decoder.feed(damage(stream, np.random.default_rng(3), 1e-4))
    assert decoder.losses.frames_bad > 0 and diagnose(decoder) is None


def test_a_bad_cable_is_named(hello, waves):
    """Where most frames are damaged but some come through, the cable is to blame."""
    sensor, decoder = VirtualSensor(hello), Decoder()
    stream = sensor.greet() + sensor.push(waves(5000))
    decoder.feed(damage(stream, np.random.default_rng(3), 0.008))
    assert "cable" in diagnose(decoder)


def test_hellos_of_two_devices_are_distinguished(hello):
    """Two sensors alternating on one line count as boots, so that it shows."""
    fields = {name: getattr(hello, name) for name in Hello.__dataclass_fields__}
    other = Hello(**{**fields, "device_id": "other", "boot_id": 7})
    decoder = Decoder()
    decoder.feed((frame(hello.to_bytes()) + frame(other.to_bytes())) * 5)
    assert decoder.losses.boots == 9
