"""Find the lines of the output that the spool does not know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..message import Node
from ..types import Message
from .file import to_line
from .history import all_lines, is_live, message_of
from .spool import Spool
from .spool_row import line_hash


@dataclass(frozen=True)
class Line:
    """A line of the output.

    Attributes:
        message: What it contains.
        hash: Its `line_hash`.
    """

    message: Message
    hash: int


def unknown_lines(path: Path, spool: Spool, node: Node) -> Iterator[Line]:
    """Yield the node's own live events in the output that were never stored, the oldest first.

    In which order file and spool lost what they lack does not matter: each line is looked up. An
    older eqedge did not note the lines that it stored; those to the newest one are then known.

    Args:
        path: Output.
        spool: Knows the lines that were stored; those of an older eqedge are noted in it.
        node: Whose events are meant, not those of a replay or of another node in the same file.
    """
    known = spool.known_lines()
    if known is None:
        return
    older = _lines_of_older(path, spool.older_newest)
    spool.know(older - known)
    known |= older
    for line in all_lines(path):
        number = line_hash(line)
        if number in known:
            continue
        known.add(number)
        message = message_of(line)
        is_own = message is not None and is_live(message) and node.sent(message)
        if message is not None and is_own and _is_publishable(message):
            yield Line(message, number)


def key_of(message: Message) -> str:
    """Return what identifies a line for an older eqedge."""
    return f"{message.get('event_id')} {message.get('sequence')}"


def _is_publishable(message: Message) -> bool:
    """Whether it can be published: a line may be damaged and JSON all the same."""
    picks = message.get("picks", ())
    try:
        to_line(message)
    except (ValueError, RecursionError):  # NaN, half a surrogate pair
        return False
    return isinstance(picks, list | tuple) and all(isinstance(pick, dict) for pick in picks)


def _lines_of_older(path: Path, newest: str | None) -> set[int]:
    """Return the hashes of all lines to the newest one that an older eqedge stored."""
    if newest is None:
        return set()
    seen: set[int] = set()
    stored: set[int] = set()
    for line in all_lines(path):
        seen.add(line_hash(line))
        message = message_of(line)
        if message is not None and key_of(message) == newest:
            stored |= seen
            seen.clear()
    return stored
