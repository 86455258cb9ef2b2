"""Look into the spool beside a node's output: what waits, what was set aside, what is damaged."""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ... import first_line, reason_of
from ..delivery.outputs import SPOOL_SUFFIX
from ..delivery.spool_file import ALL_COLUMNS, STORED
from ..delivery.spool_layout import APPLICATION_ID, LAYOUT, REPLACED, Damaged, Newer
from ..delivery.spool_row import COLUMNS, DamagedRow, row_of
from ..utc import utc_text
from .finding import Check

NAME = "spool"
DELIVERED = "they go to the broker when the node runs and reaches it"
LOCK_START, LOCK_BYTES = 0x40000002, 510
"""Bytes that SQLite locks in a database that is in use, see its `os_unix.c`."""
ASIDE = (Damaged.suffix, Newer.suffix, REPLACED)
"""Endings of a spool that a node set aside, perhaps with a number behind."""


def spool_checks(output: Path, health: Path | None) -> Iterator[Check]:
    """Check the spool of an output, and those set aside beside it; none, where there is none.

    The file is only read: a copy of it is opened, so that neither it nor its log is changed.

    Args:
        output: The node's file of triggers.
        health: The node's health file, for a spool that is in use.
    """
    path = output.with_name(output.name + SPOOL_SUFFIX)
    if path.exists():
        try:
            yield _running(path, health) if _is_in_use(path) else _at_rest(path)
        except OSError as error:
            yield Check(
                NAME,
                False,
                f"{path} cannot be read: {reason_of(error)}",
                "run doctor as the node's user, or as root",
            )
    aside = [one.name for one in _beside(path) if not one.name.endswith(("-wal", "-shm"))]
    if aside:
        yield Check(
            NAME,
            True,
            f"set aside by a node in {path.parent}: {', '.join(sorted(aside))}",
            "they hold messages that may not have been delivered; keep a copy, then remove them",
            warns=True,
        )


def _beside(path: Path) -> list[Path]:
    starts = tuple(path.name + ending for ending in ASIDE)
    try:
        return [one for one in path.parent.iterdir() if one.name.startswith(starts)]
    except OSError:
        return []


def _is_in_use(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, LOCK_BYTES, LOCK_START)
        except BlockingIOError:
            return True
        fcntl.lockf(file, fcntl.LOCK_UN, LOCK_BYTES, LOCK_START)
    return False


def _running(path: Path, health: Path | None) -> Check:
    """Report what the node that uses it last wrote about it."""
    try:
        record = json.loads(health.read_text()) if health else {}
        waiting, oldest = int(record["spool_messages"]), float(record["spool_oldest_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return Check(NAME, True, f"a running node uses {path}; its health has spool_messages")
    age = f", the oldest for {_duration(oldest)}" if waiting else ""
    text = f"a running node uses {path}; by its health {_messages(waiting)}{age}"
    return Check(NAME, True, text, DELIVERED if waiting else "")


def _at_rest(path: Path) -> Check:
    """Open a copy, and report what it holds."""
    with tempfile.TemporaryDirectory(prefix="eqedge-doctor-") as folder:
        copy = Path(folder) / "spool"
        shutil.copyfile(path, copy)
        log = path.with_name(path.name + "-wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name(copy.name + "-wal"))
        try:
            with closing(sqlite3.connect(copy)) as database:
                database.text_factory = bytes
                return _content(path, database)
        except sqlite3.Error as error:
            return _damaged(path, first_line(error))


def _content(path: Path, database: sqlite3.Connection) -> Check:
    tables = {row[0].decode() for row in database.execute("SELECT name FROM sqlite_master")}
    if not tables:
        return Check(NAME, True, f"{path} is empty")
    if _one(database, "PRAGMA application_id") != APPLICATION_ID:
        remedy = "name another output, or move that file away"
        return Check(NAME, False, f"{path} is a database, but not a spool", remedy)
    if _one(database, "PRAGMA user_version") > LAYOUT:
        remedy = "the node sets it aside at its start; update this eqedge to deliver what is in it"
        return Check(NAME, False, f"{path} was made by a newer eqedge", remedy)
    verdict = _one(database, "PRAGMA quick_check(1)")
    if verdict != b"ok":
        return _damaged(path, str(verdict, "utf-8", "replace"))
    query = f"SELECT {ALL_COLUMNS} FROM {STORED}"
    if "checksum" not in tables:  # of an older version
        query = f"SELECT {COLUMNS}, NULL, NULL FROM message"
    waiting = damaged = 0
    oldest = 0.0
    for values in database.execute(query):
        waiting += 1
        try:
            made_unix = row_of(values).made_unix
        except DamagedRow:
            damaged += 1
        else:
            oldest = min(oldest or made_unix, made_unix)
    aside = _one(database, "SELECT COUNT(*) FROM damaged") if "damaged" in tables else 0
    text = f"{path} is sound, {_messages(waiting)}"
    if oldest:
        text += f", the oldest of {_when(oldest)}"
    if aside or damaged:
        counts = {"set aside": aside, "damaged": damaged}
        found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        remedy = "these are kept in the spool and not sent; the lines of the output have the events"
        return Check(NAME, True, f"{text}; {found}", remedy, warns=True)
    return Check(NAME, True, text, DELIVERED if waiting else "")


def _one(database: sqlite3.Connection, statement: str) -> Any:
    return database.execute(statement).fetchone()[0]


def _damaged(path: Path, reason: str) -> Check:
    remedy = "the node sets it aside at its start and sends the lines of its output again"
    return Check(NAME, False, f"{path} is damaged ({' '.join(reason.split())})", remedy)


def _messages(count: int) -> str:
    return "nothing waits" if not count else f"{count} message{'s' * (count != 1)} waiting"


def _when(unix: float) -> str:
    if not 0 < unix < 4e9:
        return "an unknown time"
    return f"{utc_text(round(unix) * 1_000_000_000)[:19]}Z ({_duration(time.time() - unix)} ago)"


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
