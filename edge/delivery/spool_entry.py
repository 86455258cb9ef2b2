"""Measure how old a message of the spool is, whatever was done to the clock meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .spool_row import SpoolRow

CLOCKS_APART_SECONDS = 0.0002
"""Two clocks read within this are read at the same moment."""


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


class AgeClock:
    """The clocks by which the age of messages is measured.

    Args:
        monotonic: Seconds since the node booted.
        utc: Seconds since 1970 by the node's clock.

    Attributes:
        boot: Id of this boot.
    """

    def __init__(self, monotonic: Callable[[], float], utc: Callable[[], float]) -> None:
        self.boot = _boot_id()
        self._monotonic = monotonic
        self._utc = utc

    def now(self) -> tuple[float, float]:
        """Return monotonic time and UTC of one moment; read again if they were read apart."""
        for _ in range(3):
            monotonic, utc = self._monotonic(), self._utc()
            if self._monotonic() - monotonic < CLOCKS_APART_SECONDS:
                break
        return monotonic, utc

    def entry(self, row: SpoolRow) -> Entry:
        """Return a stored message with its age."""
        same_boot = row.boot == self.boot
        monotonic, utc = self.now()
        by_utc = utc - row.made_unix
        age = monotonic - row.made_monotonic if same_boot else by_utc
        moved = by_utc - age if same_boot else 0.0
        return Entry(row.id, row.kind, row.payload, max(0.0, age), same_boot, moved)


def _boot_id() -> str:
    """Return an id of this boot: monotonic times can be compared only within one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex
