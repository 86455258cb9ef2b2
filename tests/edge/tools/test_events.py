"""A file of triggers as people read it."""

import json

import pytest
from eqedge.edge.tools.events import HEADER, ListingError, last_words, table


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


def test_each_event_is_listed_once_by_its_last_word():
    """An event's messages become one line with both picks and the state it ended in."""
    lines = [
        json.dumps(message("a", "new", ("P", 10.0, 0.8))),
        json.dumps(message("b", "new", ("S", 90.0, 0.5))),
        json.dumps(message("a", "end", ("P", 10.0, 0.81), ("S", 14.25, 0.7))),
    ]
    header, first, second = table(last_words(lines, "t.jsonl"))
    assert header == HEADER
    assert first.split()[1:] == ["0.81", "0.70", "4.25s", "end", "XX.EDGE.00"]
    assert second.split()[1:] == ["-", "0.50", "-", "new", "XX.EDGE.00"]


def test_a_simulated_event_names_its_trace():
    """Where picks carry their place in a simulation the table shows it."""
    place = {"sim": {"trace_name": "T_EV", "sample": 700}}
    line = list(table([message("a", "end", ("P", 1.0, 0.9), **place)]))[1]
    assert line.endswith("T_EV @ 700")


@pytest.mark.parametrize("line", ["{", "[]", '{"type": "new"}', "3"])
def test_what_is_no_trigger_is_named_by_its_line(line):
    """A foreign line is named with its number, not half understood."""
    good = json.dumps(message("a", "new", ("P", 1.0, 0.9)))
    with pytest.raises(ListingError, match="line 2 is no trigger"):
        last_words([good, line], "t.jsonl")


def test_command(eqedge, tmp_path):
    """The command prints the table, and one line with exit 2 for a file that is not there."""
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(message("a", "end", ("P", 1.0, 0.9))) + "\n")
    assert "0.90" in eqedge("events", path).stdout
    refused = eqedge("events", tmp_path / "none.jsonl")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
