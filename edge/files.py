"""Write a file whole or not at all; read one of text by lines; hash one."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import EqedgeError, reason_of
from ..models.reading import open_input

UNFINISHED = ".part"
"""Ending of a temporary name, after which neither `*.prom` nor `*.mseed` matches it."""
LINE_BYTES = 1 << 24
"""Longest line that is read."""
NAME_BYTES = 255
"""Longest name of a file."""
_unfinished: set[Path] = set()
"""Temporary files that this process is writing."""


def unfinished_name(path: Path, suffix: str = "") -> Path:
    """Return the hidden name, in the same folder, of a file that is not complete."""
    name = f".{path.name}{UNFINISHED}{suffix}"
    if len(os.fsencode(name)) > NAME_BYTES >= len(os.fsencode(path.name)):
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}{UNFINISHED}{suffix}"
    return path.with_name(name)


@contextmanager
def written_whole(
    path: Path, *, durable: bool = False, mode: int | None = None, suffix: str = ""
) -> Iterator[Path]:
    """Yield a temporary path to write to; when the block ends it takes the place of `path`.

    Whatever ends the block early, `path` stays as it was and the temporary file is removed. After
    a kill the temporary file remains, and the next write of the same path replaces it. A device
    or a pipe is written to as it is, and a link stays one.

    Args:
        path: The file; its folder must exist.
        durable: Wait until the content is on the disk before the file gets its name: after a power
            cut too there is either the old or the new content. The folder's entry is not waited
            for.
        mode: Permissions of the file; None leaves them to the umask.
        suffix: End of the temporary name, for a writer that insists on one.

    Raises:
        OSError: The file cannot be written, or not renamed.
    """
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    if path.exists() and not (path.is_file() or path.is_dir()):
        with _kept_open(path):
            yield path
        return
    unfinished = unfinished_name(path, suffix)
    _unfinished.add(unfinished)
    try:
        yield unfinished
        if mode is not None:
            unfinished.chmod(mode)
        if durable:
            _sync(unfinished)
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    finally:
        _unfinished.discard(unfinished)


@contextmanager
def _kept_open(path: Path) -> Iterator[None]:
    """Hold a pipe open meanwhile, so that its reader waits; nothing waits for a reader."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(error.errno, "a pipe that nobody reads", str(path)) from error
        raise
    try:
        yield
    finally:
        os.close(descriptor)


def remove_unfinished() -> None:
    """Remove the temporary files of this process, which ends before its blocks do."""
    for path in list(_unfinished):
        with suppress(OSError):
            path.unlink()


def text_lines(path: Path, rejected: type[EqedgeError], remedy: str) -> Iterator[str]:
    """Yield the lines of a text file in UTF-8, or of a pipe, without their ends.

    Args:
        path: The file.
        rejected: Raised where it cannot be read, or is not text.
        remedy: End of that error's message.

    Raises:
        EqedgeError: As `rejected`: the file, the reason and the remedy.
    """
    for line in byte_lines(path, rejected, remedy):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise rejected(f"{path}: not text; {remedy}") from error


def byte_lines(path: Path, rejected: type[EqedgeError], remedy: str) -> Iterator[bytes]:
    """Yield the lines of a file or of a pipe, without their ends.

    Args:
        path: The file.
        rejected: Raised where it cannot be read, or has a line of more than `LINE_BYTES`.
        remedy: End of that error's message.

    Raises:
        EqedgeError: As `rejected`: the file, the reason and the remedy.
    """
    try:
        with open_input(path, pipe=True) as file:
            while line := file.readline(LINE_BYTES + 1):
                if len(line) > LINE_BYTES:
                    raise rejected(f"{path}: a line of more than {LINE_BYTES:,} bytes; {remedy}")
                yield line.removesuffix(b"\n")
    except OSError as error:
        raise rejected(f"{path}: {reason_of(error)}; {remedy}") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    with open_input(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
