"""Hold what the node publishes about itself over one connection until it is its turn."""

from __future__ import annotations

from collections import deque

from .in_flight import Sent
from .suspects import Suspects


class OwnMessages:
    """Status, info and announcements, each once and in order.

    One at which connections ended is left out for a while, one that arrived without retain because
    of that is published once more, retained: see `Suspects`.

    Args:
        suspects: Messages at which connections ended.
    """

    def __init__(self, suspects: Suspects) -> None:
        self._suspects = suspects
        self._payloads: dict[str, bytes] = {}
        self._waiting: deque[str] = deque()
        self._later: list[str] = []

    def __len__(self) -> int:
        """How many are to be published now."""
        return len(self._waiting)

    @property
    def first(self) -> tuple[str, bytes]:
        """Topic and payload of the next."""
        topic = self._waiting[0]
        return topic, self._payloads[topic]

    def add(self, topic: str, payload: bytes) -> None:
        """Add one at the end, unless one for the same topic waits."""
        self._payloads[topic] = payload
        if topic not in self._waiting:
            self._waiting.append(topic)
        if topic in self._later:
            self._later.remove(topic)

    def take(self) -> None:
        """Remove the next."""
        self._waiting.popleft()

    def leave_for_later(self, topic: str) -> None:
        """Publish this one again when its suspicion permits it."""
        if topic in self._waiting:
            self._waiting.remove(topic)
        if topic not in self._later:
            self._later.append(topic)

    def recall(self) -> None:
        """Add those whose time has come."""
        for topic in [one for one in self._later if self._suspects.is_due(Sent(one))]:
            self.add(topic, self._payloads[topic])
