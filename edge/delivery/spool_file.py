"""Read and change the rows of the spool's SQLite file; notice when its path no longer names it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from .spool_layout import opened, translated
from .spool_row import COLUMNS, ID_LIMIT, DamagedRow, SpoolRow, row_of

ALL_COLUMNS = f"{COLUMNS}, crc, line"
STORED = "message LEFT JOIN checksum USING (id)"
SIZE = "COALESCE(LENGTH(CAST(payload AS BLOB)), 0)"
KNOWN_LINES = 65_536
"""Lines of the output remembered as stored: more than are read from it at a start."""
KEPT_DAMAGED = 1000
"""Damaged messages kept for a person."""
RESERVED_PAGES = 16
RESERVED_BYTES = RESERVED_PAGES * 4096
"""Some fifty messages."""
NEWEST = 0
"""As id of a checksum: that of the newest line's key, which an older eqedge does not write."""


@dataclass
class Changes:
    """What is only in memory and must be written, in one transaction.

    Attributes:
        coming: Messages to store, by id.
        leaving: Ids of messages to remove.
        aside: Why a message is damaged, by id: it is moved to the table `damaged`.
        final: Ids of those whose line in the output would be no better.
        lines: Hashes of lines that are stored, or were delivered.
    """

    coming: dict[int, SpoolRow] = field(default_factory=dict)
    leaving: set[int] = field(default_factory=set)
    aside: dict[int, str] = field(default_factory=dict)
    final: set[int] = field(default_factory=set)
    lines: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self.coming or self.leaving or self.aside or self.lines)

    def clear(self) -> None:
        """Forget them: they are written."""
        for one in (self.coming, self.leaving, self.aside, self.final, self.lines):
            one.clear()


class SpoolFile:
    """An open file, in WAL mode, owned by this process alone.

    Its methods raise `sqlite3.Error` where the disk rejects.

    Args:
        path: Made where it is missing; None keeps the rows in memory.

    Attributes:
        damaged: Messages found damaged when it was opened, with the reason, by id.
        older_newest: Key of the newest line that an older eqedge stored; None where none did.

    Raises:
        OutputFileError: The path cannot be used for a spool, or another process uses it.
        DiskRejects: Full, or read-only.
        Unusable: It must be set aside first.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._database = opened(path)
        self.damaged: dict[int, str] = {}
        try:
            with translated(path):
                self._check_rows()
                self.older_newest = self._older_newest()
        except BaseException:
            self._database.close()
            raise
        self._log: os.stat_result | None = None
        if path is not None:
            self._reserve()
            self._status = os.stat(path)
            self.is_in_place()

    def totals(self) -> tuple[int, int, int]:
        """Return number of messages, bytes of their payload, and the highest id."""
        count, size, newest = self._database.execute(
            f"SELECT COUNT(*), COALESCE(SUM({SIZE}), 0), "
            "COALESCE(MAX(CASE WHEN id < ? THEN id END), 0) FROM message",
            (ID_LIMIT,),
        ).fetchone()
        return count, size, newest

    def newest_key(self) -> str | None:
        """Return the key last stored, or None."""
        row = self._database.execute("SELECT key FROM newest").fetchone()
        return row[0].decode(errors="replace") if row and isinstance(row[0], bytes) else None

    def known_lines(self) -> set[int]:
        """Return the hashes of the newest lines that were stored."""
        return {row[0] for row in self._database.execute("SELECT line FROM known")}

    def rows(
        self, after: int, limit: int, without: Collection[str] = ()
    ) -> tuple[list[SpoolRow], dict[int, str]]:
        """Return the oldest rows with an id above `after` and of no kind in `without`.

        Returns:
            The rows, and why one is damaged, by id; together at most `limit`.
        """
        others = ", ".join("?" * len(without))
        found = self._database.execute(
            f"SELECT {ALL_COLUMNS} FROM {STORED} WHERE id > ? AND kind NOT IN ({others}) "
            "ORDER BY id LIMIT ?",
            (after, *without, limit),
        )
        rows, damaged = [], {}
        for values in found.fetchall():
            try:
                rows.append(row_of(values))
            except DamagedRow as error:
                damaged[values[0]] = str(error)
        return rows, damaged

    def size_of(self, identifier: int) -> int | None:
        """Return the bytes of a message's payload, or None if it is not there."""
        row = self._database.execute(
            f"SELECT {SIZE} FROM message WHERE id = ?", (identifier,)
        ).fetchone()
        return int(row[0]) if row else None

    def change(self, changes: Changes, newest: str, *, durable: bool) -> None:
        """Write them in one transaction; `durable`: on the disk when this returns.

        Rows that are there already are left as they are, so that it may be tried again.

        Args:
            changes: What to write.
            newest: Key of the newest line.
            durable: Wait for the disk.
        """
        coming = changes.coming.values()
        run, many = self._database.execute, self._database.executemany
        run(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        with self._transaction():
            for identifier, reason in changes.aside.items():
                self._move_aside(identifier, reason, is_final=identifier in changes.final)
            many("DELETE FROM message WHERE id = ?", [(one,) for one in changes.leaving])
            many(
                "INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?, ?)",
                [row.stored for row in coming],
            )
            checksums = [(row.id, row.checksum, row.line) for row in coming]
            many("INSERT OR REPLACE INTO checksum VALUES (?, ?, ?)", checksums)
            many("INSERT INTO known (line) VALUES (?)", [(line,) for line in changes.lines])
            run("DELETE FROM known WHERE id <= (SELECT MAX(id) FROM known) - ?", (KNOWN_LINES,))
            run("INSERT OR REPLACE INTO newest VALUES (1, ?)", (newest,))
            run(
                "INSERT OR REPLACE INTO checksum VALUES (?, ?, 0)", (NEWEST, crc32(newest.encode()))
            )
        self._reserve()

    def checkpoint(self) -> None:
        """Move past transactions from the log into the file, so that its space is free again."""
        self._database.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def is_in_place(self) -> bool:
        """Return whether file and log are still what their paths name, and were not cut."""
        if self._path is None:
            return True
        log = _status(self._path.with_name(self._path.name + "-wal"))
        now = _status(self._path)
        if self._log is None:
            self._log = log
        elif log is None or not os.path.samestat(log, self._log):
            return False
        return self.is_at_its_path() and now is not None and now.st_size >= self._status.st_size

    def is_at_its_path(self) -> bool:
        """Return whether the path still names this file."""
        now = _status(self._path) if self._path is not None else None
        return now is not None and os.path.samestat(now, self._status)

    def copy_to(self, path: Path) -> None:
        """Write all that it contains to another file; works when its own path is gone."""
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as copy:
            self._database.backup(copy)

    def close(self) -> None:
        """Close it; SQLite removes the log."""
        self._database.close()

    def _check_rows(self) -> None:
        """Find damaged messages, and give those of an older eqedge their checksums."""
        older = []
        for values in self._database.execute(f"SELECT {ALL_COLUMNS} FROM {STORED} ORDER BY id"):
            try:
                row = row_of(values)
            except DamagedRow as error:
                self.damaged[values[0]] = str(error)
            else:
                if values[6] is None:
                    older.append((row.id, row.checksum, row.line))
        if not older:
            return
        with suppress(sqlite3.OperationalError), self._transaction():  # full: at another start
            many = self._database.executemany
            many("INSERT OR REPLACE INTO checksum VALUES (?, ?, ?)", older)
            many("INSERT INTO known (line) VALUES (?)", [(line,) for _, _, line in older if line])

    def _older_newest(self) -> str | None:
        key = self.newest_key()
        crc = self._database.execute("SELECT crc FROM checksum WHERE id = ?", (NEWEST,)).fetchone()
        own = key is None or (crc is not None and crc[0] == crc32(key.encode()))
        return None if own else key

    def _move_aside(self, identifier: int, reason: str, *, is_final: bool) -> None:
        """Keep a damaged message for a person; its line is then unknown unless `is_final`."""
        run = self._database.execute
        run(
            f"INSERT INTO damaged SELECT NULL, {COLUMNS}, ?, ? FROM message WHERE id = ?",
            (reason, time.time(), identifier),
        )
        if not is_final:
            line = "SELECT line FROM checksum WHERE id = ?"
            run(f"DELETE FROM known WHERE line = ({line})", (identifier,))
        run("DELETE FROM message WHERE id = ?", (identifier,))
        run("DELETE FROM damaged WHERE id <= (SELECT MAX(id) FROM damaged) - ?", (KEPT_DAMAGED,))

    def _reserve(self) -> None:
        """Reserve free pages in the file, and a log as long, so that more fits on a full disk.

        For a node that is killed or loses power while its disk is full, see `reserve.Reserve`. Free
        pages and log are then written over in place, which needs no space, except where a file
        system never does that (btrfs).
        """
        if self._path is None:
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


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
