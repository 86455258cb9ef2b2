"""The newest lines that an earlier run left in an output, whole or torn, rotated or not."""

import json
import os

from eqedge.edge.delivery.history import RECENT_BYTES, message_of, recent_lines


def test_recent_lines_are_whole_and_in_order(tmp_path):
    """FILE.1, then FILE, without the half line of a power cut; right after a rotation FILE.1."""
    path, older = tmp_path / "triggers.jsonl", tmp_path / "triggers.jsonl.1"
    assert recent_lines(path) == []
    older.write_bytes(b"one\ntwo\n")
    assert recent_lines(path) == [b"one", b"two"]
    path.write_bytes(b"three\nfour\nfi")
    assert recent_lines(path) == [b"one", b"two", b"three", b"four"]


def test_recent_lines_are_bounded(tmp_path):
    """Of a large output only the end is read, from the first whole line on."""
    path, older = tmp_path / "triggers.jsonl", tmp_path / "triggers.jsonl.1"
    lines = [b"%06d" % number + b"x" * 993 for number in range(800)]
    older.write_bytes(b"\n".join(lines) + b"\n")
    path.write_bytes(b"\n".join(lines) + b"\n")
    found = recent_lines(path)
    assert found == (lines + lines)[-len(found) :]
    assert RECENT_BYTES - 1000 <= sum(len(line) + 1 for line in found) <= RECENT_BYTES
    path.write_bytes(b"\n".join(lines + lines) + b"\n")
    assert recent_lines(path) == found


def test_a_pipe_is_not_waited_for(tmp_path):
    """An output that is a pipe holds nothing of an earlier run."""
    os.mkfifo(tmp_path / "triggers.jsonl")
    assert recent_lines(tmp_path / "triggers.jsonl") == []


def test_only_messages_count():
    """A line that is not JSON, or not an event, is ignored."""
    assert message_of(json.dumps({"event_id": "e1"}).encode()) == {"event_id": "e1"}
    for line in (b"", b"rubbish", b"\xff", b"[1]", b"{}"):
        assert message_of(line) is None
