"""`eqedge events`: print a file of triggers as a table, a line for each event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from ... import EqedgeError
from ..files import text_lines
from ..types import Message

HEADER = f"{'EVENT (first pick, UTC)':27} {'P':>6} {'S':>6} {'S-P':>7}  {'STATE':6} WHERE"


class ListingError(EqedgeError):
    """The file cannot be listed."""


def last_messages(lines: Iterable[str], name: str) -> list[Message]:
    """Return the last message of each event, in the order in which the events began.

    Raises:
        ListingError: A line is not a trigger.
    """
    events: dict[str, Message] = {}
    for number, line in enumerate(lines, start=1):
        try:
            message = json.loads(line)
            events[message["event_id"]] = message
        except (ValueError, KeyError, TypeError) as error:
            raise ListingError(
                f"{name}: line {number} is not a trigger; give a file written by eqedge run"
            ) from error
    return list(events.values())


def table(events: Iterable[Message]) -> Iterator[str]:
    """Yield a header, then first pick, probabilities, S minus P, state and place of each event."""
    yield HEADER
    for event in events:
        picks = {pick["phase"]: pick for pick in event["picks"]}
        shares = [f"{picks[p]['probability']:6.2f}" if p in picks else f"{'-':>6}" for p in "PS"]
        separation = f"{'-':>7}"
        if len(picks) == 2:
            separation = f"{(picks['S']['time_ns'] - picks['P']['time_ns']) / 1e9:6.2f}s"
        sim = event["picks"][0].get("sim")
        where = f"{sim['trace_name']} @ {sim['sample']}" if sim else event["trace_id"]
        yield f"{event['start_time']:27} {' '.join(shares)} {separation}  {event['type']:6} {where}"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def events(file: Path) -> None:
    """List the events in FILE, a JSON-lines file written by `eqedge run`.

    P and S are the probabilities of the picks; STATE is the type of the event's last message.
    """
    lines = text_lines(file, ListingError, "give a file written by eqedge run")
    click.echo("\n".join(table(last_messages(lines, str(file)))))
