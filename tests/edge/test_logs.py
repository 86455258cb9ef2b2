"""The log: levels, one line a message, priorities for journald, a disk that is full."""

import io
import logging
import os
import subprocess
import sys

import pytest
from eqedge.edge import logs

logger = logging.getLogger("eqedge.edge.test")


@pytest.fixture(autouse=True)
def restored():
    """Leave the package's logger as it was."""
    root = logging.getLogger(logs.ROOT)
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_levels_below_the_chosen_one_are_left_out(capsys):
    """Information has no prefix of its own; warnings and errors name their level."""
    logs.configure("info")
    logger.debug("detail")
    logger.info("started")
    logger.warning("port lost")
    logger.error("no disk")
    expected = "eqedge: started\neqedge: warning: port lost\neqedge: error: no disk\n"
    captured = capsys.readouterr()
    assert captured.err == expected and captured.out == ""
    logs.configure("error")
    logger.warning("port lost")
    logger.error("no disk")
    assert capsys.readouterr().err == "eqedge: error: no disk\n"


def test_a_second_configuration_replaces_the_first(capsys):
    """No line comes twice."""
    for _ in range(3):
        logs.configure()
    logger.info("once")
    assert capsys.readouterr().err == "eqedge: once\n"


def test_a_message_is_one_line_whatever_it_quotes(capsys):
    """Text from a device or a library may have line breaks."""
    logs.configure()
    logger.warning("broker: %s", "first\nsecond\r\nthird")
    assert capsys.readouterr().err == "eqedge: warning: broker: first second third\n"


def test_a_terminal_obeys_nothing_that_is_quoted(capsys):
    """Names of traces and of sensors come from outside: colours, bells, cut letters."""
    logs.configure()
    logger.warning("trace %s: %s", "A\x1b[31mB\x07", "Málaga \x9b")
    logs.write_last("trace C\x1b[2J\nD \udcff")
    error = capsys.readouterr().err
    assert error == (
        "eqedge: warning: trace A\\x1b[31mB\\x07: Málaga \\x9b\neqedge: trace C\\x1b[2J D \\udcff\n"
    )


def test_journald_reads_priorities(tmp_path, monkeypatch):
    """Where standard error is the stream that systemd named, and only there."""
    path = tmp_path / "journal"
    with path.open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        status = os.fstat(stream.fileno())
        logs.configure("debug", {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logger.log(level, "x")
        logs.configure("info", {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
        logger.warning("redirected")
    assert path.read_text().splitlines() == [
        "<7>eqedge: x",
        "<6>eqedge: x",
        "<4>eqedge: x",
        "<3>eqedge: x",
        "eqedge: warning: redirected",
    ]


def test_the_last_line_is_an_error_for_journald(tmp_path):
    """The line that names why a node ended has the priority of an error, and exit status 2."""
    path = tmp_path / "journal"
    with path.open("w") as stream:
        status = os.fstat(stream.fileno())
        named = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        command = [sys.executable, "-m", "eqedge", "run", "--serial", "/dev/ttyNONE"]
        done = subprocess.run(command, stderr=stream, env={**os.environ, **named}, check=False)
    last = path.read_text().splitlines()[-1]
    assert done.returncode == 2 and last.startswith("<3>eqedge: port /dev/ttyNONE: there is no")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has /dev/full")
def test_a_full_disk_ends_nothing(monkeypatch):
    """The line is lost, the program goes on; a closed stream, or none at all, is the same."""
    full = open("/dev/full", "w", buffering=1)  # noqa: SIM115  (closing it fails too)
    monkeypatch.setattr(sys, "stderr", full)
    logs.configure("info", {})
    logger.info("lost")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    logger.info("lost too")
    monkeypatch.setattr(sys, "stderr", None)
    logs.configure("info", {"JOURNAL_STREAM": "1:2"})
    logger.warning("lost as well: %s", "port")
    with pytest.raises(OSError, match="No space"):
        full.close()


def test_a_subject_that_changes_often_is_logged_a_few_times_an_hour(caplog):
    """Each change once; the last line states that more are left out; an hour later it goes on."""
    now = [0.0]
    changes = logs.Changes(logger, monotonic=lambda: now[0])
    caplog.set_level(logging.INFO, logger="eqedge")
    for number in range(50):
        changes.note(logging.WARNING, f"state {number // 2}")
    assert len(caplog.messages) == logs.MOST_CHANGES
    assert caplog.messages[:2] == ["state 0", "state 1"]
    assert caplog.messages[-1].endswith("further changes within the hour are not logged)")
    now[0] += logs.CHANGES_SECONDS + 1
    changes.note(logging.INFO, "well again")
    assert caplog.messages[-1] == "well again"
