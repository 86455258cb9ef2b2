"""What the broker has not acknowledged yet: on disk, bounded, in order, through a power cut."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..settings.node import SpoolSettings
from .file import OutputError
from .spool_file import Damaged, DiskRefuses, Row, SpoolFile, set_aside

LATER_BOOT = ""
"""As `boot`: too old for its age to be measured."""
CLOCKS_APART_SECONDS = 0.0002
"""Two clocks read within this are read at the same moment."""
AFTER_STORED = 1 << 40
"""Ids begin here, and later with each run, while the file cannot be read: what is in it has others,
and comes first."""


@dataclass(frozen=True)
class Entry:
    """One message that waits.

    Attributes:
        id: Its place in the order.
        kind: Last level of its topic.
        payload: What is published.
        age_seconds: Since it was made.
        aged_surely: The age was measured by a clock that is never set.
        utc_moved_seconds: By how much UTC has been set since it was made; 0 where nobody knows.
    """

    id: int
    kind: str
    payload: bytes
    age_seconds: float
    aged_surely: bool
    utc_moved_seconds: float

    def is_older_than(self, seconds: float) -> bool:
        """Whether it is, or was made before the node last booted."""
        return not self.aged_surely or self.age_seconds > seconds


@dataclass
class SpoolCounts:
    """What happened to the messages.

    Attributes:
        purged: Given up, the oldest first, because too many waited.
        disk_errors: Transactions that the disk refused; their messages stayed in memory.
        damaged: 1 where the file of an earlier run could not be read.
    """

    purged: int = 0
    disk_errors: int = 0
    damaged: int = 0


class Spool:
    """A bounded queue in SQLite's WAL mode; a message leaves by `remove`, or purged as the oldest.

    While the disk takes nothing, messages wait in memory under the same bounds, and acknowledged
    ones are remembered there, so that a full or read-only disk costs durability, not delivery.
    Safe to use from two threads. One process at a time owns the file.
    """

    def __init__(
        self,
        path: Path | None,
        settings: SpoolSettings | None = None,
        *,
        on_state: Callable[[str], None] = lambda line: None,
        monotonic: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,
    ) -> None:
        """Open the spool and count what an earlier run left in it.

        Args:
            path: SQLite file, made where it is missing; None keeps the messages in memory only.
            settings: Its bounds.
            on_state: Told, in one line, when the disk stops or starts taking messages.
            monotonic: Seconds since the node booted.
            utc: Seconds since 1970, as far as the node knows.

        Raises:
            OutputError: The path is no place for a spool, or another process has it.
        """
        self.counts = SpoolCounts()
        self.path = path
        self._settings = settings or SpoolSettings()
        self._on_state = on_state
        self._monotonic = monotonic
        self._utc = utc
        self._boot = _boot_id()
        self._lock = threading.RLock()
        self._unwritten: dict[int, Row] = {}
        self._leaving: set[int] = set()
        self._purged_to = 0
        self._refusing = False
        self._closed = False
        self._homeless = False
        self._next_id = 1
        self._file = self._open()
        self._messages, self._bytes, newest = self._file.totals()
        self._next_id = max(self._next_id, newest + 1)
        self.newest_key = self._file.newest_key()
        """Key of the last `put`, also an earlier run's; None before the first."""

    def __len__(self) -> int:
        """Messages that wait."""
        return self._messages

    def put(
        self, items: Sequence[tuple[str, bytes]], *, key: str = "", age_known: bool = True
    ) -> None:
        """Add messages, all or none of them, at the end.

        Args:
            items: (kind, payload) of each.
            key: Names them, see `newest_key`.
            age_known: They were made just now; otherwise long ago.
        """
        boot = self._boot if age_known else LATER_BOOT
        with self._lock:
            now = self._now()
            for kind, payload in items:
                row = Row(self._next_id, kind, payload, boot, *now)
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
        """Forget messages that have arrived; unknown ids are none of its business."""
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
        """Offer the disk what it refused: the next message may be days away."""
        with self._lock:
            if self._refusing:
                self._sync(durable=True)

    def oldest_seconds(self) -> float:
        """Age of the oldest message, 0 where none waits."""
        oldest = self.pending(limit=1)
        return oldest[0].age_seconds if oldest else 0.0

    def close(self) -> None:
        """Bring to the disk what can be brought there."""
        with self._lock:
            if self._closed:
                return
            self._sync(durable=True)
            self._closed = True
            self._file.close()

    def _open(self) -> SpoolFile:
        """Open the file; one that cannot be had today must not keep the node from detecting."""
        try:
            return self._open_sound()
        except (DiskRefuses, Damaged) as error:
            self._homeless = True
            self._next_id = AFTER_STORED + time.time_ns() // 1000
            self._refused(error)
            return SpoolFile(None)

    def _open_sound(self) -> SpoolFile:
        """Open the file; a damaged one is set aside and a new one begun."""
        try:
            return SpoolFile(self.path)
        except Damaged as error:
            assert self.path is not None
            self.counts.damaged = 1
            damaged = set_aside(self.path)
            self._on_state(f"spool {self.path} is damaged ({error}); set aside as {damaged.name}")
            return SpoolFile(self.path)

    def _come_home(self) -> None:
        """Open the file, which the disk may take by now; what it holds goes first."""
        file = self._open_sound()
        count, size, _ = file.totals()
        self._file.close()
        self._file, self._homeless = file, False
        self._messages += count
        self._bytes += size
        self._purged_to = 0

    def _stored(self, after: int, limit: int, without: Collection[str]) -> list[Row]:
        after, limit = max(after, self._purged_to), limit + len(self._leaving)
        try:
            return self._file.rows(after, limit, without)
        except sqlite3.Error as error:
            self._refused(error)
            return []

    def _size_of(self, identifier: int) -> int | None:
        try:
            return self._file.size_of(identifier)
        except sqlite3.Error as error:
            self._refused(error)
            return None

    def _entry(self, row: Row) -> Entry:
        surely = row.boot == self._boot
        monotonic, utc = self._now()
        by_utc = utc - row.made_unix
        age = monotonic - row.made_monotonic if surely else by_utc
        moved = by_utc - age if surely else 0.0
        return Entry(row.id, row.kind, row.payload, max(0.0, age), surely, moved)

    def _now(self) -> tuple[float, float]:
        """Monotonic time and UTC of one moment: read again where something came in between."""
        for _ in range(3):
            monotonic, utc = self._monotonic(), self._utc()
            if self._monotonic() - monotonic < CLOCKS_APART_SECONDS:
                break
        return monotonic, utc

    def _forget(self, size: int) -> None:
        self._messages -= 1
        self._bytes -= size

    def _purge(self) -> None:
        """Give up the oldest until the rest is within bounds; the newest one always stays."""
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
        """Bring the disk up to what memory knows, in one transaction; or leave it for next time."""
        if self._closed or not (self._unwritten or self._leaving or self._homeless):
            return
        full = durable and self._settings.fsync == "always"
        try:
            if self._homeless:
                self._come_home()
            elif self._refusing:
                self._file.fold()
            self._change(full)
        except (sqlite3.Error, DiskRefuses, Damaged, OutputError) as error:
            self._refused(error)
            return
        self._leaving.clear()
        self._unwritten.clear()
        if self._refusing:
            self._refusing = False
            self._on_state(f"spool {self.path} takes messages again")

    def _change(self, durable: bool) -> None:
        what = self._leaving, self._unwritten.values(), self.newest_key or ""
        try:
            self._file.change(*what, durable=durable)
        except sqlite3.OperationalError:
            # On a full disk the log of past transactions still holds space that is ours.
            self._file.fold()
            self._file.change(*what, durable=durable)

    def _refused(self, error: Exception) -> None:
        self.counts.disk_errors += 1
        if not self._refusing:
            self._refusing = True
            self._on_state(f"spool {self.path}: {error}; messages are kept in memory meanwhile")


def _boot_id() -> str:
    """Return what tells one boot from the next: only within one do monotonic times compare."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex
