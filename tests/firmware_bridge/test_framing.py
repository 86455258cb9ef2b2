"""Payload to frame and back, against a second implementation written straight from the document."""

import pytest
from eqedge.firmware_bridge.framing import (
    MAX_FRAME_BYTES,
    MAX_PAYLOAD_BYTES,
    FrameError,
    frame,
    unframe,
)
from hypothesis import given
from hypothesis import strategies as st


def slow_crc(data):
    """CRC-32 bit by bit, as PROTOCOL.md describes it."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def slow_cobs(data):
    """COBS byte by byte, as PROTOCOL.md describes it."""
    out, block = bytearray(), bytearray()
    for index, byte in enumerate(data):
        if byte == 0:
            out += bytes([len(block) + 1]) + block
            block = bytearray()
            continue
        block.append(byte)
        if len(block) == 254:
            out += b"\xff" + block
            block = bytearray()
            if index == len(data) - 1:
                return bytes(out)
    return bytes(out + bytes([len(block) + 1]) + block)


def test_crc_check_value():
    """The check value that the document gives belongs to the polynomial that it gives."""
    assert slow_crc(b"123456789") == 0xCBF43926


@pytest.mark.parametrize(
    "data, stuffed",
    [
        ("11 22 00 33", "03 11 22 02 33"),
        ("00", "01 01"),
        ("00 00", "01 01 01"),
        ("11 00 00 00", "02 11 01 01 01"),
        (bytes(range(1, 255)).hex(), "ff" + bytes(range(1, 255)).hex()),
        (bytes(range(1, 256)).hex(), "ff" + bytes(range(1, 255)).hex() + "02 ff"),
        (bytes(range(1, 255)).hex() + "00", "ff" + bytes(range(1, 255)).hex() + "01 01"),
    ],
)
def test_the_slow_cobs_agrees_with_the_table(data, stuffed):
    """The table of COBS examples in PROTOCOL.md holds for the reference of these tests."""
    assert slow_cobs(bytes.fromhex(data)) == bytes.fromhex(stuffed)


def around_the_block_limit():
    """Payloads whose runs without a zero end near a multiple of 254."""
    for length in (249, 250, 251, 253, 254, 255, 504, 505, 507, 508, 509, 762, 1016):
        for zero_at in (None, 0, 253, 254, 255, length - 1):
            data = bytearray(1 + i % 255 for i in range(length))
            if zero_at is not None and zero_at < length:
                data[zero_at] = 0
            yield bytes(data)


@pytest.mark.parametrize("payload", list(around_the_block_limit()))
def test_block_limits_match_the_slow_reference(payload):
    """Run that just fill a block of 254, or just do not, give the reference's bytes."""
    sealed = frame(payload)
    assert sealed == slow_cobs(payload + slow_crc(payload).to_bytes(4, "little")) + b"\0"
    assert unframe(sealed) == payload


@given(st.lists(st.sampled_from([b"\0", b"\1", b"\xff", b"ab", b"x" * 127]), min_size=1))
def test_round_trip_matches_the_slow_reference(parts):
    """Any payload comes back, has no zero inside its frame, and is framed as in the document."""
    payload = b"".join(parts)[:MAX_PAYLOAD_BYTES]
    sealed = frame(payload)
    assert sealed.count(0) == 1 and sealed[-1] == 0
    assert sealed == slow_cobs(payload + slow_crc(payload).to_bytes(4, "little")) + b"\0"
    assert unframe(sealed) == payload
    assert unframe(sealed[:-1]) == payload


def test_the_longest_payload_fills_no_more_than_the_longest_frame():
    """Without a zero the COBS overhead is greatest, and the frame still is within its bound."""
    assert len(frame(b"\x55" * MAX_PAYLOAD_BYTES)) <= MAX_FRAME_BYTES
    with pytest.raises(FrameError, match="fewer samples") as caught:
        frame(b"\x55" * (MAX_PAYLOAD_BYTES + 1))
    assert caught.value.reason == "oversize"


@given(st.binary(min_size=1, max_size=300), st.data())
def test_every_flipped_bit_is_noticed(payload, data):
    """No single wrong bit gets through: the frame is refused or falls into pieces."""
    sealed = bytearray(frame(payload))
    bit = data.draw(st.integers(0, 8 * (len(sealed) - 1) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameError):
        unframe(bytes(sealed))


@pytest.mark.parametrize(
    "damaged, reason",
    [
        (b"", "cobs"),
        (b"\0", "cobs"),
        (b"\x09ab\0", "cobs"),
        (b"\x03a\0b\0", "cobs"),
        (b"\x01\0", "short"),
        (b"\x05abcd\0", "short"),
        (b"\x06abcde\0", "crc"),
    ],
)
def test_reasons(damaged, reason):
    """The error of a rejected frame has the reason."""
    with pytest.raises(FrameError) as caught:
        unframe(damaged)
    assert caught.value.reason == reason


@given(st.binary(max_size=600))
def test_garbage_is_refused_or_opened_never_worse(garbage):
    """Whatever the bytes, unframe returns a payload or raises FrameError."""
    try:
        assert unframe(garbage)
    except FrameError as error:
        assert error.reason in ("cobs", "short", "crc")
