"""A file of triggers as a table for people."""

import json

import pytest
from eqedge.edge.tools.events import HEADER, ListingError, last_messages, table


def message(event_id, kind, *picks, **more):
    """A message with what the table needs; picks are (phase, seconds, probability)."""
    return {
        "event_id": event_id,
        "type": kind,
        "trace_id": "XX.EDGE.00",
        "start_time": "2026-01-01T00:00:00.000000Z",
        "picks": [
            {"phase": p, "time_ns": round(s * 1e9), "probability": q, **more} for p, s, q in picks
        ],
    }


def test_each_event_is_listed_once_by_its_last_message():
    """An event's messages become one line with both picks and the state it ended in."""
    lines = [
        json.dumps(message("a", "new", ("P", 10.0, 0.8))),
        json.dumps(message("b", "new", ("S", 90.0, 0.5))),
        json.dumps(message("a", "end", ("P", 10.0, 0.81), ("S", 14.25, 0.7))),
    ]
    header, first, second = table(last_messages(lines, "t.jsonl"))
    assert header == HEADER
    assert first.split()[1:] == ["0.81", "0.70", "4.25s", "end", "XX.EDGE.00"]
    assert second.split()[1:] == ["-", "0.50", "-", "new", "XX.EDGE.00"]


def test_a_simulated_event_names_its_trace():
    """The table shows the place in the simulation, where the picks have it."""
    place = {"sim": {"trace_name": "T_EV", "sample": 700}}
    line = list(table([message("a", "end", ("P", 1.0, 0.9), **place)]))[1]
    assert line.endswith("T_EV @ 700")


@pytest.mark.parametrize("line", ["{", "[]", '{"type": "new"}', "3"])
def test_a_line_that_is_not_a_trigger_is_named(line):
    """The error has its number; nothing is listed."""
    good = json.dumps(message("a", "new", ("P", 1.0, 0.9)))
    with pytest.raises(ListingError, match="line 2 is not a trigger"):
        last_messages([good, line], "t.jsonl")


def test_command(eqedge, tmp_path):
    """The command prints the table, and for a missing file one line, with exit 2."""
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(message("a", "end", ("P", 1.0, 0.9))) + "\n")
    assert "0.90" in eqedge("events", path).stdout
    missing = eqedge("events", tmp_path / "none.jsonl")
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1
