"""Find the picks of a message that have not been published yet; mark late messages."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

from ..types import Message
from .file import to_line

REMEMBERED_EVENTS = 64
"""Events whose published picks are remembered."""


class PickLog:
    """Picks published so far: each is published once, and again if it moves."""

    def __init__(self) -> None:
        """Begin empty."""
        self._times: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def changed_picks(self, message: Message) -> list[Message]:
        """Return a message for each pick that is new or has moved; its id survives a restart."""
        event_id = str(message.get("event_id"))
        known = self._times.pop(event_id, {})
        numbers: dict[str, int] = {}
        news = []
        for pick in message.get("picks", ()):
            phase = str(pick.get("phase"))  # a damaged line may have anything
            numbers[phase] = numbers.get(phase, 0) + 1
            pick_id = f"{event_id}-{phase}{numbers[phase]}"
            if known.get(pick_id) != pick.get("time"):
                head = {name: message[name] for name in PICK_HEAD if name in message}
                kind = "update" if pick_id in known else "new"
                news.append({**head, "type": kind, "pick_id": pick_id, **pick})
                known[pick_id] = pick.get("time")
        if message.get("type") != "end":
            self._times[event_id] = known
            while len(self._times) > REMEMBERED_EVENTS:
                self._times.popitem(last=False)
        return news


PICK_HEAD = (
    *("schema", "event_id", "sequence", "network", "station", "location", "trace_id"),
    "clock",
)
"""Fields that a pick's message copies from its event's, besides `historical`."""


def mark_historical(payload: bytes) -> bytes:
    """Return the message with `historical` set."""
    return to_line({**json.loads(payload), "historical": True})
