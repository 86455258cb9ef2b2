"""Correct the times of a message that was made before the clock was set."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ..types import Message
from ..utc import utc_ns, utc_text
from .file import to_line

LEAST_MICROSECONDS = 1000
"""A smaller step of UTC is ignored."""
TIMES = ("time", "start_time", "end_time", "peak_time")
"""Fields with UTC as text; the same with `_ns` are nanoseconds."""


def redate(payload: bytes, moved_seconds: float) -> bytes:
    """Return the message with its times moved, if its clock was not synchronised then.

    Args:
        payload: As it was stored.
        moved_seconds: Step of UTC since then, against the monotonic clock.
    """
    moved_us = round(moved_seconds * 1e6)
    if abs(moved_us) < LEAST_MICROSECONDS or b'"synced":false' not in payload:
        return payload
    message = json.loads(payload)
    clock = message.get("clock")
    if not isinstance(clock, dict) or clock.get("synced") is not False:
        return payload
    try:
        return to_line(redated(message, moved_us))
    except (TypeError, ValueError, OverflowError):
        return payload  # a time out of range: better unchanged than not sent


def redated(message: Message, moved_us: int) -> Message:
    """Return the message with all its times moved, and by how much as `redated_s`.

    All other fields, its id and `clock` among them, stay as they were.

    Raises:
        TypeError, ValueError, OverflowError: A time cannot be read or moved.
    """
    return {**_moved(message, moved_us), "redated_s": moved_us / 1e6}


def _moved(value: Any, moved_us: int) -> Any:
    if isinstance(value, list):
        return [_moved(one, moved_us) for one in value]
    if not isinstance(value, dict):
        return value
    moved = {}
    for name, one in value.items():
        if name in TIMES:
            moved[name] = utc_text(utc_ns(datetime.fromisoformat(one)) + moved_us * 1000)
        elif name.removesuffix("_ns") in TIMES:
            moved[name] = one + moved_us * 1000
        else:
            moved[name] = _moved(one, moved_us)
    return moved
