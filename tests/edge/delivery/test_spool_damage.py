"""Spools with damaged bits, odd rows, of older and newer versions: all that can be read leaves."""

import json
import random
import sqlite3
from contextlib import closing

import pytest
from eqedge.edge.delivery.file import to_line
from eqedge.edge.delivery.spool import Spool
from eqedge.edge.delivery.spool_file import KEPT_DAMAGED
from eqedge.edge.settings.delivery import SpoolSettings
from eqedge.firmware_bridge.measured import reasons

from tests.support.broker import Broker, wait_until
from tests.support.delivery import event, ids, running, settings_for

NEVER = SpoolSettings(fsync="never")


def filled(path, count=6):
    """Leave a spool of an earlier run with so many events; return their payloads."""
    spool = Spool(path, NEVER)
    payloads = [to_line(event(number)) for number in range(count)]
    for number, payload in enumerate(payloads):
        spool.put([("event", payload)], key=str(number), line=number + 1)
    spool.close()
    return payloads


def change(path, statement, *values):
    """Change the file as damage or another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(statement, values)


def rows(path, table):
    """Return all rows of a table."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT * FROM {table}").fetchall()


@pytest.mark.parametrize("seed", range(5))
def test_one_damaged_bit_costs_one_message(tmp_path, seed, logged):
    """It is set aside, counted and logged once; the others arrive, and the next run has no work."""
    path = tmp_path / "spool.db"
    rng = random.Random(seed)
    payloads = filled(path)
    number = rng.randrange(6)
    harmed = bytearray(payloads[number])
    harmed[rng.randrange(len(harmed))] ^= 1 << rng.randrange(8)
    change(path, "UPDATE message SET payload = ? WHERE id = ?", bytes(harmed), number + 1)
    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        for _ in range(2):
            with running(settings_for(broker), path) as node:
                wait_until(lambda: len(node.spool) == 0)
                assert node.sink.counts.failures == 0
        received.wait_for(lambda got: len(got.json("event")) == 5)
    assert ids(received.json("event")) == [one for one in range(6) if one != number]
    assert len(logged("set aside in its table")) == 1
    ((_, message, kind, payload, *_, reason, _),) = rows(path, "damaged")
    assert (message, kind, bytes(payload)) == (number + 1, "event", bytes(harmed))
    assert reason == "its checksum differs"


def test_damage_while_the_node_runs_is_found_when_the_message_is_due(tmp_path, logged):
    """Messages are checked each time they are read, not only at the start."""
    spool = Spool(tmp_path / "spool.db", NEVER)
    for number in range(4):
        spool.put([("event", to_line(event(number)))], line=number + 1)
    spool._file._database.execute("UPDATE message SET payload = 'x' || payload WHERE id IN (2, 3)")
    assert [entry.id for entry in spool.pending(limit=2)] == [1, 4]
    assert spool.counts.set_aside == 2 and len(spool) == 2 and spool.is_incomplete
    assert spool.known_lines() == {1, 4}
    assert len(logged("1 message damaged (number 2: its checksum differs); set aside")) == 1
    spool.close()


def test_a_message_that_cannot_be_prepared_is_set_aside(tmp_path):
    """Its checksum is right, but it cannot be marked as historical: the next ones still arrive."""
    path = tmp_path / "spool.db"
    spool = Spool(path, NEVER)
    deep = b"[" * 30_000
    for line, payload in enumerate((b"no JSON", b"5", deep, b"\xff", to_line(event(7)))):
        spool.put([("event", payload)], line=line + 1, age_known=False)
    spool.close()
    with (
        Broker(tmp_path) as broker,
        broker.listen("eqedge/#") as received,
        running(settings_for(broker), path) as node,
    ):
        received.wait_for(lambda got: ids(got.json("event")) == [7])
        wait_until(lambda: len(node.spool) == 0)
        assert node.spool.counts.set_aside == 4 and node.sink.counts.failures == 0
        assert {1, 2, 3, 4, 5} <= node.spool.known_lines()


ODD = [
    ("its kind is no text", (None, b"{}", "b", 1.0, 1.0)),
    ("its kind is no text", (b"\xff\xfe", b"{}", "b", 1.0, 1.0)),
    ("its kind is '../status'", ("../status", b'{"event_id":"e"}', "b", 1.0, 1.0)),
    ("its kind is '#'", ("#", b'{"event_id":"e"}', "b", 1.0, 1.0)),
    ("its payload is no text", ("event", None, "b", 1.0, 1.0)),
    ("its payload is no text", ("event", 7, "b", 1.0, 1.0)),
    ("its payload is not JSON", ("event", b"rubbish", "b", 1.0, 1.0)),
    ("its payload is not JSON", ("event", b"[" * 30_000, "b", 1.0, 1.0)),
    ("its payload is not an event's", ("event", b"[1]", "b", 1.0, 1.0)),
    ("its payload is not an event's", ("pick", b'{"event_id":3}', "b", 1.0, 1.0)),
    ("its boot is no text", ("event", b'{"event_id":"e"}', None, 1.0, 1.0)),
    ("its time is no number", ("event", b'{"event_id":"e"}', "b", None, 1.0)),
    ("its time is no number", ("event", b'{"event_id":"e"}', "b", 1.0, "yesterday")),
    ("its time is no number", ("event", b'{"event_id":"e"}', "b", float("inf"), 1.0)),
]


@pytest.mark.parametrize(("reason", "values"), ODD)
def test_a_row_that_is_no_message_holds_up_nothing(tmp_path, reason, values):
    """Wrong types, NULL, another topic: set aside at the start, and the rest is delivered."""
    path = tmp_path / "spool.db"
    filled(path, 3)
    columns = "id INTEGER PRIMARY KEY, kind, payload, boot, made_monotonic, made_unix"
    change(path, "ALTER TABLE message RENAME TO strict")
    change(path, f"CREATE TABLE message ({columns})")
    change(path, "INSERT INTO message SELECT * FROM strict")
    change(path, "DROP TABLE strict")
    change(path, "INSERT INTO message VALUES (2000000, ?, ?, ?, ?, ?)", *values)
    spool = Spool(path, NEVER)
    assert [entry.id for entry in spool.pending()] == [1, 2, 3] and len(spool) == 3
    assert spool.counts.set_aside == 1 and spool.counts.damaged == 0
    spool.close()
    assert rows(path, "damaged")[0][-2] == reason


@pytest.mark.parametrize("number", [0, -7, 1 << 62, (1 << 63) - 1])
def test_a_number_that_no_message_can_have(tmp_path, number):
    """A damaged place in the order neither hides the message nor leaves no place for the next."""
    path = tmp_path / "spool.db"
    filled(path, 2)
    change(path, "UPDATE message SET id = ? WHERE id = 2", number)
    for turn in range(2):
        spool = Spool(path, NEVER)
        spool.put([("event", b"new")])
        assert len(spool) == len(spool.pending()) == 2 + turn
        spool.close()
    assert rows(path, "damaged")[0][-2] == f"its number is {number}"


def test_many_damaged_messages_do_not_fill_the_disk(tmp_path):
    """All are set aside and counted; the newest thousand are kept."""
    path = tmp_path / "spool.db"
    filled(path, KEPT_DAMAGED + 200)
    change(path, "UPDATE message SET payload = 'x' WHERE id > 50")
    spool = Spool(path, NEVER)
    assert len(spool) == 50 and spool.counts.set_aside == KEPT_DAMAGED + 150
    spool.close()
    assert len(rows(path, "damaged")) == KEPT_DAMAGED


def test_any_damaged_bit_of_the_head_costs_no_start(tmp_path):
    """Of SQLite's first hundred bytes: the spool is used, or set aside and a new one is begun."""
    path = tmp_path / "spool.db"
    filled(path, 3)
    sound = path.read_bytes()
    rng = random.Random(5)
    for place in range(100):
        harmed = bytearray(sound)
        harmed[place] ^= 1 << rng.randrange(8)
        path.write_bytes(harmed)
        spool = Spool(path, NEVER)
        spool.put([("event", b"new")])
        newest = spool.pending()[-1]
        spool.close()
        assert newest.payload == b"new", place
        assert [bytes(row[2]) for row in rows(path, "message")][-1] == b"new", place


def test_a_table_with_other_columns_is_damage(tmp_path):
    """The file is set aside, not kept in use without ever storing a message."""
    path = tmp_path / "spool.db"
    filled(path, 2)
    change(path, "ALTER TABLE message ADD COLUMN more")
    spool = Spool(path, NEVER)
    spool.put([("event", b"new")])
    assert spool.counts.damaged == 1 and spool.counts.disk_errors == 0
    spool.close()
    assert len(rows(path, "message")) == 1 and (tmp_path / "spool.db.damaged").exists()


# -- other versions ------------------------------------------------------------------------------

VERSION_0_1_0 = """
PRAGMA application_id = 0x65716564;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload BLOB NOT NULL,
    boot TEXT NOT NULL, made_monotonic REAL NOT NULL, made_unix REAL NOT NULL);
CREATE TABLE IF NOT EXISTS newest (one INTEGER PRIMARY KEY CHECK (one = 1), key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reserve (zeros BLOB NOT NULL);
DELETE FROM reserve;
"""
"""What 0.1.0 does when it opens a spool."""


def run_0_1_0(path, *, remove=(), put=()):
    """Do what 0.1.0 does with a spool: refuse a newer layout, else remove and store events."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] <= 1
        database.executescript(VERSION_0_1_0)
        database.executemany("DELETE FROM message WHERE id = ?", [(one,) for one in remove])
        next_id = database.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM message").fetchone()[0]
        for number, identifier in zip(put, range(next_id, next_id + len(put)), strict=True):
            row = (identifier, "event", to_line(event(number)), "boot", 1.0, 1.0)
            insert = "INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?, ?)"
            database.execute(insert, row)
            key = f"{event(number)['event_id']} 0"
            database.execute("INSERT OR REPLACE INTO newest VALUES (1, ?)", (key,))


def numbers(spool):
    """Return the numbers of the events that wait."""
    return ids([json.loads(entry.payload) for entry in spool.pending()])


def test_a_spool_of_version_0_1_0_is_read(tmp_path):
    """Without checksums and known lines: its messages wait, and have a checksum from now on."""
    path = tmp_path / "spool.db"
    run_0_1_0(path, put=[0, 1, 2])
    change(path, "UPDATE message SET payload = 'torn' || payload WHERE id = 2")
    spool = Spool(path, NEVER)
    assert numbers(spool) == [0, 2] and spool.counts.set_aside == 1
    assert spool.older_newest == f"{event(2)['event_id']} 0"
    spool.put([("event", to_line(event(3)))], key="x", line=5)
    spool.close()
    assert len(rows(path, "checksum")) == 1 + 3
    again = Spool(path, NEVER)
    assert numbers(again) == [0, 2, 3] and again.older_newest is None
    again.close()


def test_going_back_to_version_0_1_0_and_forth_again(tmp_path):
    """The older version delivers, removes and stores in the same file, and nothing is damaged."""
    path = tmp_path / "spool.db"
    filled(path, 4)
    run_0_1_0(path, remove=[1, 2, 3, 4], put=[10, 11])
    spool = Spool(path, NEVER)
    assert numbers(spool) == [10, 11] and spool.counts.set_aside == 0
    assert spool.older_newest == f"{event(11)['event_id']} 0"
    spool.close()


def test_a_spool_of_a_newer_version_is_set_aside_and_kept(tmp_path, logged):
    """Detection goes on with a new spool; the other has a name, and a second one another."""
    path = tmp_path / "spool.db"
    for name in ("spool.db.newer", "spool.db.newer-2"):
        filled(path, 3)
        change(path, "CREATE TABLE invented (column)")
        change(path, "PRAGMA user_version = 2")
        before = path.read_bytes()
        spool = Spool(path, NEVER)
        spool.put([("event", b"new")])
        assert len(spool) == 1 and spool.counts.newer == 1 and spool.counts.damaged == 0
        assert list(reasons(spool.counts)) == [
            f"the spool of a newer eqedge was set aside as {name}"
        ]
        spool.close()
        assert (tmp_path / name).read_bytes() == before
        assert logged(f"a newer eqedge wrote it; set aside as {name}, for that version to deliver")
        path.unlink()


def test_damage_anywhere_in_the_file_costs_no_start(tmp_path):
    """Forty spools with bytes overwritten at random: each is used or set aside, and goes on."""
    path = tmp_path / "spool.db"
    filled(path, 60)
    sound = path.read_bytes()
    rng = random.Random(8)
    for turn in range(40):
        harmed = bytearray(sound)
        length = rng.choice((1, 2, 30, 600))
        place = rng.randrange(100, len(harmed) - length)
        harmed[place : place + length] = rng.randbytes(length)
        path.write_bytes(harmed)
        spool = Spool(path, NEVER)
        spool.put([("event", b"new")])
        while entries := spool.pending(limit=7):
            last = entries[-1].payload
            spool.remove([entry.id for entry in entries])
        assert last == b"new" and len(spool) == 0 and spool.counts.disk_errors == 0, turn
        spool.close()
        (tmp_path / "spool.db-wal").unlink(missing_ok=True)
