"""Find the message at which a broker ends the connection, and leave it out for a while."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from .in_flight import Sent

LONGEST_HOLD_SECONDS = 3600.0
"""A message that ended connections is tried again after this long at the latest."""
MOST_SUSPECTS = 1000
"""Suspects that are remembered; beyond this the oldest is forgotten."""
WITHOUT_RETAIN, HELD = 2, 4
"""How often a connection ended at the same message, sent alone, until it is sent without retain,
and until it is left out. A message that is not retained is left out at the first number."""


@dataclass
class Suspicion:
    """What is known of a suspect.

    Attributes:
        ended: Connections that ended while it alone was unanswered.
        until: It is left out until then, monotonic.
    """

    ended: int = 0
    until: float = 0.0


class Suspects:
    """Messages that were unanswered when the broker ended a connection; they outlive connections.

    A suspect is sent alone, so that the next end shows whether it was the reason. One at which
    connections end repeatedly is left out, then tried again after growing waits; it is never
    dropped. An answer clears it.

    Args:
        retry_seconds: Wait before the first that was left out is tried again; then doubles.
    """

    def __init__(self, retry_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._known: dict[object, Suspicion] = {}
        self._accepted_kinds: set[str] = set()
        self._rejected_to = 0

    def connection_ended(self, unanswered: Sequence[Sent]) -> Sent | None:
        """Note at which messages a connection ended; return the one that is left out from now."""
        for one in unanswered:
            self._known.setdefault(self._key(one), Suspicion())
        while len(self._known) > MOST_SUSPECTS:
            del self._known[next(iter(self._known))]
        if len(unanswered) != 1:
            return None
        culprit = unanswered[0]
        found = self._known[self._key(culprit)]
        found.ended += 1
        limit = HELD if culprit.retained else WITHOUT_RETAIN
        if found.ended < limit:
            return None
        seconds = self._retry_seconds * 2.0 ** min(found.ended - limit, 30)
        found.until = time.monotonic() + min(LONGEST_HOLD_SECONDS, seconds)
        return culprit

    def answered(self, sent: Sent) -> None:
        """Clear a message, and its kind, which the broker accepts."""
        if sent.entry is not None:
            self._accepted_kinds.add(sent.topic)
            self._known.pop(sent.entry.id, None)
        self._known.pop(sent.topic, None)

    def is_one(self, sent: Sent) -> bool:
        """Return whether to send this message alone."""
        return self._find(sent) is not None

    def holds(self, sent: Sent) -> bool:
        """Return whether to leave this message out now."""
        found = self._find(sent)
        return found is not None and time.monotonic() < found.until

    def retains(self, sent: Sent) -> bool:
        """Return whether this message may be retained."""
        found = self._find(sent)
        return found is None or found.ended < WITHOUT_RETAIN

    def is_new(self, identifier: int) -> bool:
        """Return whether no message of the spool from this one on was rejected before."""
        is_new = identifier > self._rejected_to
        self._rejected_to = max(self._rejected_to, identifier)
        return is_new

    def _find(self, sent: Sent) -> Suspicion | None:
        found = self._known.get(sent.topic)
        if found is None and sent.entry is not None:
            found = self._known.get(sent.entry.id)
        return found

    def _key(self, sent: Sent) -> object:
        """A kind of which none was ever accepted is suspected whole."""
        if sent.entry is None or sent.topic not in self._accepted_kinds:
            return sent.topic
        return sent.entry.id
