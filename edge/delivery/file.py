"""Write messages as lines of JSON to a file or to standard output."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import stat
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from ... import reason_of
from ...firmware_bridge.measured import Limit, counter, gauge
from ..types import Message
from .errors import NO_ROOM, NotOurs, OutputFileError
from .notices import Notices
from .ownership import is_regular, lock, mend_last_line, require_ours
from .reserve import Reserve
from .rotation import rotate, sync_folder

logger = logging.getLogger(__name__)

Fsync = Literal["always", "never"]
READER_SECONDS = 5.0
"""How long a replay waits for somebody to read the pipe that is its output."""
MAX_WAITING_BYTES = 8 * 1024 * 1024
"""Bytes of lines kept in memory while the disk accepts none: thousands of events."""


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

    written: int = counter("output_lines_total", "Lines written.")
    failed: int = counter(
        "output_errors_total", "Attempts to write a line that failed.", degrades=1
    )
    waiting: int = gauge(
        "output_waiting_lines",
        "Lines in memory because the disk rejects them.",
        default=0,
        degrades=Limit(above=0),
    )
    lost: int = counter(
        "output_lost_total",
        "Lines dropped, the oldest first, because too many waited.",
        degrades=1,
    )
    torn: int = counter(
        "output_torn_total", "Half lines that an earlier run left, cut off at the start."
    )


class JsonLines:
    """One message, one line; always whole lines, also after a full disk or a power cut.

    A line that the disk rejects waits in memory, bounded, and is tried again with the next
    message and by `retry`. A file that was moved away is started anew under its name. While it is
    open it is locked, so that two nodes never write one file.

    Args:
        path: The file; None is standard output.
        append: Go on with an existing file; otherwise start a fresh one.
        fsync: `always`: a line is on the disk when `write` returns, unless that failed.
        rotate_bytes: Before it grows beyond this, `FILE` becomes `FILE.1`; 0 never rotates. A
            folder that allows no new names lets it grow.
        keep_files: Rotated files kept.

    Raises:
        OutputFileError: It cannot be written, another process writes it, or it holds something else
            than events. With `append`, a full or read-only disk raises nothing: lines wait in
            memory until the disk accepts them.
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
        self._is_torn = False  # the file ends with half a line that could not be cut off
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
            except (OSError, NotOurs) as error:
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

    def _failed(self, error: OSError | NotOurs) -> None:
        self.counts.failed += 1
        if self._path is None and isinstance(error, BrokenPipeError):
            raise OutputFileError("standard output was closed by its reader") from error
        text = f"{self._name} cannot be written: {reason_of(error)}; lines wait in memory"
        self._notices.begin("lines", text)

    def _open(self, *, fresh: bool) -> None:
        if self._path is None:
            if sys.stdout is None:
                raise OutputFileError("standard output is closed; give --output FILE.jsonl")
            self._file = sys.stdout.buffer
            return
        file = _opened(self._path, fresh=fresh)
        try:
            if is_regular(file):
                self._take(file, self._path, fresh=fresh)
        except BaseException:
            file.close()
            raise
        self._file = file
        if self._fsync:
            sync_folder(self._path.parent)

    def _take(self, file: BinaryIO, path: Path, *, fresh: bool) -> None:
        """Lock a file that is ours; go on behind its last whole line, or at its begin."""
        lock(file, path)
        require_ours(file, path)
        self._is_torn = False
        if fresh:
            file.truncate(0)
            return
        self.counts.torn += mend_last_line(file)
        self._reserve = Reserve(file.fileno())
        self._reserve.follow(os.fstat(file.fileno()).st_size)

    def _put(self, line: bytes) -> None:
        """Write the line, or leave the file as it was."""
        if self._path is not None:
            self._follow_path(len(line))
        assert self._file is not None
        if self._path is None or not is_regular(self._file):
            # What a pipe has accepted cannot be removed: go on where it stopped.
            self._rest = self._rest or line
            while self._rest:
                self._rest = self._rest[self._file.write(self._rest) :]
            self._file.flush()
            return
        end = self._file.seek(0, os.SEEK_END)
        try:
            left = memoryview(b"\n" + line if self._is_torn else line)
            while left:
                left = left[self._file.write(left) :]
            if self._fsync:
                os.fsync(self._file.fileno())
        except OSError:
            was_torn, self._is_torn = self._is_torn, self._is_torn or self._file.tell() > end
            self._file.truncate(end)
            self._file.seek(end)
            self._is_torn = was_torn
            raise
        self._is_torn = False
        if self._reserve is not None:
            self._reserve.follow(self._file.tell())

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
            rotate(path, self._keep_files)
        except OSError as error:
            text = f"{path} cannot be rotated: {reason_of(error)}; it grows beyond rotate_bytes"
            self._notices.begin("rotation", text)
        else:
            self._notices.end("rotation")

    def _close_file(self, file: BinaryIO) -> None:
        if self._reserve is not None:
            with suppress(OSError):  # read-only by now: only reserved space would be given back
                file.truncate(file.seek(0, os.SEEK_END))
        file.close()
        self._file = self._reserve = None


def _opened(path: Path, *, fresh: bool) -> BinaryIO:
    # Nothing is cut off before the file is known to be ours; a pipe is only written.
    is_file = not path.exists() or path.is_file()
    if fresh and path.is_fifo():
        return _opened_pipe(path)
    return io.FileIO(path, "a+" if is_file or not fresh else "w")


def _opened_pipe(path: Path) -> BinaryIO:
    """Open a pipe as soon as somebody reads it, which may begin a moment later."""
    until = time.monotonic() + READER_SECONDS
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() >= until:
                raise OSError(errno.ENXIO, "a pipe that nobody reads", str(path)) from error
            time.sleep(0.05)
        else:
            os.set_blocking(descriptor, True)
            return io.FileIO(descriptor, "w")
