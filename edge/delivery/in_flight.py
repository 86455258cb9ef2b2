"""Track what is in flight over one connection, and what the broker rejects for now."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from .spool import Spool
from .spool_entry import Entry

LONGEST_ASIDE_SECONDS = 3600.0
"""A message that was set aside is tried again within one connection after this long at most."""


@dataclass(frozen=True)
class Sent:
    """A message in flight.

    Attributes:
        topic: Its topic.
        entry: Its place in the spool; None for the node's status and info, which are not kept.
        retained: Sent as a retained message.
    """

    topic: str
    entry: Entry | None = None
    retained: bool = False


@dataclass
class Pause:
    """A kind of message that the broker rejects for now.

    Attributes:
        first_id: The oldest that was rejected.
        since: When it was rejected, monotonic.
        seconds: Until it is tried again.
        holds: It has not been tried again yet.
    """

    first_id: int
    since: float
    seconds: float
    holds: bool = True


class InFlight:
    """Messages sent and not yet answered, the oldest first, and those that are due.

    A kind that is rejected for now waits without holding up other kinds. Its wait doubles from one
    attempt to the next, and is the shortest again after a new message.

    Args:
        spool: Where messages are until the broker has acknowledged them.
        retry_min: Seconds until a rejected kind is tried again; doubles from one to the next.
        retry_max: Longest such wait, seconds.
    """

    def __init__(self, spool: Spool, retry_min: float, retry_max: float) -> None:
        self._spool = spool
        self._retry_min = retry_min
        self._retry_max = retry_max
        self._sent: dict[int, Sent] = {}
        self._waiting_since = 0.0
        self._newest = 0
        self._pauses: dict[str, Pause] = {}
        self._aside: Pause | None = None
        self._without: set[str] = set()

    def add(self, number: int, sent: Sent) -> None:
        """Note a message that was sent under this packet number."""
        if not self._sent:
            self._waiting_since = time.monotonic()
        self._sent[number] = sent

    def take(self, number: int) -> Sent | None:
        """Return and forget the message of this packet number; None if there is none."""
        if number == next(iter(self._sent), None):
            self._waiting_since = time.monotonic()
        return self._sent.pop(number, None)

    @property
    def waiting_seconds(self) -> float:
        """How long the next answer has been due: brokers answer in order; 0 while none is due."""
        return time.monotonic() - self._waiting_since if self._sent else 0.0

    @property
    def unanswered(self) -> list[Sent]:
        """The messages in flight, the oldest first."""
        return list(self._sent.values())

    def has_due(self, without: Collection[str] = ()) -> bool:
        """Return whether a message of the spool is in flight, or could be sent if there was room.

        Args:
            without: Kinds that are left out.
        """
        if any(sent.entry is not None for sent in self._sent.values()):
            return True
        held = {kind for kind, pause in self._pauses.items() if pause.holds} | set(without)
        return bool(self._spool.pending(self._newest, 1, without=held))

    def due(self, room: int, stored_time: float, without: Collection[str] = ()) -> list[Entry]:
        """Return the messages to be sent now, in order.

        Args:
            room: At most this many.
            stored_time: When a message was last stored, monotonic.
            without: Kinds that are left out; one that no longer is begins with its oldest again.
        """
        if not self._without <= set(without):
            self.rewind(0)
        self._without = set(without)
        for pause in self._pauses.values():
            if pause.holds and self._is_over(pause, stored_time):
                pause.holds = False
                self.rewind(pause.first_id)
        aside = self._aside
        if aside is not None and aside.holds and time.monotonic() - aside.since >= aside.seconds:
            aside.holds = False
            self.rewind(aside.first_id)
        held = {kind for kind, pause in self._pauses.items() if pause.holds} | self._without
        flying = {sent.entry.id for sent in self._sent.values() if sent.entry is not None}
        found = self._spool.pending(self._newest, room + len(flying), without=held) if room else []
        due = [entry for entry in found if entry.id not in flying][:room]
        if due:
            self._newest = due[-1].id
        return due

    def rewind(self, identifier: int) -> None:
        """Return this message, and those after it that wait, by `due` again."""
        self._newest = min(self._newest, identifier - 1)

    def set_aside(self, entry: Entry) -> None:
        """Leave this message in the spool and go on with others; it is tried again much later."""
        aside = self._aside
        if aside is not None and aside.holds:
            aside.first_id = min(aside.first_id, entry.id)
            return
        seconds = min(LONGEST_ASIDE_SECONDS, 2 * aside.seconds) if aside else self._retry_max
        self._aside = Pause(entry.id, time.monotonic(), seconds)

    def postpone(self, entry: Entry) -> None:
        """Note that the broker rejects it for now: its kind waits."""
        pause = self._pauses.get(entry.kind)
        if pause is not None and pause.holds:
            pause.first_id = min(pause.first_id, entry.id)
            return
        seconds = min(self._retry_max, 2 * pause.seconds) if pause else self._retry_min
        self._pauses[entry.kind] = Pause(entry.id, time.monotonic(), seconds)

    def accept(self, entry: Entry) -> bool:
        """Note that the broker accepted it; return whether it had rejected this kind before."""
        pause = self._pauses.pop(entry.kind, None)
        if pause is not None and pause.holds:
            self.rewind(pause.first_id)
        return pause is not None

    def _is_over(self, pause: Pause, stored_time: float) -> bool:
        passed = time.monotonic() - pause.since
        return passed >= (self._retry_min if stored_time > pause.since else pause.seconds)
