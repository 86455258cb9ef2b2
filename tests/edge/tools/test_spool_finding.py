"""`eqedge doctor` looks into the spool without changing it, and at files with secrets."""

import json
import os
import sqlite3

import pytest
from eqedge.edge.delivery.spool import Spool
from eqedge.edge.settings.delivery import MqttSettings
from eqedge.edge.settings.node import Settings
from eqedge.edge.tools import places
from eqedge.edge.tools.finding import as_text
from eqedge.edge.tools.places import places as checked
from eqedge.edge.tools.spool_finding import spool_checks

DAY = 86_400.0


@pytest.fixture
def output(tmp_path):
    """A node's file of triggers."""
    return tmp_path / "t.jsonl"


def spool_of(output, count, *, age=0.0):
    """Write a spool with this many messages, made this many seconds ago."""
    import time

    path = output.with_name("t.jsonl.spool")
    spool = Spool(path, utc=lambda: time.time() - age)
    for number in range(count):
        spool.put([("event", json.dumps({"number": number}).encode())], key=str(number))
    return path, spool


def only(output, health=None):
    """Return the one finding."""
    (check,) = spool_checks(output, health)
    return check


def test_without_a_spool_there_is_no_finding(output):
    """A node that has never run."""
    assert list(spool_checks(output, None)) == []


@pytest.mark.parametrize("count", [0, 1, 40])
def test_what_waits_is_counted_and_nothing_changed(output, count):
    """How many, and the age of the oldest; every file stays as it was, byte for byte."""
    path, spool = spool_of(output, count, age=3 * DAY)
    spool.close()
    before = {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in path.parent.iterdir()}
    check = only(output)
    after = {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in path.parent.iterdir()}
    assert before == after
    assert check.good and not check.warns and "is sound" in check.finding
    expected = {0: "nothing waits", 1: "1 message waiting", 40: "40 messages waiting"}[count]
    assert expected in check.finding
    assert ("(3 days ago)" in check.finding) == bool(check.remedy) == bool(count)


def test_what_a_kill_left_in_the_log_is_seen(output):
    """The newest messages are in SQLite's log, which a killed node leaves behind."""
    path, spool = spool_of(output, 7)
    copy = output.with_name("copy.jsonl")
    for end in ("", "-wal"):
        data = path.with_name(path.name + end).read_bytes()
        copy.with_name(f"copy.jsonl.spool{end}").write_bytes(data)
    spool.close()
    assert "7 messages waiting" in only(copy).finding


def test_a_spool_in_use_is_not_opened(output, tmp_path):
    """The running node keeps it; what its health has on it is quoted, if there is any."""
    _, spool = spool_of(output, 3)
    pid = os.fork()  # locks are those of a process
    if pid == 0:
        status = 1
        try:
            health = tmp_path / "health.json"
            bare = only(output, health)
            health.write_text(json.dumps({"spool_messages": 3, "spool_oldest_seconds": 7300.0}))
            full = only(output, health)
            good = bare.good and full.good and "a running node uses" in bare.finding
            status = int(
                not (good and "3 messages waiting, the oldest for 2 hours" in full.finding)
            )
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    spool.put([("event", b"{}")], key="after")
    assert len(spool) == 4
    spool.close()


def overwritten(path):
    """Damage pages in the middle, and nothing of the header."""
    data = bytearray(path.read_bytes())
    data[4096:12288] = b"\xff" * 8192
    path.write_bytes(bytes(data))


def cut(path):
    """Keep the first page and a half."""
    path.write_bytes(path.read_bytes()[:6000])


def zeroed(path):
    """Lose the header, as after a power cut."""
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])


@pytest.mark.parametrize("damage", [overwritten, cut, zeroed])
def test_a_damaged_spool_is_found(output, damage):
    """It fails, with what the node will do about it."""
    path, spool = spool_of(output, 60)
    spool.close()
    damage(path)
    check = only(output)
    assert not check.good and "is damaged" in check.finding
    assert "sets it aside at its start" in check.remedy


def test_other_files_and_newer_spools_are_named(output):
    """A database of something else, one of a later version, and an empty one."""
    path, spool = spool_of(output, 1)
    spool.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    assert "newer eqedge" in only(output).finding and not only(output).good
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE other (x)")
    database.close()
    assert "not a spool" in only(output).finding and not only(output).good
    path.write_bytes(b"")
    assert only(output).good


def test_messages_and_spools_set_aside_are_counted(output):
    """A payload that was changed, a table of damaged messages, and files beside the spool."""
    path, spool = spool_of(output, 5)
    spool.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE message SET payload = x'7b22' WHERE id = 2")
        columns = "id INTEGER PRIMARY KEY, message INTEGER, kind, payload, boot, made_monotonic, "
        columns += "made_unix, reason TEXT, set_aside_unix REAL"
        database.execute(f"CREATE TABLE IF NOT EXISTS damaged ({columns})")
        database.execute("INSERT INTO damaged (message, reason) VALUES (9, 'x'), (10, 'y')")
    database.close()
    for name in (".damaged", ".damaged-wal", ".newer-2"):
        path.with_name(path.name + name).write_bytes(b"x")
    inside, beside = spool_checks(output, None)
    assert inside.warns and "5 messages waiting" in inside.finding
    assert "2 set aside, 1 damaged" in inside.finding
    assert beside.warns and "t.jsonl.spool.damaged, t.jsonl.spool.newer-2" in beside.finding
    assert as_text(beside, 16).startswith("warn  spool")


# -- secrets -----------------------------------------------------------------------------------


def secret(path, mode, name="credentials_file"):
    """Return the finding about a file of this mode."""
    if mode is not None:
        path.write_text("hill\nsecret\n")
        path.chmod(mode)
    more = {"certificate_file": str(path), "tls": True} if name == "key_file" else {}
    settings = Settings(mqtt=MqttSettings("127.0.0.1", **{name: str(path)}, **more))
    return {check.name: check for check in checked(settings)}[name]


@pytest.mark.parametrize("name", ["credentials_file", "key_file"])
def test_a_secret_that_others_can_read_is_a_warning(tmp_path, name):
    """With the command that mends it, and without what is in the file."""
    path = tmp_path / "secret"
    for mode, who in ((0o644, "everyone"), (0o602, "everyone"), (0o640, "its group")):
        check = secret(path, mode, name)
        assert check.good and check.warns and f"open to {who}" in check.finding
        assert check.remedy == f"chmod 600 {path}" and "hill" not in check.finding
    os.chmod(path, 0o600)
    check = secret(path, 0o400, name)
    assert check.good and not check.warns


def test_a_secret_that_is_missing_fails(tmp_path, monkeypatch):
    """Unless systemd makes it when it starts the service."""
    path = tmp_path / "mqtt"
    assert not secret(path, None).good and "No such file" in secret(path, None).finding
    monkeypatch.setattr(places, "CREDENTIALS", tmp_path)
    assert secret(path, None).good and "systemd makes" in secret(path, None).finding
