"""Frame payloads for the wire (CRC-32, COBS, a closing zero byte), and unframe them."""

from __future__ import annotations

import zlib

from .. import EqedgeError

MAX_FRAME_BYTES = 4096
"""Longest frame on the wire, including its closing zero."""

MAX_PAYLOAD_BYTES = 4064
"""Longest payload: a full frame less CRC, worst-case COBS overhead and the closing zero."""

CRC_BYTES = 4

_LONGEST_RUN = 254
"""Data bytes that one COBS block can carry."""
_FULL_CODE = b"\xff"
_CODES = [bytes([code]) for code in range(256)]


class FrameError(EqedgeError):
    """A frame that cannot be decoded, or a payload too long for one.

    The decoder counts it and goes on; no user sees it as an exception.

    Attributes:
        reason: `"cobs"` (code bytes do not match the length), `"short"`, `"crc"` or `"oversize"`.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Keep the reason and the message."""
        super().__init__(message)
        self.reason = reason


def frame(payload: bytes) -> bytes:
    """Return a frame: payload and CRC-32 in COBS encoding, then one zero byte.

    Raises:
        FrameError: The payload is longer than `MAX_PAYLOAD_BYTES`.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise FrameError(
            "oversize",
            f"a payload of {len(payload)} bytes does not fit a frame (at most "
            f"{MAX_PAYLOAD_BYTES}): put fewer samples in a packet",
        )
    return _stuff(payload + zlib.crc32(payload).to_bytes(CRC_BYTES, "little")) + b"\0"


def unframe(frame: bytes) -> bytes:
    """Return the payload of a frame, with or without its closing zero.

    Raises:
        FrameError: The COBS codes do not match the length, or the CRC does not match.
    """
    body = _unstuff(frame[:-1] if frame.endswith(b"\0") else frame)
    if len(body) <= CRC_BYTES:
        raise FrameError("short", f"a frame with {len(body)} bytes inside holds no payload")
    payload = body[:-CRC_BYTES]
    found = int.from_bytes(body[-CRC_BYTES:], "little")
    expected = zlib.crc32(payload)
    if found != expected:
        raise FrameError("crc", f"CRC-32 is {found:08x}, the payload gives {expected:08x}")
    return payload


def _stuff(data: bytes) -> bytes:
    """Encode with COBS: replace every zero by the distance to the next one."""
    out: list[bytes] = []
    runs = data.split(b"\0")
    final = len(runs) - 1
    for index, run in enumerate(runs):
        if len(run) < _LONGEST_RUN:
            out.append(_CODES[len(run) + 1])
            out.append(run)
            continue
        start = 0
        while len(run) - start >= _LONGEST_RUN:
            out.append(_FULL_CODE)
            out.append(run[start : start + _LONGEST_RUN])
            start += _LONGEST_RUN
        # After a full block nothing is implied, so the run's end needs a block of its own,
        # except at the very end of the data.
        if start < len(run) or index < final:
            out.append(_CODES[len(run) - start + 1])
            out.append(run[start:])
    return b"".join(out)


def _unstuff(data: bytes) -> bytes:
    """Decode COBS from code byte to code byte: one step for each block, not for each byte."""
    buffer = bytearray(data)
    length = len(buffer)
    after_full: list[int] = []
    position = 0
    while position < length:
        code = buffer[position]
        if code == 0:
            raise FrameError("cobs", "a zero byte stands inside a frame")
        buffer[position] = 0
        position += code
        if code == _LONGEST_RUN + 1 and position < length:
            after_full.append(position)
    if position != length or length == 0:
        raise FrameError("cobs", "the frame ends before its last COBS block does")
    for surplus in reversed(after_full):  # the block after a full one stands for no zero
        del buffer[surplus]
    del buffer[0]
    return bytes(buffer)
