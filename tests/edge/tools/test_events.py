"""A file of triggers as a table for people."""

import json

import pytest
from eqedge.edge.tools.events import HEADER, ListingError, _remark, last_messages, table


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
    header, first, second = table(last_messages([line.encode() for line in lines], "t.jsonl")[0])
    assert header == HEADER
    assert first.split()[1:] == ["0.81", "0.70", "4.25s", "end", "XX.EDGE.00"]
    assert second.split()[1:] == ["-", "0.50", "-", "new", "XX.EDGE.00"]


def test_a_simulated_event_names_its_trace():
    """The table shows the place in the simulation, where the picks have it."""
    place = {"sim": {"trace_name": "T_EV", "sample": 700}}
    line = list(table([message("a", "end", ("P", 1.0, 0.9), **place)]))[1]
    assert line.endswith("T_EV @ 700")


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'{"type": "new"}', b"3", b"\xff\xfe\x00", b"[" * 100_000, b'{"picks": [3]}'],
)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_line_that_is_not_a_trigger_is_left_out(line, number):
    """Torn at the end, damaged in the middle: the others are returned, and its number is."""
    lines = [json.dumps(message(e, "new", ("P", 1.0, 0.9))).encode() for e in "ab"]
    lines.insert(number - 1, line)
    found, unreadable = last_messages(lines, "t.jsonl")
    assert [one["event_id"] for one in found] == ["a", "b"] and unreadable == [number]


def test_a_file_whose_last_line_is_torn(eqedge, tmp_path):
    """Its events are listed; what was left out is a warning."""
    path = tmp_path / "t.jsonl"
    lines = [json.dumps(message(e, "new", ("P", 1.0, 0.9))) for e in "abc"]
    path.write_text("\n".join(lines)[:-9])
    done = eqedge("events", path)
    assert done.returncode == 0 and done.stdout.count("0.90") == 2
    remark = "1 line is not a trigger and was left out (line 3)"
    assert done.stderr == f"eqedge: warning: {path}: {remark}\n"


def test_many_lines_that_are_not_triggers():
    """The first five are named, and all are counted."""
    assert _remark("t", range(3, 9)) == (
        "t: 6 lines are not triggers and were left out (line 3, 4, 5, 6, 7, ...)"
    )


def test_nothing_but_other_lines():
    """Such a file is not the output of a run."""
    with pytest.raises(ListingError, match="no line is a trigger; give a file written by"):
        last_messages([b"time,value", b"1,2"], "t.csv")


def test_command(eqedge, tmp_path):
    """The command prints the table, and for a missing file one line, with exit 2."""
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(message("a", "end", ("P", 1.0, 0.9))) + "\n")
    assert "0.90" in eqedge("events", path).stdout
    missing = eqedge("events", tmp_path / "none.jsonl")
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1
