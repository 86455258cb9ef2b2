"""Read files of limited size, whatever a name leads to: no device without end, no silent pipe."""

from __future__ import annotations

import errno
import os
import select
import stat
from io import BufferedReader
from pathlib import Path

MEBIBYTE = 1 << 20
MODEL_BYTES = 256 * MEBIBYTE
"""Largest flatbuffer that is read; the shipped ones have less than 1 MB."""
CARD_BYTES = 8 * MEBIBYTE
"""Largest card of a model or a training."""
WRITER_SECONDS = 5.0
"""A pipe that brings nothing for this long has nobody who writes to it."""


def open_input(path: Path, *, pipe: bool = False) -> BufferedReader:
    """Open a regular file for reading.

    Args:
        path: The file.
        pipe: Open a pipe as well, such as `<(command)` of a shell, if something is in it soon.

    Raises:
        OSError: It cannot be opened, or is of another kind.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "a name with a NUL character", str(path))
    # without waiting for the other end of a pipe
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb")  # noqa: SIM115
    try:
        mode = os.fstat(file.fileno()).st_mode
        if pipe and stat.S_ISFIFO(mode):
            if not select.select([file], [], [], WRITER_SECONDS)[0]:
                raise OSError(errno.ETIMEDOUT, "a pipe that nobody writes to", str(path))
            os.set_blocking(file.fileno(), True)
        elif not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
    except BaseException:
        file.close()
        raise
    return file


def read_file(path: Path, most_bytes: int, *, pipe: bool = False) -> bytes:
    """Read a whole file.

    Args:
        path: The file.
        most_bytes: A larger one is rejected.
        pipe: As for `open_input`.

    Raises:
        OSError: It cannot be read, is of another kind, or is larger; the text names the limit.
    """
    with open_input(path, pipe=pipe) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= most_bytes:
            content = file.read(most_bytes + 1)
            if len(content) <= most_bytes:
                return content
            size = len(content)
    text = f"too large ({size:,} bytes or more; at most {most_bytes:,} are read)"
    raise OSError(errno.EFBIG, text, str(path))
