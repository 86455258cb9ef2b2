"""Write messages as lines of JSON to a file or to standard output."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import stat
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from ... import EqedgeError, reason_of
from ...firmware_bridge.measured import counter, gauge
from ..types import Message
from .history import tail_of
from .notices import Notices
from .reserve import Reserve

logger = logging.getLogger(__name__)

Fsync = Literal["always", "never"]
MAX_WAITING_BYTES = 8 * 1024 * 1024
"""Bytes of lines kept in memory while the disk accepts none: thousands of events."""
NO_ROOM = {errno.EROFS, errno.ENOSPC, errno.EDQUOT}
"""Errors of a disk that accepts nothing now and may accept it later."""


class OutputFileError(EqedgeError):
    """An output cannot be opened, or its reader has closed it."""


class Sink(Protocol):
    """Accepts messages, in order; troubles of disk and network are counted, not raised."""

    def write(self, message: Message) -> None:
        """Write or store one message."""

    def close(self) -> None:
        """Write or deliver what waits, in bounded time, and close."""


def to_line(message: Message) -> bytes:
    """Return the message as one line of JSON, without its end of line."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


@dataclass
class FileCounts:
    """What became of the lines.

    Attributes:
        written: Lines in the file.
        torn: Half lines that an earlier run left, cut off at the start.
    """

    written: int = 0
    failed: int = counter("output_errors_total", "Attempts to write a line that failed.")
    waiting: int = gauge(
        "output_waiting_lines", "Lines in memory because the disk rejects them.", default=0
    )
    lost: int = counter(
        "output_lost_total", "Lines dropped, the oldest first, because too many waited."
    )
    torn: int = 0


class JsonLines:
    """One message, one line; always whole lines, also after a full disk or a power cut.

    A line that the disk rejects waits in memory, bounded, and is tried again with the next
    message and by `retry`. A file that was moved away is started anew under its name.

    Args:
        path: The file; None is standard output.
        append: Go on with an existing file; otherwise start a fresh one.
        fsync: `always`: a line is on the disk when `write` returns, unless that failed.
        rotate_bytes: Before it grows beyond this, `FILE` becomes `FILE.1`; 0 never rotates. A
            folder that allows no new names lets it grow.
        keep_files: Rotated files kept.

    Raises:
        OutputFileError: It cannot be written. With `append`, a full or read-only disk raises
            nothing: lines wait in memory until the disk accepts them.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        append: bool,
        fsync: Fsync = "always",
        rotate_bytes: int = 0,
        keep_files: int = 5,
    ) -> None:
        self.counts = FileCounts()
        self._path = path
        self._fsync = fsync == "always"
        self._rotate_bytes = rotate_bytes
        self._keep_files = keep_files
        self._notices = Notices(logger)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._rest: bytes = b""
        self._file: BinaryIO | None = None
        self._reserve: Reserve | None = None
        try:
            self._open(fresh=not append)
        except OSError as error:
            if append and error.errno in NO_ROOM:
                self._failed(error)
                return
            raise OutputFileError(
                f"cannot write {path}: {reason_of(error)}; give a file in a folder that exists and "
                "that this user may write to"
            ) from error

    def write(self, message: Message) -> None:
        """Write one message, or keep it for later.

        Raises:
            OutputFileError: Standard output was closed by its reader.
        """
        self._keep(to_line(message) + b"\n")
        self.retry()

    def retry(self) -> None:
        """Write the lines that wait; call it now and then, since messages may be days apart.

        Raises:
            OutputFileError: As `write`.
        """
        while self._waiting:
            try:
                self._put(self._waiting[0])
            except OSError as error:
                self._failed(error)
                return
            self._waiting_bytes -= len(self._waiting.popleft())
            self.counts.waiting = len(self._waiting)
            self.counts.written += 1
            self._notices.end("lines", f"{self._name} is written again")

    def close(self) -> None:
        """Try the waiting lines once more and close the file."""
        self.retry()
        if self._waiting:
            logger.error("%s: %d lines could not be written", self._name, len(self._waiting))
        if self._file is not None and self._path is not None:
            self._close_file(self._file)

    @property
    def _name(self) -> str:
        return "standard output" if self._path is None else str(self._path)

    def _keep(self, line: bytes) -> None:
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        while self._waiting_bytes > MAX_WAITING_BYTES and len(self._waiting) > 1:
            self._waiting_bytes -= len(self._waiting.popleft())
            self._rest = b""
            self.counts.lost += 1
        self.counts.waiting = len(self._waiting)

    def _failed(self, error: OSError) -> None:
        self.counts.failed += 1
        if self._path is None and error.errno == errno.EPIPE:
            raise OutputFileError("standard output was closed by its reader") from error
        text = f"{self._name} cannot be written: {reason_of(error)}; lines wait in memory"
        self._notices.begin("lines", text)

    def _open(self, *, fresh: bool) -> None:
        if self._path is None:
            self._file = sys.stdout.buffer
            return
        if fresh:
            self._file = io.FileIO(self._path, "w")
        else:
            self._file = io.FileIO(self._path, "a+")
            self.counts.torn += _cut_torn_line(self._file)
            if _is_regular(self._file):
                self._reserve = Reserve(self._file.fileno())
                self._reserve.follow(os.fstat(self._file.fileno()).st_size)
        if self._fsync:
            _sync_folder(self._path.parent)

    def _put(self, line: bytes) -> None:
        """Write the line, or leave the file as it was."""
        if self._path is not None:
            self._follow_path(len(line))
        assert self._file is not None
        if self._path is None or not _is_regular(self._file):
            # What a pipe has accepted cannot be removed: go on where it stopped.
            self._rest = self._rest or line
            while self._rest:
                self._rest = self._rest[self._file.write(self._rest) :]
            self._file.flush()
            return
        end = self._file.seek(0, os.SEEK_END)
        try:
            left = memoryview(line)
            while left:
                left = left[self._file.write(left) :]
            if self._fsync:
                os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)
            self._file.seek(end)
            raise
        if self._reserve is not None:
            self._reserve.follow(end + len(line))

    def _follow_path(self, more: int) -> None:
        """Rotate a file that is full; open a new one where the old one was moved or removed."""
        assert self._path is not None
        if self._file is not None:
            status = os.fstat(self._file.fileno())
            full = 0 < self._rotate_bytes < status.st_size + more and status.st_size > 0
            if full and stat.S_ISREG(status.st_mode):
                self._rotate(self._path)
            try:
                if os.path.samestat(status, os.stat(self._path)):
                    return
            except FileNotFoundError:
                pass
            self._close_file(self._file)
        self._open(fresh=False)

    def _rotate(self, path: Path) -> None:
        """Rename the file; where that is not possible it grows on, so that no line is lost."""
        try:
            _rotate(path, self._keep_files)
        except OSError as error:
            text = f"{path} cannot be rotated: {reason_of(error)}; it grows beyond rotate_bytes"
            self._notices.begin("rotation", text)
        else:
            self._notices.end("rotation")

    def _close_file(self, file: BinaryIO) -> None:
        if self._reserve is not None:
            file.truncate(file.seek(0, os.SEEK_END))
        file.close()
        self._file = self._reserve = None


def _cut_torn_line(file: BinaryIO) -> int:
    """Cut off a last line without its end, which a power cut leaves; return how many: 0 or 1."""
    if not _is_regular(file):
        return 0
    tail, _ = tail_of(file)
    if not tail or tail.endswith(b"\n"):
        return 0
    file.truncate(file.tell() - len(tail) + tail.rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)
    return 1


def _is_regular(file: BinaryIO) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def _rotate(path: Path, keep_files: int) -> None:
    """Rename FILE to FILE.1, FILE.1 to FILE.2 and so on; the oldest goes.

    Only up to the first number that is free, so that a second attempt moves nothing twice.
    """
    names = [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, keep_files + 1))]
    free = next((n for n, name in enumerate(names) if n and not name.exists()), keep_files)
    for number in range(free, 0, -1):
        names[number - 1].replace(names[number])
    if keep_files == 0:
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Bring the file's name to the disk too: fsync of a file does not include its folder entry."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # /dev and /proc have no fsync
            raise
    finally:
        os.close(descriptor)
