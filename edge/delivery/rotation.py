"""Rename a file that is full, and bring the names of a folder to the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def rotate(path: Path, keep_files: int) -> None:
    """Rename FILE to FILE.1, FILE.1 to FILE.2 and so on; the oldest goes.

    Only up to the first number that is free, so that a second attempt moves nothing twice.
    """
    names = [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, keep_files + 1))]
    free = next((n for n, name in enumerate(names) if n and not name.exists()), keep_files)
    for number in range(free, 0, -1):
        names[number - 1].replace(names[number])
    if keep_files == 0:
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Bring the file's name to the disk too: fsync of a file does not include its folder entry."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # /dev and /proc have no fsync
            raise
    finally:
        os.close(descriptor)
