"""Name a file that keeps results about a data file, and notice when the data file has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path


def kept_name(data: Path, ending: str) -> str:
    """Return a name that no other data file has, also one of the same name in another folder.

    Args:
        data: The data file; its absolute path is part of the name.
        ending: What is kept, with the suffix.
    """
    place = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:12]
    return f"{data.stem}.{place}.{ending}"


def file_state(data: Path) -> list[int]:
    """Return size in bytes and time of the last change, nanoseconds.

    Raises:
        OSError: There is no such file.
    """
    stat = data.stat()
    return [stat.st_size, stat.st_mtime_ns]
