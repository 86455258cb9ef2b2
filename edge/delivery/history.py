"""Read the newest whole lines that an earlier run left in the output, and whose they are."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..types import Message

RECENT_BYTES = 1024 * 1024
"""How far back from its end an output is read to find out whose it is: hundreds of events."""
HISTORY_BYTES = 32 * 1024 * 1024
"""How far back it is read for lines that the spool does not know: two rotated files."""


def recent_lines(path: Path, *, rotated: bool = True, longest: int = RECENT_BYTES) -> list[bytes]:
    """Return the newest whole lines of FILE.1 and FILE, the oldest first; empty without a file.

    Args:
        path: FILE.
        rotated: Whether FILE.1 is read too: right after a rotation the newest line is there.
        longest: Bytes that are read at most.
    """
    lines: list[bytes] = []
    for one, begin in _parts(path, 1 + rotated, longest):
        lines += _lines_from(one, begin)
    return lines


def all_lines(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of FILE and of the files rotated before it, the oldest first.

    Of the newest `HISTORY_BYTES` only; one line at a time, without its end.

    Args:
        path: FILE.
    """
    for one, begin in _parts(path, None, HISTORY_BYTES):
        yield from _lines_from(one, begin)


def _parts(path: Path, files: int | None, longest: int) -> list[tuple[Path, int]]:
    """Return FILE and its rotated files, the oldest first, and from which byte each is read."""
    parts: list[tuple[Path, int]] = []
    for one in [path, *_rotated(path)][:files]:
        try:
            size = one.stat().st_size if one.is_file() else None  # opening a pipe would wait
        except OSError:
            size = None
        if longest <= 0:
            break
        if size is not None:
            parts.insert(0, (one, max(0, size - longest)))
            longest -= size
    return parts


def _rotated(path: Path) -> list[Path]:
    """Return the rotated files that there are, the newest first.

    A number is missing where a kill came while files were renamed, or a person moved one away.
    """
    name = re.compile(re.escape(path.name) + r"\.([1-9][0-9]{0,3})")
    try:
        names = os.listdir(path.parent)
    except OSError:
        return []
    found = sorted(int(match[1]) for match in map(name.fullmatch, names) if match)
    return [path.with_name(f"{path.name}.{number}") for number in found]


def _lines_from(path: Path, begin: int) -> Iterator[bytes]:
    """Yield the whole lines from the first that begins at or behind this byte."""
    try:
        with path.open("rb") as file:
            if begin:
                file.seek(begin - 1)
                file.readline()
            for line in file:
                if line.endswith(b"\n"):
                    yield line.rstrip(b"\r\n")
    except OSError:
        return


def message_of(line: bytes) -> Message | None:
    """Return the message on a line, or None if it is not one."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_event = isinstance(message, dict) and isinstance(message.get("event_id"), str)
    return message if is_event else None


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
