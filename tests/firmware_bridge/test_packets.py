"""Packets to payloads and back, and payloads that must be refused."""

import dataclasses
import struct

import numpy as np
import pytest
from eqedge import EqedgeError
from eqedge.firmware_bridge.packets import (
    Ack,
    Command,
    Hello,
    MalformedPacket,
    PacketError,
    Samples,
    Status,
    TimeReply,
    TimeRequest,
    UnknownType,
    UnknownVersion,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=32)
codes = st.text("ABCDEFGHINZ0123", min_size=3, max_size=3)

hellos = st.builds(
    Hello,
    device_id=texts.filter(bool),
    firmware=texts,
    rate_hz=st.floats(0.001, 10_000.0),
    channels=st.lists(codes, min_size=1, max_size=6, unique=True).map(tuple),
    tick_hz=st.integers(10_000, 2**32 - 1),
    adc_bits=st.integers(1, 32),
    gain=st.floats(1e-3, 1e6),
    units_per_count=st.floats(1e-12, 1e3),
    unit=st.sampled_from(["", "M/S", "M/S**2"]),
    boot_id=u32,
)
counts = st.sampled_from([2**7, 2**15, 2**23, 2**31]).flatmap(
    lambda reach: npst.arrays(
        np.int32,
        st.tuples(st.integers(1, 255), st.integers(1, 6)),
        elements=st.integers(-reach, reach - 1),
    )
)
samples = st.builds(Samples, u16, u32, u32, counts, u8)
statuses = st.builds(
    Status,
    tick=u32,
    next_sample=u32,
    samples_dropped=u32,
    adc_faults=u32,
    receive_errors=u16,
    replies_dropped=u16,
    temperature_celsius=st.none() | st.floats(-327.0, 327.0),
    supply_volts=st.none() | st.floats(0.0, 65.0),
    streaming=st.booleans(),
    adc_ok=st.booleans(),
    pps_locked=st.booleans(),
    boot=u8,
)
dialogue = (
    st.builds(TimeRequest, u32)
    | st.builds(TimeReply, u32, u32, u32, u32, u16, u8)
    | st.builds(Command, u16, u8, u32)
    | st.builds(Ack, u16, u8, u8, u32, u8)
)


@given(hellos | samples | statuses | dialogue, st.binary(max_size=5))
def test_round_trip(packet, later_fields):
    """Each packet comes back equal, also when a later revision has put fields after it."""
    payload = packet.to_bytes()
    assert parse(payload) == packet
    assert type(packet).from_bytes(payload + later_fields) == packet


@given(hellos | samples | statuses | dialogue, st.data())
def test_no_shortened_payload_is_accepted(packet, data):
    """A payload without its last bytes is refused, wherever it is cut."""
    payload = packet.to_bytes()
    with pytest.raises(PacketError):
        parse(payload[: data.draw(st.integers(0, len(payload) - 1))])


@given(st.binary(max_size=80), st.sampled_from([1, 2, 3, 0x10, 0x11, 0x20, 0x21, 0x55]))
def test_any_body_is_parsed_or_refused(body, type_code):
    """Bodies of chance give a packet or a PacketError, nothing else."""
    try:
        packet = parse(bytes([1, type_code]) + body)
    except PacketError:
        return
    assert parse(packet.to_bytes()) == packet


@pytest.mark.parametrize(
    "reach, width",
    [
        (32_767, 2),
        (-32_768, 2),
        (32_768, 3),
        (-32_769, 3),
        (8_388_607, 3),
        (-8_388_608, 3),
        (8_388_608, 4),
        (-8_388_609, 4),
        (2**31 - 1, 4),
        (-(2**31), 4),
    ],
)
def test_the_width_is_the_smallest_that_holds(reach, width):
    """The extreme count of a packet decides how many bytes each count takes."""
    block = np.array([[0, reach], [1, -1]], dtype=np.int32)
    payload = Samples(1, 2, 3, block).to_bytes()
    assert payload[14] == width and len(payload) == 16 + 4 * width
    assert (parse(payload).counts == block).all()


def test_samples_from_strided_and_big_endian_counts():
    """Counts that are a view with strides, or of foreign byte order, go out right."""
    block = np.arange(60, dtype=np.int32).reshape(10, 6) * 99_999
    assert (parse(Samples(0, 0, 0, block[::2, ::-2]).to_bytes()).counts == block[::2, ::-2]).all()
    swapped = block.astype(">i4")
    assert (parse(Samples(0, 0, 0, swapped).to_bytes()).counts == block).all()


def test_received_counts_cannot_be_written_to():
    """A packet passed along the chain cannot be changed by a later station."""
    received = parse(Samples(0, 0, 0, np.ones((3, 2), np.int32)).to_bytes())
    with pytest.raises(ValueError):
        received.counts[0, 0] = 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        received.tick = 1


GOOD = dict(device_id="d", firmware="f", rate_hz=100.0, channels=("HNZ",))


@pytest.mark.parametrize(
    "wrong, part",
    [
        (dict(rate_hz=0.0), "0 Hz"),
        (dict(rate_hz=-1.0), "-1 Hz"),
        (dict(rate_hz=20_000.0), "20000 Hz"),
        (dict(rate_hz=float("nan")), "nan"),
        (dict(rate_hz=1e-9), "mHz"),
        (dict(tick_hz=50), "tick of 50"),
        (dict(units_per_count=0.0), "units_per_count"),
        (dict(units_per_count=float("inf")), "units_per_count"),
        (dict(units_per_count=1e-60), "units_per_count"),
        (dict(gain=float("nan")), "gain"),
        (dict(adc_bits=0), "ADC bits"),
        (dict(adc_bits=33), "ADC bits"),
        (dict(unit="FURLONG"), "FURLONG"),
        (dict(channels=()), "0 channels"),
        (dict(channels=tuple(f"HN{i}" for i in range(7))), "7 channels"),
        (dict(channels=("hnz",)), "hnz"),
        (dict(channels=("HNZ", "HNZ")), "twice"),
        (dict(device_id=""), "device_id"),
        (dict(device_id="é"), "device_id"),
        (dict(firmware="x" * 33), "firmware"),
        (dict(boot_id=2**32), "boot_id"),
    ],
)
def test_a_hello_that_cannot_be(wrong, part):
    """Absurd identities are refused with a line that names what is absurd."""
    with pytest.raises(MalformedPacket, match=part) as caught:
        Hello(**{**GOOD, **wrong})
    assert isinstance(caught.value, EqedgeError) and caught.value.packet == "Hello"


@pytest.mark.parametrize(
    "offset, layout, value",
    [
        (6, "<I", 0),
        (6, "<I", 4_000_000_000),
        (14, "<f", float("nan")),
        (22, "B", 77),
        (23, "B", 9),
        (24, "B", 0),
        (24, "B", 7),
        (25, "B", 0xE9),
        (28, "B", 33),
    ],
)
def test_a_hello_on_the_wire_that_cannot_be(offset, layout, value):
    """The same holds for bytes with a right CRC: bad rates, floats, codes and lengths."""
    payload = bytearray(Hello(**GOOD).to_bytes())
    struct.pack_into(layout, payload, offset, value)
    with pytest.raises(MalformedPacket):
        parse(bytes(payload))


@pytest.mark.parametrize("offset, value", [(13, 0), (13, 7), (14, 1), (14, 5), (15, 0), (15, 9)])
def test_samples_on_the_wire_that_cannot_be(offset, value):
    """Impossible numbers of channels, bytes a count or samples are refused."""
    payload = bytearray(Samples(0, 0, 0, np.ones((2, 3), np.int32)).to_bytes())
    payload[offset] = value
    with pytest.raises(MalformedPacket):
        parse(bytes(payload))


@pytest.mark.parametrize("shape", [(0, 3), (256, 3), (5, 0), (5, 7)])
def test_samples_that_no_packet_holds(shape):
    """Blocks too large, too wide or empty are refused when sent."""
    with pytest.raises((MalformedPacket, ValueError)):
        Samples(0, 0, 0, np.ones(shape, np.int32)).to_bytes()


def test_versions_and_types_of_the_future():
    """Both keep the number found, and the version's message names the side to update."""
    with pytest.raises(UnknownVersion, match="update eqedge") as newer:
        parse(b"\x02\x01")
    with pytest.raises(UnknownVersion, match="flash current firmware") as older:
        parse(b"\x00\x01")
    with pytest.raises(UnknownType, match="0x7e") as other:
        parse(b"\x01\x7e")
    assert (newer.value.version, older.value.version, other.value.type_code) == (2, 0, 0x7E)


def test_samples_equality_and_hash():
    """Equal counts make equal packets, whatever array holds them."""
    one = Samples(1, 2, 3, np.array([[1, 2]], np.int32))
    same = Samples(1, 2, 3, np.array([[1, 9, 2]], np.int32)[:, ::2])
    assert one == same and hash(one) == hash(same)
    assert one != Samples(1, 2, 3, np.array([[1, 3]], np.int32)) and one != "one"
