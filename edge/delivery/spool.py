"""Keep messages until the broker has acknowledged them: on disk, in order, bounded."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...firmware_bridge.measured import counter, gauge
from ..settings.delivery import SpoolSettings
from .errors import OutputFileError
from .notices import Notices
from .spool_file import Damaged, DiskRejects, SpoolFile, SpoolRow, set_aside

logger = logging.getLogger(__name__)

UNKNOWN_BOOT = ""
"""As `boot`: of an earlier run, so that its age cannot be measured."""
CLOCKS_APART_SECONDS = 0.0002
"""Two clocks read within this are read at the same moment."""
AFTER_STORED = 1 << 40
"""While the file cannot be read, ids begin here, and higher with each run: the messages in the file
have lower ones and are sent first."""


@dataclass(frozen=True)
class Entry:
    """One message that waits.

    Attributes:
        id: Its place in the order.
        kind: Last level of its topic.
        payload: What is published.
        age_seconds: Since it was made.
        age_measured: The age was measured by a clock that is never set.
        utc_moved_seconds: By how much UTC has been set since it was made; 0 where unknown.
    """

    id: int
    kind: str
    payload: bytes
    age_seconds: float
    age_measured: bool
    utc_moved_seconds: float

    def is_older_than(self, seconds: float) -> bool:
        """Return whether it is, or was made before the node last booted."""
        return not self.age_measured or self.age_seconds > seconds


@dataclass
class SpoolCounts:
    """What became of the messages."""

    purged: int = counter(
        "spool_purged_total",
        "Messages dropped, the oldest first, because too many waited.",
        degrades=1,
    )
    disk_errors: int = counter(
        "spool_errors_total",
        "Transactions that the disk rejected; their messages stay in memory.",
        degrades=1,
    )
    damaged: int = counter(
        "spool_damaged_total",
        "Spool of an earlier run that could not be read and was set aside.",
        degrades=1,
    )


@dataclass(frozen=True)
class SpoolState:
    """What waits."""

    messages: int | None = gauge("spool_messages", "Messages the broker has not acknowledged.")
    oldest_seconds: float | None = gauge(
        "spool_oldest_seconds",
        "Age of the oldest message the broker has not acknowledged.",
        digits=3,
    )


class Spool:
    """A bounded queue in SQLite's WAL mode; a message leaves by `remove`, or purged as the oldest.

    While the disk accepts nothing, messages wait in memory under the same bounds, and acknowledged
    ones are noted there: they are still delivered, but a restart loses them.
    Safe to use from two threads. One process at a time owns the file.

    Args:
        path: SQLite file, made where it is missing; None keeps the messages in memory only.
        settings: Its bounds.
        monotonic: Seconds since the node booted.
        utc: Seconds since 1970 by the node's clock.

    Raises:
        OutputFileError: The path cannot be used for a spool, or another process uses it.
    """

    def __init__(
        self,
        path: Path | None,
        settings: SpoolSettings | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,
    ) -> None:
        self.counts = SpoolCounts()
        self.path = path
        self._settings = settings or SpoolSettings()
        self._notices = Notices(logger)
        self._monotonic = monotonic
        self._utc = utc
        self._boot = _boot_id()
        self._lock = threading.RLock()
        self._unwritten: dict[int, SpoolRow] = {}
        self._leaving: set[int] = set()
        self._purged_to = 0
        self._rejecting = False
        self._closed = False
        self._without_file = False
        self._next_id = 1
        self._file = self._open()
        self._messages, self._bytes, newest = self._file.totals()
        self._next_id = max(self._next_id, newest + 1)
        self.newest_key = self._file.newest_key()
        """Key of the last `put`, also an earlier run's; None before the first."""

    def __len__(self) -> int:
        """Return how many messages wait."""
        return self._messages

    def put(
        self, items: Sequence[tuple[str, bytes]], *, key: str = "", age_known: bool = True
    ) -> None:
        """Add messages, all or none of them, at the end.

        Args:
            items: (kind, payload) of each.
            key: Identifies them, see `newest_key`.
            age_known: They were made just now; otherwise long ago.
        """
        boot = self._boot if age_known else UNKNOWN_BOOT
        with self._lock:
            now = self._now()
            for kind, payload in items:
                row = SpoolRow(self._next_id, kind, payload, boot, *now)
                self._unwritten[row.id] = row
                self._next_id += 1
                self._messages += 1
                self._bytes += len(payload)
            self.newest_key = key
            self._purge()
            self._sync(durable=True)

    def pending(
        self, after: int = 0, limit: int = 100, *, without: Collection[str] = ()
    ) -> list[Entry]:
        """Return the oldest messages with an id above `after` and of no kind in `without`."""
        with self._lock:
            stored = self._stored(after, limit, without)
            rows = [row for row in stored if row.id not in self._leaving]
            fresh = [row for row in self._unwritten.values() if row.kind not in without]
            rows += [row for row in fresh if row.id > after]
            return [self._entry(row) for row in rows[:limit]]

    def remove(self, ids: Iterable[int]) -> None:
        """Remove messages that have arrived; unknown ids are ignored."""
        with self._lock:
            for identifier in ids:
                row = self._unwritten.pop(identifier, None)
                if row is not None:
                    self._forget(len(row.payload))
                elif identifier not in self._leaving:
                    size = self._size_of(identifier)
                    if size is not None:
                        self._forget(size)
                        self._leaving.add(identifier)
            # Lost in a power cut, this costs a duplicate, not an event: no need to wait for it.
            self._sync(durable=False)

    def retry(self) -> None:
        """Write again what the disk rejected: the next message may be days away."""
        with self._lock:
            if self._rejecting:
                self._sync(durable=True)

    @property
    def state(self) -> SpoolState:
        """How many messages wait, and the age of the oldest, 0 where none waits."""
        oldest = self.pending(limit=1)
        return SpoolState(self._messages, oldest[0].age_seconds if oldest else 0.0)

    def close(self) -> None:
        """Write what can be written, and close the file."""
        with self._lock:
            if self._closed:
                return
            self._sync(durable=True)
            self._closed = True
            self._file.close()

    def _open(self) -> SpoolFile:
        """Open the file; where that fails, memory, since the node must start all the same."""
        try:
            return self._open_sound()
        except (DiskRejects, Damaged) as error:
            self._without_file = True
            self._next_id = AFTER_STORED + time.time_ns() // 1000
            self._rejected(error)
            return SpoolFile(None)

    def _open_sound(self) -> SpoolFile:
        """Open the file; a damaged one is set aside and a new one begun."""
        try:
            return SpoolFile(self.path)
        except Damaged as error:
            assert self.path is not None
            self.counts.damaged = 1
            damaged = set_aside(self.path)
            logger.warning(
                "spool %s is damaged (%s); set aside as %s", self.path, error, damaged.name
            )
            return SpoolFile(self.path)

    def _return_to_file(self) -> None:
        """Open the file, which may be possible by now; its messages go first."""
        file = self._open_sound()
        count, size, _ = file.totals()
        self._file.close()
        self._file, self._without_file = file, False
        self._messages += count
        self._bytes += size
        self._purged_to = 0

    def _stored(self, after: int, limit: int, without: Collection[str]) -> list[SpoolRow]:
        after, limit = max(after, self._purged_to), limit + len(self._leaving)
        try:
            return self._file.rows(after, limit, without)
        except sqlite3.Error as error:
            self._rejected(error)
            return []

    def _size_of(self, identifier: int) -> int | None:
        try:
            return self._file.size_of(identifier)
        except sqlite3.Error as error:
            self._rejected(error)
            return None

    def _entry(self, row: SpoolRow) -> Entry:
        same_boot = row.boot == self._boot
        monotonic, utc = self._now()
        by_utc = utc - row.made_unix
        age = monotonic - row.made_monotonic if same_boot else by_utc
        moved = by_utc - age if same_boot else 0.0
        return Entry(row.id, row.kind, row.payload, max(0.0, age), same_boot, moved)

    def _now(self) -> tuple[float, float]:
        """Return monotonic time and UTC of one moment; read again if they were read apart."""
        for _ in range(3):
            monotonic, utc = self._monotonic(), self._utc()
            if self._monotonic() - monotonic < CLOCKS_APART_SECONDS:
                break
        return monotonic, utc

    def _forget(self, size: int) -> None:
        self._messages -= 1
        self._bytes -= size

    def _purge(self) -> None:
        """Drop the oldest until the rest is within bounds; the newest one always stays."""
        while self._messages > 1 and (
            self._messages > self._settings.max_messages or self._bytes > self._settings.max_bytes
        ):
            oldest = next(iter(self.pending(limit=1)), None)
            if oldest is None:
                return
            if self._unwritten.pop(oldest.id, None) is None:
                self._leaving.add(oldest.id)
            self._purged_to = oldest.id
            self._forget(len(oldest.payload))
            self.counts.purged += 1

    def _sync(self, *, durable: bool) -> None:
        """Write what is only in memory, in one transaction, or leave it for the next attempt."""
        if self._closed or not (self._unwritten or self._leaving or self._without_file):
            return
        full = durable and self._settings.fsync == "always"
        try:
            if self._without_file:
                self._return_to_file()
            elif self._rejecting:
                self._file.checkpoint()
            self._change(full)
        except (sqlite3.Error, DiskRejects, Damaged, OutputFileError) as error:
            self._rejected(error)
            return
        self._leaving.clear()
        self._unwritten.clear()
        if self._rejecting:
            self._rejecting = False
            self._notices.end("disk", f"spool {self.path} is written again")

    def _change(self, durable: bool) -> None:
        what = self._leaving, self._unwritten.values(), self.newest_key or ""
        try:
            self._file.change(*what, durable=durable)
        except sqlite3.OperationalError:
            # On a full disk the log of past transactions still holds space that can be used.
            self._file.checkpoint()
            self._file.change(*what, durable=durable)

    def _rejected(self, error: Exception) -> None:
        self.counts.disk_errors += 1
        self._rejecting = True
        text = f"spool {self.path}: {error}; messages are kept in memory meanwhile"
        self._notices.begin("disk", text)


def _boot_id() -> str:
    """Return an id of this boot: monotonic times can be compared only within one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex
