"""The sensor in software: what it sends, how it replies."""

import numpy as np
import pytest
from eqedge.firmware_bridge.counters import Unwrapper
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
from eqedge.firmware_bridge.virtual import VirtualSensor
from hypothesis import given
from hypothesis import strategies as st


def exchange(sensor, packet):
    """Send one packet to the sensor and return its answers."""
    return Decoder().feed(sensor.receive(frame(packet.to_bytes())))


@given(st.lists(st.integers(0, 130), max_size=12), st.integers(1, 60))
def test_bytes_do_not_depend_on_the_portions_pushed(portions, per_packet):
    """However the samples are handed over, the same bytes go out."""
    hello = Hello("d", "f", 100.0, ("HNE", "HNN", "HNZ"))
    counts = np.arange(3 * sum(portions), dtype=np.int32).reshape(-1, 3)
    whole, cut = VirtualSensor(hello, per_packet), VirtualSensor(hello, per_packet)
    out, at = b"", 0
    for size in portions:
        out += cut.push(counts[at : at + size])
        at += size
    assert out == whole.push(counts)
    assert cut.flush() == whole.flush()


def test_flush_sends_the_rest_once(hello, waves):
    """The last, shorter packet goes out on flush; a second flush is empty."""
    counts = waves(110)
    sensor = VirtualSensor(hello, 25)
    packets = Decoder().feed(sensor.push(counts) + sensor.flush())
    assert [len(p.counts) for p in packets] == [25, 25, 25, 25, 10]
    assert (np.concatenate([p.counts for p in packets]) == counts).all()
    assert sensor.flush() == b""


def test_counters_wrap_on_the_wire_and_unwrap_behind_it(hello, waves):
    """Sample number (32 bits), tick (32 bits) and sequence (16 bits) all wrap in one stream."""
    start = 2**32 - 130
    sensor = VirtualSensor(
        hello, 10, first_sample=start, first_tick=2**32 - 777_777, first_sequence=2**16 - 9
    )
    decoder = Decoder()
    packets = [p for p in decoder.feed(sensor.push(waves(400))) if isinstance(p, Samples)]
    sample, tick = Unwrapper(32), Unwrapper(32)
    assert [sample(p.first_sample) for p in packets] == list(range(start, start + 400, 10))
    ticks = [tick(p.tick) for p in packets]
    assert ticks == list(range(2**32 - 777_777, 2**32 - 777_777 + 40 * 100_000, 100_000))
    assert decoder.losses.sequence_lost == 0
    assert packets[0].sequence == 65_527 and packets[-1].sequence == 30


def test_ticks_do_not_drift_at_odd_rates(waves):
    """At 62.5 Hz and a 250 kHz tick each packet's tick is the exact quotient."""
    hello = Hello("d", "f", 62.5, ("EHZ",), tick_hz=250_000)
    packets = Decoder().feed(VirtualSensor(hello, 7).push(waves(700, channels=1)))
    samples = [p for p in packets if isinstance(p, Samples)]
    assert [p.tick for p in samples] == [n * 4000 for n in range(0, 700, 7)]


def test_beacons_come_each_ten_seconds(hello, waves):
    """Status and Hello follow the packet that completes ten seconds of samples."""
    packets = Decoder().feed(VirtualSensor(hello).push(waves(3000)))
    names = [type(p).__name__ for p in packets]
    assert names == (["Samples"] * 40 + ["Status", "Hello"]) * 3
    statuses = [p for p in packets if isinstance(p, Status)]
    assert [p.next_sample for p in statuses] == [1000, 2000, 3000]
    assert statuses[0].tick == 9_990_000 and statuses[0].streaming


def test_time_is_answered(hello, waves):
    """By default the tick of the last sample; with a clock of its own, that clock's."""
    sensor = VirtualSensor(hello)
    sensor.push(waves(101))
    assert exchange(sensor, TimeRequest(9)) == [TimeReply(9, 1_000_000, 1_000_000, boot=0x41)]
    clocked = VirtualSensor(hello, now_tick=lambda: 2**32 + 5)
    assert exchange(clocked, TimeRequest(1)) == [TimeReply(1, 5, 5, boot=0x41)]


def test_stop_and_start_keep_numbering(hello, waves):
    """Samples taken while stopped are numbered but not sent."""
    sensor, decoder = VirtualSensor(hello, 10), Decoder()
    decoder.feed(sensor.push(waves(25)))
    assert exchange(sensor, Command(1, Verb.STOP)) == [Ack(1, Verb.STOP, 0, boot=0x41)]
    assert sensor.push(waves(100)) == b"" and sensor.flush() == b""
    assert exchange(sensor, Command(2, Verb.START)) == [Ack(2, Verb.START, 0, boot=0x41)]
    packets = decoder.feed(sensor.push(waves(10)))
    assert [(p.sequence, p.first_sample, p.tick) for p in packets] == [(2, 125, 1_250_000)]


def test_identify_is_followed_by_a_hello(hello):
    """A host that joined late sends IDENTIFY and gets a Hello."""
    assert exchange(VirtualSensor(hello), Command(7, Verb.IDENTIFY, 3)) == [
        Ack(7, Verb.IDENTIFY, Result.DONE, boot=0x41),
        hello,
    ]


def test_reboot_happens_once(hello, waves):
    """The right boot_id reboots into the next; the repeated command no longer fits."""
    sensor = VirtualSensor(hello)
    sensor.push(waves(60))
    command = Command(3, Verb.REBOOT, hello.boot_id)
    ack, greeting = exchange(sensor, command)
    assert ack.result == Result.DONE and greeting.boot_id == hello.boot_id + 1
    assert [p.result for p in exchange(sensor, command)] == [Result.BAD_ARGUMENT]
    first = Decoder().feed(sensor.push(waves(25)))[0]
    assert (first.sequence, first.first_sample, first.boot) == (0, 0, 0x42)


@pytest.mark.parametrize(
    "command, result, value",
    [
        (Command(1, Verb.RATE, 100_000), Result.DONE, 100_000),
        (Command(1, Verb.RATE, 250_000), Result.NOT_POSSIBLE, 100_000),
        (Command(1, Verb.RATE, 0), Result.BAD_ARGUMENT, 100_000),
        (Command(1, Verb.RATE, 4_000_000_000), Result.BAD_ARGUMENT, 100_000),
        (Command(1, Verb.IDENTIFY, 61), Result.BAD_ARGUMENT, 0),
        (Command(1, Verb.GAIN, 1000), Result.DONE, 1000),
        (Command(1, Verb.GAIN, 64_000), Result.NOT_POSSIBLE, 1000),
        (Command(1, 99), Result.UNKNOWN_VERB, 0),
    ],
)
def test_what_cannot_be_done_is_answered(hello, command, result, value):
    """A recording keeps its rate and gain, and the Ack has them; unknown verbs are refused."""
    ack = exchange(VirtualSensor(hello), command)[0]
    assert (ack.result, ack.value) == (result, value)


def test_noise_from_the_host_is_reported(hello, waves):
    """Damaged commands are ignored and counted in the next Status."""
    sensor = VirtualSensor(hello)
    assert sensor.receive(b"\xff\x01\x02\0" + b"what?\0" + b"x" * 500 + b"\0") == b""
    packets = Decoder().feed(sensor.push(waves(1000)))
    assert [p.receive_errors for p in packets if isinstance(p, Status)] == [3]


def test_counts_of_another_shape_are_refused(hello):
    """Two columns for three channels is a programming error with a message."""
    with pytest.raises(ValueError, match="wanted"):
        VirtualSensor(hello).push(np.zeros((5, 2), np.int32))
