"""Read the newest whole lines that an earlier run left in the output, and whose they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO

from ..types import Message

RECENT_BYTES = 1024 * 1024
"""How far back from its end an output is read: hundreds of events."""


def recent_lines(path: Path, *, rotated: bool = True) -> list[bytes]:
    """Return the newest whole lines of FILE.1 and FILE, the oldest first; empty without a file.

    Args:
        path: FILE.
        rotated: Whether FILE.1 is read too: right after a rotation the newest line is there.
    """
    lines: list[bytes] = []
    left = RECENT_BYTES
    for one in (path, path.with_name(f"{path.name}.1"))[: 1 + rotated]:
        if not one.is_file():  # opening a pipe would wait
            continue
        try:
            with one.open("rb") as file:
                tail, is_whole = tail_of(file, left)
        except OSError:
            continue
        left -= len(tail)
        whole = tail[: tail.rfind(b"\n") + 1].splitlines()
        lines = (whole if is_whole else whole[1:]) + lines
    return lines


def message_of(line: bytes) -> Message | None:
    """Return the message on a line, or None if it is not one."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and "event_id" in message else None


def is_live(message: Message) -> bool:
    """Whether a message is of a live sensor, not of a replay."""
    clock = message.get("clock")
    return isinstance(clock, dict) and clock.get("source") != "sim"


def tail_of(file: BinaryIO, longest: int = RECENT_BYTES) -> tuple[bytes, bool]:
    """Return the last bytes of a file, and whether they are the whole file."""
    end = file.seek(0, os.SEEK_END)
    begin = max(0, end - longest)
    file.seek(begin)
    return file.read(end - begin), begin == 0
