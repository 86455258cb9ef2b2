"""Lines in a file stay whole: full disks, power cuts, rotation, unwritable places."""

import errno
import io
import json
import os
import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from eqedge.edge.delivery.errors import OutputFileError
from eqedge.edge.delivery.file import JsonLines

from tests.support.delivery import numbers
from tests.support.disks import fill, no_new_names, remount, small_disk
from tests.support.limits import file_size_limit


def message(number, **more):
    """Return a message of some length."""
    base = {"type": "new", "event_id": f"e{number}", "sequence": 0}
    return {**base, "network": "XX", "station": "EDGE", "text": "é" * 50, **more}


def test_a_line_a_message(tmp_path):
    """What is written is read back, line by line, while the file is still open."""
    path = tmp_path / "triggers.jsonl"
    sink = JsonLines(path, append=False)
    for number in range(3):
        sink.write(message(number))
        assert [json.loads(line) for line in path.read_text().splitlines()][-1] == message(number)
    sink.close()
    assert numbers(path) == [0, 1, 2]
    assert sink.counts.written == 3


def test_append_goes_on_and_fresh_starts_anew(tmp_path):
    """An earlier run's lines stay with append, and go without."""
    path = tmp_path / "triggers.jsonl"
    for append, expected in ((False, [0]), (True, [0, 1]), (False, [2])):
        sink = JsonLines(path, append=append)
        sink.write(message(expected[-1]))
        sink.close()
        assert numbers(path) == expected


@pytest.mark.parametrize("place", ["missing/triggers.jsonl", "file/triggers.jsonl", "."])
def test_unwritable_output_is_one_clear_error(tmp_path, place):
    """A missing folder, a file as a folder, a folder as a file: named, with the remedy."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFileError, match=r"cannot write .*; give a file") as caught:
        JsonLines(tmp_path / place, append=False)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_read_only_disk_at_the_start(tmp_path, logged):
    """A node goes on and its lines wait; a simulation, which needs a new file, ends."""
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "triggers.jsonl"
        sink = JsonLines(path, append=True)
        sink.write(message(0))
        sink.close()
        remount(disk, "ro")
        with pytest.raises(OutputFileError, match="Read-only"):
            JsonLines(path, append=False)
        sink = JsonLines(path, append=True)
        sink.write(message(1))
        (line,) = logged()
        assert sink.counts.waiting == 1 and "Read-only" in line
        remount(disk, "rw")
        sink.retry()
        assert numbers(path) == [0, 1] and "written again" in logged()[1]
        sink.close()


def test_the_reserve_is_given_back(tmp_path):
    """Space reserved in advance does not stay behind a file that is closed, or rotated away."""
    path = tmp_path / "triggers.jsonl"
    sink = JsonLines(path, append=True, rotate_bytes=4096, keep_files=2)
    for number in range(100):
        sink.write(message(number))
    sink.close()
    for file in (path, tmp_path / "triggers.jsonl.1", tmp_path / "triggers.jsonl.2"):
        assert file.stat().st_blocks * 512 <= 8192


@pytest.mark.parametrize("append", [False, True])
def test_full_disk_keeps_lines_and_never_half_of_one(tmp_path, append, logged):
    """On a full disk lines wait; when space is free again all are there, in order, whole."""
    with small_disk(tmp_path / "disk", "256k") as disk:
        path = disk / "triggers.jsonl"
        sink = JsonLines(path, append=append)
        sink.write(message(0))
        taker = fill(disk)
        for number in range(1, 250):
            sink.write(message(number, text="x" * 300))
            assert path.read_bytes().endswith(b"\n")
        assert 0 < sink.counts.waiting < 249  # what was reserved, or the last page, had room
        assert sink.counts.failed > 0
        (line,) = logged()
        assert "No space left" in line
        taker.unlink()
        sink.retry()
        assert sink.counts.waiting == 0
        assert numbers(path) == list(range(250))
        assert len(logged()) == 2 and "written again" in logged()[1]
        sink.close()


def test_a_limit_that_needs_no_privilege_acts_as_a_full_disk(tmp_path):
    """A file that may not grow: the lines wait, the one cut in half is removed."""
    path = tmp_path / "triggers.jsonl"
    sink = JsonLines(path, append=False)
    with file_size_limit(1000):
        for number in range(10):
            sink.write(message(number))
        assert sink.counts.waiting > 0 and sink.counts.failed > 0
        assert numbers(path) == list(range(sink.counts.written))
    sink.close()
    assert numbers(path) == list(range(10))


def test_memory_for_waiting_lines_is_bounded(tmp_path, monkeypatch):
    """A disk that stays full costs the oldest lines, counted, not the memory."""
    monkeypatch.setattr("eqedge.edge.delivery.file.MAX_WAITING_BYTES", 2000)
    path = tmp_path / "triggers.jsonl"
    sink = JsonLines(path, append=False)
    with file_size_limit(0):
        for number in range(100):
            sink.write(message(number))
    sink.close()
    kept = numbers(path)
    assert kept == list(range(100 - len(kept), 100))
    assert sink.counts.lost == 100 - len(kept) > 80


def test_a_torn_last_line_is_cut_off(tmp_path):
    """Half a line that a power cut left goes; whole lines before it stay."""
    path = tmp_path / "triggers.jsonl"
    path.write_bytes(b'{"event_id":"e0"}\n{"event_id":"e1"}\n{"event_')
    sink = JsonLines(path, append=True)
    sink.write(message(2))
    sink.close()
    assert numbers(path) == [0, 1, 2]
    assert sink.counts.torn == 1


def test_rotation_keeps_so_many_files_and_every_line_until_then(tmp_path):
    """Files are renamed when full, the oldest goes, none is larger than the limit."""
    path = tmp_path / "triggers.jsonl"
    sink = JsonLines(path, append=True, rotate_bytes=1000, keep_files=2)
    for number in range(40):
        sink.write(message(number))
    sink.close()
    files = [tmp_path / f"triggers.jsonl{suffix}" for suffix in (".2", ".1", "")]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(file.stat().st_size <= 1000 for file in files)
    found = [number for file in files for number in numbers(file)]
    assert found == list(range(found[0], 40)) and len(found) > 8


def test_a_folder_that_allows_no_new_names_costs_no_line(tmp_path, logged):
    """The file cannot be rotated: logged once, it grows, and is rotated as soon as it can be."""
    path = tmp_path / "triggers.jsonl"
    path.touch()
    with no_new_names(tmp_path):
        sink = JsonLines(Path("triggers.jsonl"), append=True, rotate_bytes=1000)
        for number in range(40):
            sink.write(message(number))
        assert numbers(Path("triggers.jsonl")) == list(range(40)) and sink.counts.waiting == 0
        assert logged() == [
            "triggers.jsonl cannot be rotated: Permission denied; it grows beyond rotate_bytes"
        ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        sink.write(message(40))
    sink.close()
    assert numbers(tmp_path / "triggers.jsonl.1") == list(range(40)) and numbers(path) == [40]
    assert sink.counts.failed == 0


def test_a_rotation_that_was_cut_short_costs_no_older_file(tmp_path):
    """Where a number is free the files beyond it stay: tried again and again, none falls off."""
    path = tmp_path / "triggers.jsonl"
    path.write_text('{"event_id":"e3"}\n' * 60)
    (tmp_path / "triggers.jsonl.2").write_text('{"event_id":"e2"}\n')
    (tmp_path / "triggers.jsonl.3").write_text('{"event_id":"e1"}\n')
    sink = JsonLines(path, append=True, rotate_bytes=1000, keep_files=3)
    sink.write(message(4))
    sink.close()
    found = [numbers(tmp_path / f"triggers.jsonl{suffix}")[0] for suffix in (".3", ".2", ".1", "")]
    assert found == [1, 2, 3, 4]


def test_a_file_moved_away_is_started_anew(tmp_path):
    """Logrotate may rename the file, or someone may remove it: the next line makes a new one."""
    path = tmp_path / "triggers.jsonl"
    sink = JsonLines(path, append=True)
    sink.write(message(0))
    path.rename(tmp_path / "old")
    sink.write(message(1))
    path.unlink()
    sink.write(message(2))
    sink.close()
    assert numbers(tmp_path / "old") == [0]
    assert numbers(path) == [2]


def test_standard_output_gets_the_lines(monkeypatch):
    """Without a path, lines go to standard output, which stays open."""
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    sink = JsonLines(None, append=False)
    sink.write(message(0))
    sink.close()
    assert json.loads(out.buffer.getvalue()) == message(0)


def test_a_pipe_without_reader_ends_the_run():
    """`eqedge run | head -1`: the run ends, since the rest would have no reader."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", closed)
        sink = JsonLines(None, append=False)
        with pytest.raises(OutputFileError, match="closed by its reader"):
            sink.write(message(0))
        patch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), closed.fileno())


OTHERS = {
    "a note": b"Monday: battery changed\nTuesday: rain, no",
    "a CSV": b"trace_name,p_arrival_sample\na,1\nb,2",
    "a settings file": b'output = "o.jsonl"\n[mqtt]\nhost = "broker"\n',
    "JSON on one line": b'{"name": "x", "values": [1, 2]}',
    "lines of other JSON": b'{"a":1}\n{"a":2}\n{"a":',
    "indented JSON": b'{\n  "event_id": "e1"\n}',
    "bytes": random.Random(7).randbytes(5000),
    "zeros": bytes(3000),
    "one line longer than is read": b'{"values":[' + b"1234567," * 300_000 + b"0]}",
    "such a line with its end": b'{"values":[' + b"1234567," * 300_000 + b"0]}\n",
    "more zeros than are read": b'{"event_id":"e0"}\n' + bytes(2 << 20),
    "events, then a note": b'{"event_id":"e0"}\nseen by the operator, no end of line',
}


@pytest.mark.parametrize("append", [True, False])
@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_of_something_else_is_refused_and_not_touched(tmp_path, kind, append):
    """Neither a live node nor a replay cuts or overwrites what is not its own; one line."""
    path = tmp_path / "notes"
    path.write_bytes(OTHERS[kind])
    with pytest.raises(OutputFileError, match=r"notes: its last line is not an event.*another"):
        JsonLines(path, append=append)
    assert path.read_bytes() == OTHERS[kind]


DAMAGE = {
    "zeros": bytes(900),
    "bytes": random.Random(3).randbytes(700),
    "half a line": b'{"schema":1,"type":"ne',
    "half a line with an end": b'{"schema":1,"type":"ne\n',
    "an empty line": b"\n",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_a_power_cut_leaves_behind_the_last_event_is_not_refused(tmp_path, kind):
    """The events before it stay, and new ones follow on lines of their own."""
    path = tmp_path / "triggers.jsonl"
    path.write_bytes(b'{"event_id":"e0"}\n' + DAMAGE[kind])
    sink = JsonLines(path, append=True)
    sink.write(message(1))
    sink.close()
    lines = path.read_bytes().splitlines()
    assert json.loads(lines[0])["event_id"] == "e0" and json.loads(lines[-1]) == message(1)


def test_damage_is_all_there_is_of_a_file_that_was_begun(tmp_path):
    """The first line of all is torn, or the first one after a rotation is zeros: both are ours."""
    path = tmp_path / "triggers.jsonl"
    path.write_bytes(b'{"schema":1,"type":"new","event')
    JsonLines(path, append=True).close()
    assert path.read_bytes() == b""
    (tmp_path / "triggers.jsonl.1").write_bytes(b'{"event_id":"e0"}\n')
    path.write_bytes(bytes(500))
    JsonLines(path, append=True).close()
    assert path.read_bytes() == b""


def test_a_disk_that_is_read_only_at_the_end_raises_nothing(tmp_path):
    """The reserved space cannot be given back; the lines are in the file all the same."""

    class ReadOnly(io.FileIO):
        def truncate(self, size=None):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    path = tmp_path / "triggers.jsonl"
    sink = JsonLines(path, append=True)
    sink.write(message(0))
    sink._file.close()
    sink._file = file = ReadOnly(path, "r+")
    sink.close()
    assert file.closed and numbers(path) == [0]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path):
    """A whole event without its end of line gets one; nothing is cut."""
    path = tmp_path / "triggers.jsonl"
    path.write_bytes(b'{"event_id":"e0"}\n{"event_id":"e1"}')
    sink = JsonLines(path, append=True)
    sink.write(message(2))
    sink.close()
    assert numbers(path) == [0, 1, 2] and sink.counts.torn == 0


@pytest.mark.parametrize("append", [True, False])
def test_two_processes_never_write_one_file(tmp_path, append):
    """The second is refused with file and remedy, the first goes on, also after a rotation."""
    path = tmp_path / "triggers.jsonl"
    first = JsonLines(path, append=True, rotate_bytes=1000)
    for number in range(10):
        first.write(message(number))
        with pytest.raises(OutputFileError, match=r"triggers\.jsonl is used by another process; "):
            JsonLines(path, append=append)
    assert (tmp_path / "triggers.jsonl.1").exists() and numbers(path)[-1] == 9
    first.close()
    JsonLines(path, append=True).close()


def test_a_foreign_file_in_its_place_costs_no_line(tmp_path, logged):
    """Someone puts another file under the name of the output: it stays, and the lines wait."""
    path = tmp_path / "triggers.jsonl"
    sink = JsonLines(path, append=True)
    path.unlink()
    path.write_text("a note without end")
    sink.write(message(1))
    assert path.read_text() == "a note without end" and sink.counts.waiting == 1
    assert "lines wait in memory" in logged()[-1]
    path.unlink()
    sink.close()
    assert numbers(path) == [1]


@pytest.mark.parametrize("append", [True, False])
def test_a_device_is_an_output_for_any_number(append):
    """`--output /dev/null` writes no file, is not locked and not checked."""
    sinks = [JsonLines(Path("/dev/null"), append=append) for _ in range(2)]
    for sink in sinks:
        sink.write(message(1))
        sink.close()
        assert sink.counts.written == 1


def test_half_a_line_that_cannot_be_cut_off_damages_no_other(tmp_path):
    """In a file that may only grow, on a full disk: the next line begins on a line of its own."""
    path = tmp_path / "triggers.jsonl"
    with closing(JsonLines(path, append=True)) as sink:
        sink.write(message(0))
        if subprocess.run(["chattr", "+a", path], capture_output=True, check=False).returncode:
            pytest.skip("the file system, or this user, has no files that only grow")
        try:
            with file_size_limit(path.stat().st_size + 50):
                sink.write(message(1))
                assert sink.counts.waiting == 1
            sink.write(message(2))
            lines = path.read_bytes().splitlines()
        finally:
            subprocess.run(["chattr", "-a", path], check=True)
    whole = [json.loads(line)["event_id"] for line in (lines[0], *lines[2:])]
    assert whole == ["e0", "e1", "e2"] and len(lines[1]) == 50
