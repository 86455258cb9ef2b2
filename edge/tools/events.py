"""`eqedge events`: print a file of triggers as a table, a line for each event."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from ... import EqedgeError
from ..files import byte_lines
from ..types import Message

HEADER = f"{'EVENT (first pick, UTC)':27} {'P':>6} {'S':>6} {'S-P':>7}  {'STATE':6} WHERE"
SHOWN_LINES = 5
"""So many numbers of lines that are left out are printed."""

logger = logging.getLogger(__name__)


class ListingError(EqedgeError):
    """The file cannot be listed."""


def last_messages(lines: Iterable[bytes], name: str) -> tuple[list[Message], list[int]]:
    """Return the last message of each event, in the order in which the events began.

    Args:
        lines: Of the file.
        name: Of the file.

    Returns:
        The messages, and the numbers of the lines that are none: torn, or damaged.

    Raises:
        ListingError: There are lines, and not one is a message.
    """
    events: dict[str, Message] = {}
    unreadable = []
    for number, line in enumerate(lines, start=1):
        try:
            message = json.loads(line)
            _row(message)
            events[message["event_id"]] = message
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            if line:
                unreadable.append(number)
    if unreadable and not events:
        raise ListingError(f"{name}: no line is a trigger; give a file written by eqedge run")
    return list(events.values()), unreadable


def table(events: Iterable[Message]) -> Iterator[str]:
    """Yield a header, then first pick, probabilities, S minus P, state and place of each event."""
    yield HEADER
    yield from map(_row, events)


def _row(event: Message) -> str:
    picks = {pick["phase"]: pick for pick in event["picks"]}
    shares = [f"{picks[p]['probability']:6.2f}" if p in picks else f"{'-':>6}" for p in "PS"]
    separation = f"{'-':>7}"
    if len(picks) == 2:
        separation = f"{(picks['S']['time_ns'] - picks['P']['time_ns']) / 1e9:6.2f}s"
    sim = event["picks"][0].get("sim")
    where = f"{sim['trace_name']} @ {sim['sample']}" if sim else event["trace_id"]
    return f"{event['start_time']:27} {' '.join(shares)} {separation}  {event['type']:6} {where}"


def _remark(name: str, unreadable: Sequence[int]) -> str:
    """Return how many lines were left out, and the first of them."""
    shown = ", ".join(map(str, unreadable[:SHOWN_LINES]))
    more = ", ..." if len(unreadable) > SHOWN_LINES else ""
    count = len(unreadable)
    lines = "line is not a trigger and was" if count == 1 else "lines are not triggers and were"
    return f"{name}: {count} {lines} left out (line {shown}{more})"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def events(file: Path) -> None:
    """List the events in FILE, an output of `eqedge run`.

    P and S are the probabilities of the picks; STATE is the type of the event's last message.
    Lines that are torn or damaged are counted and left out.
    """
    lines = byte_lines(file, ListingError, "give a file written by eqedge run")
    found, unreadable = last_messages(lines, str(file))
    click.echo("\n".join(table(found)))
    if unreadable:
        logger.warning("%s", _remark(str(file), unreadable))
