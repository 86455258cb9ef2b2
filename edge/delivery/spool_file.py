"""Open and check the spool's SQLite file; read and change its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from ... import reason_of
from .errors import NO_ROOM, OutputFileError

APPLICATION_ID = 0x65716564
"""Marks the SQLite file as a spool, so that no other database is used as one."""
LAYOUT = 1
CREATE = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload BLOB NOT NULL,
    boot TEXT NOT NULL, made_monotonic REAL NOT NULL, made_unix REAL NOT NULL);
CREATE TABLE IF NOT EXISTS newest (one INTEGER PRIMARY KEY CHECK (one = 1), key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reserve (zeros BLOB NOT NULL);
DELETE FROM reserve;
"""
INSERT = "INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?, ?)"
RESERVED_PAGES = 16
RESERVED_BYTES = RESERVED_PAGES * 4096
"""Some fifty messages."""
COLUMNS = "id, kind, payload, boot, made_monotonic, made_unix"


class DiskRejects(Exception):
    """The disk accepts no file now; the text is the reason."""


class Damaged(Exception):
    """The file was a spool and cannot be read; the text is the reason."""


@dataclass(frozen=True)
class SpoolRow:
    """One message, as stored.

    Attributes:
        id: Its place in the order.
        kind: Last level of its topic.
        payload: What is published.
        boot: Of the machine, when it was made.
        made_monotonic: Seconds since then.
        made_unix: UTC, seconds.
    """

    id: int
    kind: str
    payload: bytes
    boot: str
    made_monotonic: float
    made_unix: float


class SpoolFile:
    """An open file, in WAL mode, owned by this process alone.

    Its methods raise `sqlite3.Error` where the disk rejects.

    Args:
        path: Made where it is missing; None keeps the rows in memory.

    Raises:
        OutputFileError: The path cannot be used for a spool, or another process uses it.
        DiskRejects: Full, or read-only.
        Damaged: It must be set aside first.
    """

    def __init__(self, path: Path | None) -> None:
        self._on_disk = path is not None
        if path is None:
            self._database = _connect(":memory:")
            return
        _check_place(path)
        try:
            self._database = _connect(str(path))
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise OutputFileError(
                    f"spool {path} is used by another process; stop it, or give each its own"
                ) from error
            raise DiskRejects(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise Damaged(str(error)) from error
        self._reserve()

    def totals(self) -> tuple[int, int, int]:
        """Return number of messages, bytes of their payload, and the highest id."""
        count, size, newest = self._database.execute(
            "SELECT COUNT(*), COALESCE(SUM(LENGTH(payload)), 0), COALESCE(MAX(id), 0) FROM message"
        ).fetchone()
        return count, size, newest

    def newest_key(self) -> str | None:
        """Return the key last stored, or None."""
        row = self._database.execute("SELECT key FROM newest").fetchone()
        return row[0] if row else None

    def rows(self, after: int, limit: int, without: Collection[str] = ()) -> list[SpoolRow]:
        """Return the oldest rows with an id above `after` and of no kind in `without`."""
        others = ", ".join("?" * len(without))
        found = self._database.execute(
            f"SELECT {COLUMNS} FROM message WHERE id > ? AND kind NOT IN ({others}) "
            "ORDER BY id LIMIT ?",
            (after, *without, limit),
        ).fetchall()
        return [SpoolRow(*row) for row in found]

    def size_of(self, identifier: int) -> int | None:
        """Return the bytes of a message's payload, or None if it is not there."""
        row = self._database.execute(
            "SELECT LENGTH(payload) FROM message WHERE id = ?", (identifier,)
        ).fetchone()
        return int(row[0]) if row else None

    def change(
        self, leaving: Iterable[int], coming: Iterable[SpoolRow], key: str, *, durable: bool
    ) -> None:
        """Remove and add rows in one transaction; `durable`: on the disk when this returns.

        Rows that are there already are left as they are, so that it may be tried again.
        """
        self._database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        with self._transaction():
            self._database.executemany(
                "DELETE FROM message WHERE id = ?", [(one,) for one in leaving]
            )
            self._database.executemany(INSERT, [astuple(row) for row in coming])
            self._database.execute("INSERT OR REPLACE INTO newest VALUES (1, ?)", (key,))
        self._reserve()

    def checkpoint(self) -> None:
        """Move past transactions from the log into the file, so that its space is free again."""
        self._database.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def close(self) -> None:
        """Close it; SQLite removes the log."""
        self._database.close()

    def _reserve(self) -> None:
        """Reserve free pages in the file, and a log as long, so that more fits on a full disk.

        For a node that is killed or loses power while its disk is full, see `reserve.Reserve`. Free
        pages and log are then written over in place, which needs no space, except where a file
        system never does that (btrfs).
        """
        if not self._on_disk:
            return
        try:
            free = self._database.execute("PRAGMA freelist_count").fetchone()[0]
            if free >= RESERVED_PAGES // 2:
                return
            with self._transaction():
                self._database.execute(
                    "INSERT INTO reserve VALUES (zeroblob(?))", (RESERVED_BYTES,)
                )
            self.checkpoint()
            with self._transaction():
                self._database.execute("DELETE FROM reserve")
        except sqlite3.Error:
            pass  # full already; what is free must do

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


def set_aside(path: Path) -> Path:
    """Rename a damaged spool, so that a new one can be begun; return the new name.

    Raises:
        DiskRejects: The folder accepts no new name.
    """
    damaged = path.with_name(path.name + ".damaged")
    try:
        path.replace(damaged)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise DiskRejects(f"damaged, and cannot be set aside: {reason_of(error)}") from error
    return damaged


def _check_place(path: Path) -> None:
    """Reject a path that cannot be used for a spool, before SQLite touches it."""
    try:
        with path.open("ab+") as file:
            file.seek(0)
            head = file.read(16)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DiskRejects(reason_of(error)) from error
        raise OutputFileError(
            f"cannot keep messages in {path}: {reason_of(error)}; give a file in a folder "
            "that exists and that this user may write to"
        ) from error
    if head and not head.strip(b"\0"):
        raise Damaged("its first bytes are zero")
    if head and head != b"SQLite format 3\0":
        raise OutputFileError(f"{path} is not a spool; give another name")


def _connect(name: str) -> sqlite3.Connection:
    database = sqlite3.connect(name, timeout=1, isolation_level=None, check_same_thread=False)
    try:
        # One owner, and no shared-memory file, which not every file system offers.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        owner = database.execute("PRAGMA application_id").fetchone()[0]
        tables = database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if tables and owner != APPLICATION_ID:
            raise OutputFileError(f"{name} is a database, but not a spool; give another name")
        if database.execute("PRAGMA user_version").fetchone()[0] > LAYOUT:
            raise OutputFileError(f"spool {name} was made by a newer eqedge; give another name")
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
