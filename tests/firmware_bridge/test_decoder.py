"""Bytes to packets on good links: portions, sequence, boots, wraps."""

import time

import numpy as np
import pytest
from eqedge.firmware_bridge.decoder import Decoder, Losses
from eqedge.firmware_bridge.framing import frame
from eqedge.firmware_bridge.packets import Hello, Samples, Status, TimeReply
from eqedge.firmware_bridge.virtual import VirtualSensor
from hypothesis import given
from hypothesis import strategies as st

ONE = np.ones((1, 1), np.int32)


def sealed(sequence, boot=0, first_sample=0):
    """A Samples frame with this (wrapped) sequence number."""
    return frame(Samples(sequence & 0xFFFF, first_sample, 0, ONE, boot).to_bytes())


def feed_sequences(decoder, sequences):
    """Feed Samples packets with these sequence numbers and return those delivered."""
    packets = [packet for s in sequences for packet in decoder.feed(sealed(s))]
    return [packet.sequence for packet in packets]


def test_a_clean_stream_comes_through_whole(hello, waves):
    """Greeting, samples and beacons of 25 s arrive; the counts are the ones sent; no loss."""
    counts = waves(2500)
    sensor, decoder = VirtualSensor(hello), Decoder()
    packets = decoder.feed(sensor.greet() + sensor.push(counts))
    assert packets[0] == hello
    received = [p for p in packets if isinstance(p, Samples)]
    assert (np.concatenate([p.counts for p in received]) == counts).all()
    assert [p.first_sample for p in received] == list(range(0, 2500, 25))
    assert sum(isinstance(p, Status) for p in packets) == 2
    assert decoder.losses == Losses(
        bytes_received=decoder.losses.bytes_received, frames_ok=100 + 1 + 2 + 2
    )


def test_one_byte_at_a_time(hello, waves):
    """The packets are the same when each byte comes alone."""
    sensor = VirtualSensor(hello, 10)
    stream = sensor.greet() + sensor.push(waves(200))
    whole, single = Decoder(), Decoder()
    expected = whole.feed(stream)
    assert [p for byte in stream for p in single.feed(bytes([byte]))] == expected
    assert single.losses == whole.losses


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.integers(0, 2**32))
def test_any_portions_give_the_same(portions, seed):
    """However a damaged stream is cut into portions, packets and counters are the same."""
    rng = np.random.default_rng(seed)
    stream = bytearray(b"".join(sealed(s) for s in range(30)) + rng.bytes(300) + sealed(30))
    for position in rng.integers(0, len(stream), 6):
        stream[position] ^= 0xA5
    whole, cut = Decoder(max_frame=200), Decoder(max_frame=200)
    expected = whole.feed(bytes(stream))
    received, at = [], 0
    for size in [*portions, len(stream)]:
        received += cut.feed(bytes(stream[at : at + size]))
        at += size
    assert received == expected and cut.losses == whole.losses


def test_lost_packets_are_counted():
    """Gaps in the sequence add up, and the first packet of a stream is no gap."""
    decoder = Decoder()
    assert feed_sequences(decoder, [500, 501, 504, 510]) == [500, 501, 504, 510]
    assert decoder.losses.sequence_lost == 2 + 5


def test_sequences_wrap_at_16_bits():
    """Passing 65535 loses nothing; a loss across the wrap is counted right."""
    decoder = Decoder()
    feed_sequences(decoder, range(65_500, 65_600))
    assert decoder.losses.sequence_lost == 0
    feed_sequences(decoder, [65_540, 65_600 + 36])
    assert decoder.losses.duplicates == 1
    assert decoder.losses.sequence_lost == 36


def test_duplicates_are_not_delivered():
    """A packet that comes twice, at once or a little later, is delivered once."""
    decoder = Decoder()
    assert feed_sequences(decoder, [1, 1, 2, 3, 2, 4, 1]) == [1, 2, 3, 4]
    assert decoder.losses.duplicates == 3 and decoder.losses.sequence_lost == 0


def test_reordered_packets_are_delivered_and_not_lost():
    """A late packet first counts as lost and then does not."""
    decoder = Decoder()
    assert feed_sequences(decoder, [1, 3]) == [1, 3]
    assert decoder.losses.sequence_lost == 1
    assert feed_sequences(decoder, [2, 4]) == [2, 4]
    assert decoder.losses.sequence_lost == 0 and decoder.losses.late == 1


def test_a_jump_far_back_begins_anew():
    """After hours without link the sequence may be anywhere; nothing is held up or miscounted."""
    decoder = Decoder()
    assert feed_sequences(decoder, [30_000, 100, 101, 100]) == [30_000, 100, 101]
    assert decoder.losses.sequence_lost == 0 and decoder.losses.duplicates == 1


def test_a_reset_is_seen_even_when_its_hello_is_lost(hello):
    """The boot number in Samples distinguishes a restarted sequence from duplicates."""
    decoder = Decoder()
    decoder.feed(b"".join(sealed(s, boot=1) for s in range(50)))
    packets = decoder.feed(b"".join(sealed(s, boot=2) for s in range(50)))
    assert len(packets) == 50
    assert (decoder.losses.boots, decoder.losses.duplicates) == (1, 0)
    again = Hello(**{n: getattr(hello, n) for n in Hello.__dataclass_fields__} | {"boot_id": 3})
    decoder.feed(frame(again.to_bytes()) + sealed(0, boot=3))
    assert decoder.losses.boots == 2


@pytest.mark.parametrize("change", [{"rate_hz": 50.0}, {"boot_id": 0x101}, {"device_id": "b"}])
def test_another_hello_is_a_restart_under_the_same_mark_too(change):
    """Two boots share the low byte of their numbers once in 256: nothing of the second is lost."""
    described = {
        "device_id": "a",
        "firmware": "",
        "rate_hz": 100.0,
        "channels": ("HHZ",),
        "boot_id": 1,
    }
    first, second = Hello(**described), Hello(**{**described, **change})
    decoder = Decoder()
    decoder.feed(frame(first.to_bytes()) + b"".join(sealed(s, boot=1) for s in range(40)))
    assert decoder.losses.boots == 0
    again = frame(second.to_bytes()) + b"".join(sealed(s, boot=1) for s in range(40))
    assert len(decoder.feed(again)) == 41
    assert decoder.losses.duplicates == decoder.losses.late == 0
    assert decoder.losses.boots == 1
    decoder.feed(frame(second.to_bytes()))
    assert decoder.losses.boots == 1


def test_restart_drops_the_unfinished_frame_only():
    """After a lost port the half frame is counted as discarded and the next one is read."""
    decoder = Decoder()
    assert decoder.feed(sealed(1) + sealed(2)[:10]) != []
    decoder.restart()
    assert [p.sequence for p in decoder.feed(sealed(3))] == [3]
    assert decoder.losses.bytes_discarded == 10 and decoder.losses.crc_errors == 0


def test_losses_are_a_snapshot():
    """What was read once does not change under the reader."""
    decoder = Decoder()
    before = decoder.losses
    decoder.feed(frame(TimeReply(1, 2, 3).to_bytes()))
    assert before.frames_ok == 0 and decoder.losses.frames_ok == 1


@pytest.mark.parametrize("samples", [25, 100])
def test_the_wire_is_quick_enough_for_300_times_real_time(hello, waves, samples):
    """Encoding and decoding a packet costs less than 2,500 turns of a Python loop, best of nine.

    100 us where a turn takes 40 ns. The loop runs beside it, since a slow or busy machine slows
    both.
    """
    counts = waves(200 * samples)

    def wire():
        sensor, decoder = VirtualSensor(hello, samples), Decoder()
        assert len(decoder.feed(sensor.push(counts))) >= 200

    def turns():
        total = 0
        for turn in range(200 * 2500):
            total += turn & 7

    def cost(work):
        began = time.process_time()
        work()
        return time.process_time() - began

    assert min(cost(wire) / cost(turns) for _ in range(9)) < 1
