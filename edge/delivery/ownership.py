"""Lock an output, refuse one that holds something else than events, mend its last line."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .errors import NotOurs
from .history import message_of, tail_of

BEGINNING = re.compile(rb'\{"schema":\d')
"""What every line of ours begins with."""
SHOWN_BYTES = 40
"""Of a line that is not an event, in the message that refuses the file."""


def is_regular(file: BinaryIO) -> bool:
    """Return whether it is a file, and no pipe, terminal or other device."""
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def lock(file: BinaryIO, path: Path) -> None:
    """Lock an open output until it is closed; a file system without locks is let pass.

    Raises:
        NotOurs: Another process has locked it.
    """
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise NotOurs(
            f"output {path} is used by another process; stop it, or give each its own --output"
        ) from error
    except OSError:
        pass


def require_ours(file: BinaryIO, path: Path) -> None:
    """Refuse a file whose last lines are not events, and leave it as it is.

    What a power cut leaves behind the last event (zeros, half a line, any bytes) is not refused.

    Raises:
        NotOurs: It holds something else.
    """
    lines = _last_lines(file)
    tail, is_whole = tail_of(file)
    decided = next((ours for ours in map(_is_event, lines) if ours is not None), None)
    if decided is None:
        # No line of ours is as long as the bytes that are read.
        decided = is_whole and (not any(lines) or _is_begun(path, lines))
    if not decided:
        shown = next((line for line in lines if line.strip()), tail)[:SHOWN_BYTES]
        raise NotOurs(
            f"output {path}: its last line is not an event ({shown.decode(errors='replace')!r}); "
            "it was left as it is; give another --output, or move that file away"
        )


def mend_last_line(file: BinaryIO) -> int:
    """End a last line that only lacks its end; cut off a torn one, and return how many: 0 or 1."""
    tail, _ = tail_of(file)
    rest = tail[tail.rfind(b"\n") + 1 :]
    if not rest:
        return 0
    if message_of(rest) is not None:
        file.write(b"\n")
        return 0
    file.truncate(file.tell() - len(rest))
    file.seek(0, os.SEEK_END)
    return 1


def _last_lines(file: BinaryIO) -> list[bytes]:
    """Return the last lines, the newest first, with what follows the last end of line."""
    tail, is_whole = tail_of(file)
    lines = tail.split(b"\n")
    return (lines if is_whole else lines[1:])[::-1]


def _is_event(line: bytes) -> bool | None:
    """Return whether a line is an event; None for an empty, torn or damaged one."""
    line = line.strip()
    if not line:
        return None
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        if line.startswith(b'{"'):
            return None
    else:
        return message_of(line) is not None
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    return None if any(one < " " and one != "\t" for one in text) else False


def _is_begun(path: Path, lines: list[bytes]) -> bool:
    """Return whether damage is all there is of a file that we began: of its very first line."""
    if len(lines) == 1 and BEGINNING.match(lines[0]):
        return True
    with suppress(OSError), path.with_name(f"{path.name}.1").open("rb") as rotated:
        return is_regular(rotated) and any(map(_is_event, _last_lines(rotated)))
    return False
