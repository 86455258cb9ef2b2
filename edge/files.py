"""Write a file whole or not at all; read one of text by lines; hash one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import EqedgeError, reason_of

UNFINISHED = ".part"
"""Ending of a temporary name, after which neither `*.prom` nor `*.mseed` matches it."""
_unfinished: set[Path] = set()
"""Temporary files that this process is writing."""


def unfinished_name(path: Path, suffix: str = "") -> Path:
    """Return the hidden name, in the same folder, of a file that is not complete."""
    return path.with_name(f".{path.name}{UNFINISHED}{suffix}")


@contextmanager
def written_whole(
    path: Path, *, durable: bool = False, mode: int | None = None, suffix: str = ""
) -> Iterator[Path]:
    """Yield a temporary path to write to; when the block ends it takes the place of `path`.

    Whatever ends the block early, `path` stays as it was and the temporary file is removed. After
    a kill the temporary file remains, and the next write of the same path replaces it.

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


def remove_unfinished() -> None:
    """Remove the temporary files of this process, which ends before its blocks do."""
    for path in list(_unfinished):
        with suppress(OSError):
            path.unlink()


def text_lines(path: Path, rejected: type[EqedgeError], remedy: str) -> list[str]:
    """Read the lines of a text file in UTF-8.

    Args:
        path: The file.
        rejected: Raised where it cannot be read, or is not text.
        remedy: End of that error's message.

    Raises:
        EqedgeError: As `rejected`: the file, the reason and the remedy.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise rejected(f"{path}: not text; {remedy}") from error
    except OSError as error:
        raise rejected(f"{path}: {reason_of(error)}; {remedy}") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
