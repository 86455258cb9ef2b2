"""What the broker has not acknowledged yet: on disk, bounded, in order, through a power cut."""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..settings import SpoolSettings
from .sinks import OutputError

APPLICATION_ID = 0x65716564
"""Marks the SQLite file as a spool, so that no other database is taken for one."""
LAYOUT = 1
CREATE = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload BLOB NOT NULL,
    boot TEXT NOT NULL, made_monotonic REAL NOT NULL, made_unix REAL NOT NULL);
CREATE TABLE IF NOT EXISTS newest (one INTEGER PRIMARY KEY CHECK (one = 1), key TEXT NOT NULL);
"""
INSERT = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)"
COLUMNS = "id, kind, payload, boot, made_monotonic, made_unix"
LATER_BOOT = ""
"""As `boot`: too old for its age to be measured."""


@dataclass(frozen=True)
class Entry:
    """One message that waits.

    Attributes:
        id: Its place in the order.
        kind: Last level of its topic.
        payload: What is published.
        age_seconds: Since it was made.
        aged_surely: The age was measured by a clock that is never set.
    """

    id: int
    kind: str
    payload: bytes
    age_seconds: float
    aged_surely: bool

    def is_older_than(self, seconds: float) -> bool:
        """Whether it is, or was made before the node last booted."""
        return not self.aged_surely or self.age_seconds > seconds


@dataclass(frozen=True)
class _Row:
    id: int
    kind: str
    payload: bytes
    boot: str
    made_monotonic: float
    made_unix: float

    @property
    def values(self) -> tuple[int, str, bytes, str, float, float]:
        return (
            self.id,
            self.kind,
            self.payload,
            self.boot,
            self.made_monotonic,
            self.made_unix,
        )


@dataclass
class SpoolCounts:
    """What happened to the messages.

    Attributes:
        purged: Given up, the oldest first, because too many waited.
        disk_errors: Transactions that the disk refused; their messages stayed in memory.
        damaged: Spool files of earlier runs that could not be read and were set aside.
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
    ) -> None:
        """Open the spool and count what an earlier run left in it.

        Args:
            path: SQLite file, made where it is missing; None keeps the messages in memory only.
            settings: Its bounds.
            on_state: Told, in one line, when the disk stops or starts taking messages.
            monotonic: Seconds since the node booted.

        Raises:
            OutputError: The path is no place for a spool, or another process has it.
        """
        self.counts = SpoolCounts()
        self.path = path
        self._settings = settings or SpoolSettings()
        self._on_state = on_state
        self._monotonic = monotonic
        self._boot = _boot_id()
        self._lock = threading.RLock()
        self._unwritten: dict[int, _Row] = {}
        self._leaving: set[int] = set()
        self._purged_to = 0
        self._refusing = False
        self._closed = False
        self._database = self._open()
        count, size, newest = self._database.execute(
            "SELECT COUNT(*), COALESCE(SUM(LENGTH(payload)), 0), COALESCE(MAX(id), 0) FROM message"
        ).fetchone()
        self._messages: int = count
        self._bytes: int = size
        self._next_id: int = newest + 1
        row = self._database.execute("SELECT key FROM newest").fetchone()
        self.newest_key: str | None = row[0] if row else None
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
            for kind, payload in items:
                row = _Row(self._next_id, kind, payload, boot, self._monotonic(), time.time())
                self._unwritten[row.id] = row
                self._next_id += 1
                self._messages += 1
                self._bytes += len(payload)
            self.newest_key = key
            self._purge()
            self._sync(durable=True)

    def pending(self, after: int = 0, limit: int = 100) -> list[Entry]:
        """Return the oldest messages with an id above `after`."""
        with self._lock:
            rows = [row for row in self._stored(after, limit) if row.id not in self._leaving]
            rows += [row for row in self._unwritten.values() if row.id > after]
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
            self._database.close()

    def _open(self) -> sqlite3.Connection:
        if self.path is None:
            return self._connect(":memory:")
        try:
            with self.path.open("ab+") as file:
                file.seek(0)
                head = file.read(16)
        except OSError as error:
            if error.errno in (errno.EROFS, errno.ENOSPC):
                return self._without_disk(str(error.strerror))
            raise OutputError(
                f"cannot keep messages in {self.path}: {error.strerror}; give a file in a folder "
                "that exists and that this user may write to"
            ) from error
        if head.strip(b"\0") and head != b"SQLite format 3\0":
            raise OutputError(f"{self.path} is not a spool; give another name")
        try:
            if head and not head.strip(b"\0"):
                raise sqlite3.DatabaseError("its first bytes are zero")
            return self._connect(str(self.path))
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise OutputError(
                    f"spool {self.path} is used by another process; stop it, or give each its own"
                ) from error
            return self._without_disk(str(error))
        except sqlite3.DatabaseError as error:
            self._set_aside(str(error))
            return self._connect(str(self.path))

    def _connect(self, name: str) -> sqlite3.Connection:
        database = sqlite3.connect(name, timeout=1, isolation_level=None, check_same_thread=False)
        try:
            # One owner, and no shared-memory file, which not every file system offers.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            owner = database.execute("PRAGMA application_id").fetchone()[0]
            tables = database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
            if tables and owner != APPLICATION_ID:
                raise OutputError(f"{name} is a database, but not a spool; give another name")
            if database.execute("PRAGMA user_version").fetchone()[0] > LAYOUT:
                raise OutputError(f"spool {name} was made by a newer eqedge; give another name")
            check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if check != "ok":
                raise sqlite3.DatabaseError(check)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {LAYOUT}")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA wal_autocheckpoint = 256")
            database.execute("PRAGMA journal_size_limit = 1048576")
            database.executescript(CREATE)
        except BaseException:
            database.close()
            raise
        return database

    def _without_disk(self, reason: str) -> sqlite3.Connection:
        """Go on in memory: what the disk cannot do today must not keep the node from detecting."""
        self.counts.disk_errors += 1
        self._on_state(f"spool {self.path}: {reason}; messages are kept in memory only")
        return self._connect(":memory:")

    def _set_aside(self, reason: str) -> None:
        assert self.path is not None
        damaged = self.path.with_name(self.path.name + ".damaged")
        self.path.replace(damaged)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self.counts.damaged += 1
        self._on_state(f"spool {self.path} is damaged ({reason}); set aside as {damaged.name}")

    def _stored(self, after: int, limit: int) -> list[_Row]:
        try:
            rows = self._database.execute(
                f"SELECT {COLUMNS} FROM message WHERE id > ? ORDER BY id LIMIT ?",
                (max(after, self._purged_to), limit + len(self._leaving)),
            ).fetchall()
        except sqlite3.Error as error:
            self._refused(error)
            return []
        return [_Row(*row) for row in rows]

    def _size_of(self, identifier: int) -> int | None:
        try:
            row = self._database.execute(
                "SELECT LENGTH(payload) FROM message WHERE id = ?", (identifier,)
            ).fetchone()
        except sqlite3.Error as error:
            self._refused(error)
            return None
        return int(row[0]) if row else None

    def _entry(self, row: _Row) -> Entry:
        surely = row.boot == self._boot
        age = self._monotonic() - row.made_monotonic if surely else time.time() - row.made_unix
        return Entry(row.id, row.kind, row.payload, max(0.0, age), surely)

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
        if self._closed or not (self._unwritten or self._leaving):
            return
        full = durable and self._settings.fsync == "always"
        try:
            if self._refusing:
                # The log of past transactions may be what fills the disk: fold it into the file.
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._database.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            with self._transaction():
                self._database.executemany(
                    "DELETE FROM message WHERE id = ?", [(one,) for one in self._leaving]
                )
                self._database.executemany(INSERT, [row.values for row in self._unwritten.values()])
                self._database.execute(
                    "INSERT OR REPLACE INTO newest VALUES (1, ?)", (self.newest_key or "",)
                )
        except sqlite3.Error as error:
            self._refused(error)
            return
        self._leaving.clear()
        self._unwritten.clear()
        if self._refusing:
            self._refusing = False
            self._on_state(f"spool {self.path} takes messages again")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # SQLite itself rolls back when the disk is full
                self._database.execute("ROLLBACK")
            raise

    def _refused(self, error: sqlite3.Error) -> None:
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
