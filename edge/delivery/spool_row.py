"""One message as the spool stores it: its checksum, and what is wrong with a damaged one."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from zlib import crc32

KINDS = ("event", "pick")
"""Last levels of the topics on which the spool's messages are published."""
ID_LIMIT = 1 << 62
"""Ids are below; a higher one would leave none for the next message."""
COLUMNS = "id, kind, payload, boot, made_monotonic, made_unix"


class DamagedRow(Exception):
    """A stored message is not what was stored; the text is the reason."""


@dataclass(frozen=True)
class SpoolRow:
    """One message, as stored.

    Attributes:
        id: Its place in the order.
        kind: Last level of its topic.
        payload: What is published.
        boot: Of the machine, when it was made.
        made_monotonic: Seconds since then.
        made_unix: UTC, seconds.
        line: `line_hash` of the line in the output that it is made from.
    """

    id: int
    kind: str
    payload: bytes
    boot: str
    made_monotonic: float
    made_unix: float
    line: int = 0

    @property
    def stored(self) -> tuple[Any, ...]:
        """Its columns, in the order of `COLUMNS`."""
        times = (self.made_monotonic, self.made_unix)
        return self.id, self.kind, self.payload, self.boot, *times

    @property
    def checksum(self) -> int:
        """CRC-32 of all columns."""
        head = f"{self.id} {self.kind} {self.boot}".encode()
        times = struct.pack("<dd", self.made_monotonic, self.made_unix)
        return crc32(self.payload, crc32(times, crc32(head)))


@dataclass(frozen=True)
class SpoolItems:
    """What one line of the output adds to the spool.

    Attributes:
        items: (kind, payload) of each message.
        key: Identifies the line for older versions of eqedge.
        line: `line_hash` of the line.
    """

    items: Sequence[tuple[str, bytes]]
    key: str = ""
    line: int = 0


def line_hash(line: bytes) -> int:
    """Return a signed number of 64 bits by which a line of the output is recognised."""
    return int.from_bytes(blake2b(line, digest_size=8).digest(), "big", signed=True)


def row_of(values: Sequence[Any]) -> SpoolRow:
    """Return a message as it was stored.

    Args:
        values: `COLUMNS`, text as bytes, then checksum and line; both None for a message of a
            version that stored no checksum.

    Raises:
        DamagedRow: It is something else.
    """
    identifier, kind, payload, boot, monotonic, unix, checksum, line = values
    if not 0 < identifier < ID_LIMIT:
        raise DamagedRow(f"its number is {identifier}")
    name = _text(kind, "kind")
    if name not in KINDS:
        raise DamagedRow(f"its kind is {name[:20]!r}")
    if not isinstance(payload, bytes):
        raise DamagedRow("its payload is no text")
    made = _seconds(monotonic), _seconds(unix)
    if checksum is None:
        _require_event(payload)
        line = line_hash(payload) if name == "event" else 0
    row = SpoolRow(identifier, name, payload, _text(boot, "boot"), *made, line=line)
    if checksum is not None and checksum != row.checksum:
        raise DamagedRow("its checksum differs")
    return row


def _text(value: Any, name: str) -> str:
    try:
        return str(value.decode())
    except (AttributeError, UnicodeDecodeError) as error:
        raise DamagedRow(f"its {name} is no text") from error


def _seconds(value: Any) -> float:
    if not isinstance(value, float | int) or not math.isfinite(value):
        raise DamagedRow("its time is no number")
    return float(value)


def _require_event(payload: bytes) -> None:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise DamagedRow("its payload is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("event_id"), str):
        raise DamagedRow("its payload is not an event's")
