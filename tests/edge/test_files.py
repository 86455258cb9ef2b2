"""Files that are whole or not there: disk full, an error, a kill in between."""

import hashlib
import os
import signal
import subprocess
import sys

import pytest
from eqedge import EqedgeError, reason_of
from eqedge.edge.files import sha256_of, text_lines, unfinished_name, written_whole

from ..support.disks import small_disk

WRITE_SLOWLY = """
import sys, time
from pathlib import Path
from eqedge.edge.files import written_whole
with written_whole(Path(sys.argv[1])) as unfinished:
    unfinished.write_text("half")
    print("half", flush=True)
    time.sleep(600)
"""


def test_a_file_has_its_name_when_it_is_whole(tmp_path):
    """Until the block ends the earlier content is there; afterwards nothing else is."""
    path = tmp_path / "a.prom"
    path.write_text("old")
    with written_whole(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
        assert list(tmp_path.glob("[!.]*")) == [path]
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_earlier_content(tmp_path, error):
    """And no temporary file."""
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(error), written_whole(path) as unfinished:
        unfinished.write_text("half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("durable", [False, True])
def test_a_full_disk_leaves_the_earlier_content(tmp_path, durable):
    """ENOSPC reaches the caller as an OSError; what was written is removed again."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        path = disk / "a.bin"
        path.write_bytes(b"old")
        with (
            pytest.raises(OSError, match="No space left"),
            written_whole(path, durable=durable) as unfinished,
        ):
            unfinished.write_bytes(bytes(2 << 20))
        assert path.read_bytes() == b"old" and list(disk.iterdir()) == [path]


def test_a_kill_leaves_the_earlier_content_and_the_next_write_tidies_up(tmp_path):
    """What is left has the hidden name, which the next write of this path takes over."""
    path = tmp_path / "a.json"
    path.write_text("old")
    command = [sys.executable, "-c", WRITE_SLOWLY, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == sorted([path, unfinished_name(path)])
    with written_whole(path) as unfinished:
        unfinished.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing(tmp_path):
    """The error is that of the write."""
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "no" / "a") as unfinished:
        unfinished.write_text("new")


def test_a_name_that_is_a_folder(tmp_path):
    """The folder stays, and no temporary file."""
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError), written_whole(tmp_path / "a") as unfinished:
        unfinished.write_text("new")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_permissions(tmp_path):
    """Those requested, whatever the umask; without them the umask's."""
    before = os.umask(0o077)
    try:
        for name, mode in (("a", 0o644), ("b", None)):
            with written_whole(tmp_path / name, mode=mode) as unfinished:
                unfinished.write_text("new")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


def test_a_durable_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Fsync of the content, then the rename; no fsync where it is not wanted."""
    done = []
    fsync, rename = os.fsync, os.replace

    def synced(descriptor):
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def renamed(old, new):
        done.append(f"{old} -> {new}")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    path = tmp_path / "a"
    hidden = unfinished_name(path)
    for durable in (True, False):
        with written_whole(path, durable=durable) as unfinished:
            unfinished.write_text("new")
    assert done == [str(hidden), f"{hidden} -> {path}", f"{hidden} -> {path}"]


def test_a_suffix_that_a_writer_insists_on(tmp_path):
    """The temporary name ends with it."""
    with written_whole(tmp_path / "a.weights.h5", suffix=".weights.h5") as unfinished:
        assert unfinished.name == ".a.weights.h5.part.weights.h5"
        unfinished.write_text("new")
    assert (tmp_path / "a.weights.h5").read_text() == "new"


def test_lines_of_text_or_the_callers_error(tmp_path):
    """A file that is not there, or is not text, is named with the reason and the remedy."""
    path = tmp_path / "a.jsonl"
    with pytest.raises(EqedgeError, match=rf"^{path}: No such file or directory; name another$"):
        list(text_lines(path, EqedgeError, "name another"))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(EqedgeError, match=rf"^{path}: not text; name another$"):
        list(text_lines(path, EqedgeError, "name another"))
    path.write_text("1\n\u00e9\n", encoding="utf-8")
    assert list(text_lines(path, EqedgeError, "name another")) == ["1", "\u00e9"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory", "a"), "No such file or directory"),
        (OSError("unable to\nopen"), "unable to"),
        (ValueError(" bad "), "bad"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_reason_is_one_line_and_never_none(error, reason):
    """Libraries raise OSError without the system's text too."""
    assert reason_of(error) == reason


def test_a_file_is_hashed_by_its_content(tmp_path):
    """The name plays no part."""
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_of(path) == hashlib.sha256(b"abc").hexdigest()
