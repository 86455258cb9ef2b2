"""Find the message at which a broker ends the connection, and leave it out for a while."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .in_flight import Sent

LONGEST_HOLD_SECONDS = 3600.0
"""A message that ended connections is tried again after this long at the latest."""
MOST_SUSPECTS = 1000
"""Suspects that are remembered; beyond this the oldest is forgotten."""
TIMES = 2
"""How often a connection ended at the same message, sent alone, until it is sent without retain,
and one that is not retained is left out. Ended that often at one kind in a row, its suspects are
sent after all others."""
KIND_TIMES = 4
"""How often connections in a row ended at one kind until the kind is left out."""
KIND_TRIES = 3
"""Messages of such a kind that are tried each time its wait is over."""


@dataclass
class Suspicion:
    """What is known of a suspect.

    Attributes:
        ended: Connections that ended while it alone was unanswered, not retained.
        ended_retained: The same, retained.
        until: It is left out until then, monotonic.
        retain_from: It is retained from then on; infinite until it arrived without retain.
    """

    ended: int = 0
    ended_retained: int = 0
    until: float = 0.0
    retain_from: float = 0.0


@dataclass
class Kind:
    """A kind of message of which none arrived since connections ended at it.

    Attributes:
        ended: Connections that ended while one of this kind alone was unanswered.
        since: When the last of them ended, monotonic.
        seconds: It is left out for this long since then.
    """

    ended: int = 0
    since: float = 0.0
    seconds: float = 0.0


class Suspects:
    """Messages that were unanswered when the broker ended a connection; they outlive connections.

    A suspect is sent alone, so that the next end shows whether it was the reason. One at which
    connections end repeatedly is left out, then tried again after growing waits; it is never
    dropped. An answer clears it, and its kind.

    Args:
        retry_seconds: Wait before the first that was left out is tried again; then doubles.
    """

    def __init__(self, retry_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._known: dict[object, Suspicion] = {}
        self._kinds: dict[str, Kind] = {}
        self._rejected_to = 0

    def connection_ended(self, unanswered: Sequence[Sent]) -> Sent | None:
        """Note at which messages a connection ended; return the one that is left out from now."""
        for one in unanswered:
            self._known.setdefault(_key(one), Suspicion())
        while len(self._known) > MOST_SUSPECTS:
            del self._known[next(iter(self._known))]
        if len(unanswered) != 1 or (found := self._find(unanswered[0])) is None:
            return None
        culprit = unanswered[0]
        if culprit.entry is not None:
            self._suspect_kind(culprit.entry.kind)
        if culprit.retained:
            found.ended_retained += 1
            if found.ended_retained >= TIMES:
                found.retain_from = math.inf
            return None
        found.ended += 1
        if found.ended < TIMES:
            return None
        found.until = time.monotonic() + self._wait(found.ended - TIMES)
        return culprit

    def answered(self, sent: Sent) -> None:
        """Clear a message, and its kind, which the broker accepts."""
        if sent.entry is not None:
            self._kinds.pop(sent.entry.kind, None)
        self._known.pop(_key(sent), None)

    def answered_without_retain(self, sent: Sent) -> None:
        """Note that a message arrived that is to be retained, and was not because of suspicion."""
        found = self._find(sent)
        if found is not None and found.retain_from == math.inf:
            found.ended, found.until = 0, 0.0
            found.retain_from = time.monotonic() + self._wait(found.ended_retained - TIMES)

    def is_one(self, sent: Sent) -> bool:
        """Return whether to send this message alone."""
        return self._find(sent) is not None

    def is_last(self, sent: Sent) -> bool:
        """Return whether to send this message of the spool after all that are not suspects."""
        kind = self._kinds.get(sent.entry.kind) if sent.entry is not None else None
        return kind is not None and kind.ended >= TIMES and self.is_one(sent)

    def times(self, sent: Sent) -> int:
        """Return how many connections ended while this message alone was unanswered."""
        found = self._find(sent)
        return 0 if found is None else found.ended

    def holds(self, sent: Sent) -> bool:
        """Return whether to leave this message out now."""
        found = self._find(sent)
        return found is not None and time.monotonic() < found.until

    def retains(self, sent: Sent) -> bool:
        """Return whether this message may be retained now."""
        found = self._find(sent)
        return found is None or time.monotonic() >= found.retain_from

    def is_due(self, sent: Sent) -> bool:
        """Return whether a message that was left out, or not retained, is to be tried again."""
        found = self._find(sent)
        return not self.holds(sent) and (
            found is None or found.retain_from == math.inf or self.retains(sent)
        )

    def held_kinds(self, stored_time: float) -> set[str]:
        """Return the kinds of which no message is sent now.

        Args:
            stored_time: When a message was last stored, monotonic; a new one is tried earlier.
        """
        now = time.monotonic()
        return {
            name
            for name, kind in self._kinds.items()
            if now < kind.since + kind.seconds
            and (stored_time <= kind.since or now < kind.since + self._retry_seconds)
        }

    def describe(self) -> str:
        """Return at what the broker ends connections; empty where at nothing."""
        now = time.monotonic()
        kinds = {name for name, kind in self._kinds.items() if now < kind.since + kind.seconds}
        held = [key for key, one in self._known.items() if now < one.until]
        found = [f"at each {name}" for name in sorted(kinds)]
        found += [f"at {key}" for key in held if isinstance(key, str)]
        events = sum(not isinstance(key, str) for key in held)
        found += [f"at {events} of the messages that wait"] if events else []
        return f"it ends connections {', '.join(found)}: left out for a while" if found else ""

    def is_new(self, identifier: int) -> bool:
        """Return whether no message of the spool from this one on was rejected before."""
        is_new = identifier > self._rejected_to
        self._rejected_to = max(self._rejected_to, identifier)
        return is_new

    def _suspect_kind(self, name: str) -> None:
        kind = self._kinds.setdefault(name, Kind())
        kind.ended += 1
        kind.since, kind.seconds = time.monotonic(), 0.0
        rounds, rest = divmod(kind.ended - KIND_TIMES, KIND_TRIES)
        if rounds >= 0 and rest == 0:
            kind.seconds = self._wait(rounds)

    def _wait(self, times: int) -> float:
        return min(LONGEST_HOLD_SECONDS, self._retry_seconds * 2.0 ** min(times, 30))

    def _find(self, sent: Sent) -> Suspicion | None:
        return self._known.get(_key(sent))


def _key(sent: Sent) -> object:
    return sent.topic if sent.entry is None else sent.entry.id
