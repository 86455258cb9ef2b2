"""Open the spool's SQLite file: recognise, check and lay it out, or set it aside."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

from ... import reason_of
from .errors import NO_ROOM, OutputFileError

APPLICATION_ID = 0x65716564
"""Marks the SQLite file as a spool, so that no other database is used as one."""
LAYOUT = 1
"""Version of the tables. Tables are added without a new version, so that an older eqedge can use
the file too."""
TABLES = {
    "message": "id INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload BLOB NOT NULL, "
    "boot TEXT NOT NULL, made_monotonic REAL NOT NULL, made_unix REAL NOT NULL",
    "newest": "one INTEGER PRIMARY KEY CHECK (one = 1), key TEXT NOT NULL",
    "reserve": "zeros BLOB NOT NULL",
    "checksum": "id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, line INTEGER NOT NULL",
    "known": "id INTEGER PRIMARY KEY, line INTEGER NOT NULL",
    "damaged": "id INTEGER PRIMARY KEY, message INTEGER, kind, payload, boot, made_monotonic, "
    "made_unix, reason TEXT, set_aside_unix REAL",
}
"""Columns by table: messages that wait; the newest line, for an older eqedge; space for a full
disk; checksums of the messages (that of id 0: of the newest line's key); the newest lines that were
stored; damaged messages, for a person to look at."""
TRIGGER = """CREATE TRIGGER IF NOT EXISTS message_left AFTER DELETE ON message
BEGIN DELETE FROM checksum WHERE id = OLD.id; END"""
"""An older eqedge, which removes only the message, must not leave its checksum to another one."""
NEEDS_THE_DISK = {3, 5, 6, 7, 8, 10, 13, 14}
"""SQLite's codes for permission, busy, locked, memory, read-only, I/O, full, cannot open."""
REPLACED = ".replaced"
"""Suffix of what was put in a spool's place while a node used it."""
HEAD_BYTES = 72


class DiskRejects(Exception):
    """The disk accepts no file now; the text is the reason."""


class Unusable(Exception):
    """The file is a spool that must be set aside; the text is the reason.

    Attributes:
        suffix: For its new name.
    """

    suffix = ".damaged"


class Damaged(Unusable):
    """The file was a spool and cannot be read."""


class Newer(Unusable):
    """The file was written by a newer eqedge."""

    suffix = ".newer"


def is_damage(error: BaseException) -> bool:
    """Return whether SQLite's error is about what the file contains, not about the disk."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.Error) and code is not None and code & 0xFF in (11, 26)


def opened(path: Path | None) -> sqlite3.Connection:
    """Open a spool, made where it is missing; None keeps it in memory.

    Raises:
        OutputFileError: The path cannot be used for a spool, or another process uses it.
        DiskRejects: Full, or read-only.
        Unusable: It must be set aside first.
    """
    if path is None:
        return _connect(":memory:")
    _check_place(path)
    with translated(path):
        return _connect(str(path))


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Raise as errors of a spool what SQLite raises while it is opened; see `opened`."""
    try:
        yield
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise OutputFileError(
                f"spool {path} is used by another process; stop it, or give each its own"
            ) from error
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in NEEDS_THE_DISK:
            raise DiskRejects(str(error)) from error
        raise Damaged(str(error)) from error


def set_aside(path: Path, suffix: str) -> Path:
    """Rename a spool with its log, so that a new one can be begun; return the new name.

    Only of damaged ones an older one is replaced: they could fill the disk.

    Raises:
        DiskRejects: The folder accepts no new name.
    """
    numbers = chain([""], (f"-{number}" for number in count(2)))
    names = (path.with_name(f"{path.name}{suffix}{number}") for number in numbers)
    aside = next(n for n in names if suffix == Damaged.suffix or not n.exists())
    try:
        path.replace(aside)
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
        log, log_aside = (one.with_name(one.name + "-wal") for one in (path, aside))
        log_aside.unlink(missing_ok=True)
        if log.exists():
            log.replace(log_aside)
    except OSError as error:
        raise DiskRejects(f"{suffix[1:]}, and cannot be set aside: {reason_of(error)}") from error
    return aside


def _check_place(path: Path) -> None:
    """Reject a path that cannot be used for a spool, before SQLite touches it."""
    try:
        with path.open("ab+") as file:
            file.seek(0)
            head = file.read(HEAD_BYTES)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DiskRejects(reason_of(error)) from error
        raise OutputFileError(
            f"cannot keep messages in {path}: {reason_of(error)}; give a file in a folder "
            "that exists and that this user may write to"
        ) from error
    if head and not head[:16].strip(b"\0"):
        raise Damaged("its first bytes are zero")
    if head and head[:16] != b"SQLite format 3\0":
        if head[68:72] == APPLICATION_ID.to_bytes(4, "big"):
            raise Damaged("its first bytes are damaged")
        raise OutputFileError(f"{path} is not a spool; give another name")
    if head and not set(head[18:20]) <= {1, 2}:  # SQLite would take it for read-only
        raise Damaged("its first bytes are damaged")


def _connect(name: str) -> sqlite3.Connection:
    database = sqlite3.connect(name, timeout=1, isolation_level=None, check_same_thread=False)
    try:
        # One owner, and no shared-memory file, which not every file system offers.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        owner = database.execute("PRAGMA application_id").fetchone()[0]
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
        if tables and owner != APPLICATION_ID:
            if tables >= {"message", "newest", "reserve"}:
                raise Damaged("its first bytes are damaged")
            raise OutputFileError(f"{name} is a database, but not a spool; give another name")
        if database.execute("PRAGMA user_version").fetchone()[0] > LAYOUT:
            raise Newer("a newer eqedge wrote it")
        check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise Damaged(check)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {LAYOUT}")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 256")
        database.execute("PRAGMA journal_size_limit = 1048576")
        for table, columns in TABLES.items():
            database.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
            _require_columns(database, table, columns)
        database.execute(TRIGGER)
        database.execute("DELETE FROM reserve")
        database.text_factory = bytes  # text may be damaged too
    except BaseException:
        database.close()
        raise
    return database


def _require_columns(database: sqlite3.Connection, table: str, columns: str) -> None:
    expected = [column.split()[0] for column in columns.split(", ")]
    found = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    if found != expected:
        raise Damaged(f"its table {table} has other columns")
