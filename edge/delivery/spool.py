"""Keep messages until the broker has acknowledged them: on disk, in order, bounded."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from ... import reason_of
from ..settings.delivery import SpoolSettings
from .errors import OutputFileError
from .notices import Notices
from .spool_counts import SpoolCounts, SpoolState
from .spool_entry import AgeClock, Entry
from .spool_file import Changes, SpoolFile
from .spool_layout import Damaged, DiskRejects, Unusable, is_damage, set_aside
from .spool_repair import open_or_begin, write_anew
from .spool_row import SpoolItems, SpoolRow

logger = logging.getLogger(__name__)

UNKNOWN_BOOT = ""
"""As `boot`: of an earlier run, so that its age cannot be measured."""
AFTER_STORED = 1 << 40
"""While the file cannot be read, ids begin here, and higher with each run: the messages in the file
have lower ones and are sent first."""


class Spool:
    """A bounded queue in SQLite's WAL mode; a message leaves by `remove`, or purged as the oldest.

    While the disk accepts nothing, messages wait in memory under the same bounds, and acknowledged
    ones are noted there: they are still delivered, but a restart loses them.
    A damaged message is set aside in the file. A file that is deleted or replaced meanwhile is
    written anew. Safe to use from two threads. One process at a time owns the file.

    Args:
        path: SQLite file, made where it is missing; None keeps the messages in memory only.
        settings: Its bounds.
        monotonic: Seconds since the node booted.
        utc: Seconds since 1970 by the node's clock.

    Attributes:
        is_incomplete: The output may have lines that are not known here, see `known_lines`; set to
            False by whoever stores them.

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
        self._clock = AgeClock(monotonic, utc)
        self._lock = threading.RLock()
        self._changes = Changes()
        self._purged_to = 0
        self._rejecting = False
        self._closed = False
        self._without_file = False
        self.is_incomplete = False
        self._next_id = 1
        self._messages = self._bytes = 0
        self._file = self._open()
        self.newest_key = self._file.newest_key()
        """Key of the last `put`, also an earlier run's; None before the first."""
        self._add_totals()

    def __len__(self) -> int:
        """Return how many messages wait."""
        return self._messages

    def put(
        self,
        items: Sequence[tuple[str, bytes]],
        *,
        key: str = "",
        line: int = 0,
        age_known: bool = True,
    ) -> None:
        """Add the messages of one line of the output, see `put_all`."""
        self.put_all([SpoolItems(items, key, line)], age_known=age_known)

    def put_all(self, added: Sequence[SpoolItems], *, age_known: bool = True) -> None:
        """Add messages, all or none of them, at the end.

        Args:
            added: Messages, by line of the output.
            age_known: They were made just now; otherwise long ago.
        """
        boot = self._clock.boot if age_known else UNKNOWN_BOOT
        with self._lock:
            now = self._clock.now()
            for one in added:
                for kind, payload in one.items:
                    row = SpoolRow(self._next_id, kind, payload, boot, *now, one.line)
                    self._changes.coming[row.id] = row
                    self._next_id += 1
                    self._messages += 1
                    self._bytes += len(payload)
                self.newest_key = one.key
                if one.line:
                    self._changes.lines.append(one.line)
            self._purge()
            self._sync(durable=True)

    def known_lines(self) -> set[int] | None:
        """Return the hashes of the lines that were stored; None where that cannot be read now."""
        with self._lock:
            if self._without_file or self._changes.aside:
                return None
            try:
                return self._file.known_lines() | set(self._changes.lines)
            except sqlite3.Error as error:
                self._rejected(error)
                return None

    def know(self, lines: Iterable[int]) -> None:
        """Note hashes of lines that were stored by an older eqedge."""
        with self._lock:
            self._changes.lines += lines
            self._sync(durable=False)

    @property
    def older_newest(self) -> str | None:
        """Key of the newest line that an older eqedge stored; None where none did."""
        return self._file.older_newest

    def pending(
        self, after: int = 0, limit: int = 100, *, without: Collection[str] = ()
    ) -> list[Entry]:
        """Return the oldest messages with an id above `after` and of no kind in `without`."""
        with self._lock:
            stored = self._stored(after, limit, without)
            rows = [row for row in stored if row.id not in self._changes.leaving]
            fresh = [row for row in self._changes.coming.values() if row.kind not in without]
            rows += [row for row in fresh if row.id > after]
            return [self._clock.entry(row) for row in rows[:limit]]

    def remove(self, ids: Iterable[int]) -> None:
        """Remove messages that have arrived; unknown ids are ignored."""
        with self._lock:
            for identifier in ids:
                if self._gone(identifier):
                    self._changes.leaving.add(identifier)
            # Lost in a power cut, this costs a duplicate, not an event: no need to wait for it.
            self._sync(durable=False)

    def set_aside(self, identifier: int, reason: str) -> None:
        """Keep a message that cannot be sent in the table `damaged`, where a person can find it.

        It is as it was stored, so that its line in the output is not stored again.
        """
        with self._lock:
            before = self.is_incomplete
            self._changes.final.add(identifier)
            self._set_aside({identifier: reason})
            self.is_incomplete = before

    def retry(self) -> None:
        """Write again what the disk rejected, and what was deleted meanwhile.

        The next message may be days away.
        """
        with self._lock:
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
        except (DiskRejects, Unusable) as error:
            self._without_file = True
            self._next_id = AFTER_STORED + time.time_ns() // 1000
            self._rejected(error)
            return SpoolFile(None)

    def _open_sound(self) -> SpoolFile:
        """Open the file; one that cannot be used is set aside and a new one begun."""
        file = open_or_begin(self.path, self.counts, is_counted=self._without_file)
        self.is_incomplete = self.path is not None
        return file

    def _add_totals(self) -> None:
        """Count what an opened file contains, and set aside what is damaged in it."""
        count, size, newest = self._file.totals()
        self._messages += count
        self._bytes += size
        self._next_id = max(self._next_id, newest + 1)
        self._set_aside(self._file.damaged)

    def _return_to_file(self) -> None:
        """Open the file, which may be possible by now; its messages go first."""
        file = self._open_sound()
        self._file.close()
        self._file, self._without_file = file, False
        self._purged_to = 0
        self._add_totals()

    def _follow_path(self) -> None:
        """Write the spool anew where its file was deleted, replaced or cut while it is open."""
        if self._without_file or self._file.is_in_place():
            return
        assert self.path is not None
        try:
            found = write_anew(self._file, self.path)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._begin_anew(error)
            return
        delivered = set(self._changes.leaving)
        self._lose_file()
        self.counts.renewed += 1
        self._return_to_file()
        self._changes.leaving.update(one for one in delivered if self._gone(one))
        text = "spool %s was %s while the node runs; written anew (messages waiting: %d)"
        logger.warning(text, self.path, found, self._messages)

    def _begin_anew(self, error: Exception) -> None:
        """Set a file aside that was damaged while it is open; the output still has its lines."""
        assert self.path is not None
        self._lose_file()
        self.counts.damaged += 1
        aside = set_aside(self.path, Damaged.suffix).name if self.path.exists() else "nothing"
        logger.warning("spool %s is damaged (%s); set aside as %s", self.path, error, aside)
        self._return_to_file()

    def _lose_file(self) -> None:
        """Go on with what is in memory."""
        self._file.close()
        self._file, self._without_file = SpoolFile(None), True
        self._changes.leaving.clear()
        self._changes.aside.clear()
        self._messages = len(self._changes.coming)
        self._bytes = sum(len(row.payload) for row in self._changes.coming.values())

    def _stored(self, after: int, limit: int, without: Collection[str]) -> list[SpoolRow]:
        while True:
            first = max(after, self._purged_to)
            most = limit + len(self._changes.leaving) + len(self._changes.aside)
            try:
                rows, damaged = self._file.rows(first, most, without)
            except sqlite3.Error as error:
                self._rejected(error)
                return []
            if not self._set_aside(damaged):
                return rows

    def _size_of(self, identifier: int) -> int | None:
        try:
            return self._file.size_of(identifier)
        except sqlite3.Error as error:
            self._rejected(error)
            return None

    def _gone(self, identifier: int) -> bool:
        """Count a message as gone; return whether it must still be removed from the file."""
        row = self._changes.coming.pop(identifier, None)
        if identifier in self._changes.leaving or identifier in self._changes.aside:
            return False
        size = len(row.payload) if row is not None else self._size_of(identifier)
        if size is not None:
            self._messages -= 1
            self._bytes -= size
        return row is None and size is not None

    def _set_aside(self, damaged: Mapping[int, str]) -> bool:
        """Set messages aside, except those that are already; return whether there were any."""
        fresh = {one: why for one, why in damaged.items() if self._gone(one)}
        if not fresh:
            return False
        self._changes.aside.update(fresh)
        self.counts.set_aside += len(fresh)
        self.is_incomplete = self.path is not None
        first, why = next(iter(fresh.items()))
        number = f"{len(fresh)} message{'s'[: len(fresh) > 1]}"
        text = f"spool {self.path}: {number} damaged (number {first}: {why}); "
        self._notices.begin("message", text + "set aside in its table `damaged`")
        self._sync(durable=True)
        return True

    def _purge(self) -> None:
        """Drop the oldest until the rest is within bounds; the newest one always stays."""
        while self._messages > 1 and (
            self._messages > self._settings.max_messages or self._bytes > self._settings.max_bytes
        ):
            oldest = next(iter(self.pending(limit=1)), None)
            if oldest is None:
                return
            if self._gone(oldest.id):
                self._changes.leaving.add(oldest.id)
            self._purged_to = oldest.id
            self.counts.purged += 1

    def _sync(self, *, durable: bool) -> None:
        """Write what is only in memory, in one transaction, or leave it for the next attempt."""
        if self._closed:
            return
        full = durable and self._settings.fsync == "always"
        try:
            self._follow_path()
            if not (self._changes or self._without_file):
                return
            if self._without_file:
                self._return_to_file()
            elif self._rejecting:
                self._file.checkpoint()
            self._change(full)
        except (sqlite3.Error, OSError, DiskRejects, Unusable, OutputFileError) as error:
            self._rejected(error)
            return
        self._changes.clear()
        if self._rejecting:
            self._rejecting = False
            self._notices.end("disk", f"spool {self.path} is written again")

    def _change(self, durable: bool) -> None:
        newest = self.newest_key or ""
        try:
            self._file.change(self._changes, newest, durable=durable)
        except sqlite3.OperationalError:
            # On a full disk the log of past transactions still holds space that can be used.
            self._file.checkpoint()
            self._file.change(self._changes, newest, durable=durable)

    def _rejected(self, error: Exception) -> None:
        """Go on in memory; where the file itself is damaged, with a new one."""
        if is_damage(error) and not self._without_file:
            try:
                self._begin_anew(error)
                return
            except (sqlite3.Error, OSError, DiskRejects, Unusable, OutputFileError) as another:
                error = another
        self.counts.disk_errors += 1
        self._rejecting = True
        text = f"spool {self.path}: {reason_of(error)}; messages are kept in memory meanwhile"
        self._notices.begin("disk", text)
