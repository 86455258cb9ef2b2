"""File and spool part in every order, and each line of the file reaches the broker all the same."""

import json
import os
import random
import shutil
import sqlite3
from contextlib import closing, contextmanager
from itertools import pairwise

import pytest
from eqedge.edge.delivery.outputs import Delivery
from eqedge.edge.message import Node
from eqedge.edge.settings.delivery import FileSettings, MqttSettings
from eqedge.edge.settings.node import Settings

from tests.support.broker import free_port, wait_until
from tests.support.delivery import once
from tests.support.disks import fill, small_disk

QUICK = {"retry_min_seconds": 0.05, "retry_max_seconds": 0.2, "drain_seconds": 60.0}
CODES = {"network": "XX", "station": "EDGE", "location": "00", "clock": {"source": "host"}}


def event(number, **more):
    """Return a message of a live node, with one pick, of the length that they have."""
    head = {"schema": 1, "type": "new", "event_id": f"e{number}", "sequence": 0, "boot_id": "b"}
    picks = [{"phase": "P", "time": f"t{number}"}]
    return {**head, **CODES, "picks": picks, "historical": False, "more": "x" * 600, **more}


@contextmanager
def node(model, folder, port, **more):
    """Open the outputs of a live node; port 0: there is no broker, and it does not wait for one."""
    drain = {} if port else {"drain_seconds": 0.0}
    mqtt = MqttSettings("127.0.0.1", port or free_port(), **QUICK | drain)
    settings = Settings(output=str(folder / "o.jsonl"), mqtt=mqtt, **more)
    with Delivery(settings, Node(settings.station, model, "b"), fresh=False) as delivery:
        yield delivery


def arrived(received, kind="event"):
    """Return the numbers of the events that arrived, in order."""
    return [int(message["event_id"][1:]) for message in received.json(kind)]


def deliver_rest(model, folder, broker, received, expected, **more):
    """Start the node with the broker until all that is expected has arrived."""
    with node(model, folder, broker.port, **more) as delivery:
        wait_until(lambda: len(delivery._spool) == 0)
        received.wait_for(lambda got: set(expected) <= set(arrived(got)))
        received.wait_for(lambda got: set(expected) <= set(arrived(got, "pick")))
        return delivery.counts[2]


def test_a_spool_deleted_between_two_runs(model, tmp_path, broker, logged):
    """Every line of the output is offered again, in order, once, and then never more."""
    with node(model, tmp_path, 0) as before:
        for number in range(180):
            before.write(event(number))
    (tmp_path / "o.jsonl.spool").unlink()
    with broker.listen("eqedge/#") as received:
        assert deliver_rest(model, tmp_path, broker, received, range(180)).restored == 180
        assert logged("180 lines of ")
        assert deliver_rest(model, tmp_path, broker, received, range(180)).restored == 0
    assert arrived(received) == list(range(180))


@pytest.mark.parametrize("number", [1, 2])
def test_a_kill_while_files_are_renamed(model, tmp_path, broker, number):
    """One number is missing then; the lines of the files behind it are stored all the same."""
    small = FileSettings(rotate_bytes=65_536)
    with node(model, tmp_path, 0, file=small) as before:
        for one in range(300):
            before.write(event(one))
    (tmp_path / "o.jsonl.spool").unlink()
    rotated = [tmp_path / f"o.jsonl.{n}" for n in range(1, 5)]
    assert [path.exists() for path in rotated] == [True, True, True, False]
    for path, renamed in [*pairwise(rotated)][number - 1 :][::-1]:
        path.rename(renamed)
    assert not rotated[number - 1].exists()
    with broker.listen("eqedge/#") as received:
        deliver_rest(model, tmp_path, broker, received, range(300), file=small)
    assert arrived(received) == list(range(300))


def test_only_rotated_files_are_read(model, tmp_path, broker):
    """Copies beside them, under names that a node does not give, are not read a second time."""
    with node(model, tmp_path, 0) as before:
        before.write(event(0))
    for name in ("20261128", "1.gz", "01", "0", "spool.1", "old"):
        text = json.dumps(event(1)) + "\n"
        (tmp_path / f"o.jsonl.{name}").write_text(text)
    (tmp_path / "o.jsonl.spool").unlink()
    with broker.listen("eqedge/#") as received:
        assert deliver_rest(model, tmp_path, broker, received, [0]).restored == 1
    assert arrived(received) == [0]


def test_all_rotated_files_are_read(model, tmp_path, broker):
    """The lines that the spool lost are in FILE.2, FILE.1 and FILE: the oldest come first."""
    small = FileSettings(rotate_bytes=65_536)
    with node(model, tmp_path, 0, file=small) as before:
        for number in range(200):
            before.write(event(number))
    assert (tmp_path / "o.jsonl.2").exists()
    (tmp_path / "o.jsonl.spool").unlink()
    with broker.listen("eqedge/#") as received:
        deliver_rest(model, tmp_path, broker, received, range(200), file=small)
    assert arrived(received) == list(range(200))


def test_what_was_delivered_is_not_offered_again(model, tmp_path, broker):
    """Lines that the spool stored and the broker acknowledged stay known after restarts."""
    with broker.listen("eqedge/#") as received:
        for turn in range(3):
            with node(model, tmp_path, broker.port) as running:
                for number in range(turn * 40, turn * 40 + 40):
                    running.write(event(number))
        received.wait_for(lambda got: len(arrived(got)) >= 120)
        deliver_rest(model, tmp_path, broker, received, range(120))
    assert arrived(received) == list(range(120))


def test_holes_of_any_kind_are_filled(model, tmp_path, broker):
    """The file has lines that the spool never stored: at the begin, in the middle, at the end."""
    rng = random.Random(11)
    lacking = set(rng.sample(range(100), 30)) | {0, 99}
    with node(model, tmp_path, 0) as before:
        for number in range(100):
            if number in lacking:
                before._file.write(event(number))
            else:
                before.write(event(number))
    with broker.listen("eqedge/#") as received:
        assert deliver_rest(model, tmp_path, broker, received, range(100)).restored == len(lacking)
    assert sorted(arrived(received)) == list(range(100))


def test_a_full_disk_and_a_kill(model, tmp_path, broker):
    """The spool was full and the file was not: what only the file has reaches the broker."""
    with small_disk(tmp_path / "disk", "2m") as disk:
        with node(model, disk, 0) as before:
            for number in range(20):
                before.write(event(number))
            taker = fill(disk)
            number = 20
            while before._file.counts.waiting == 0:
                before.write(event(number))
                number += 1
            # As after a kill: the spool is as it was when the disk became full.
            shutil.copy(disk / "o.jsonl.spool", tmp_path / "kept")
            shutil.copy(disk / "o.jsonl.spool-wal", tmp_path / "kept-wal")
            taker.unlink()
            for more in range(number, 400):
                before.write(event(more))
        os.replace(tmp_path / "kept", tmp_path / "o.jsonl.spool")
        os.replace(tmp_path / "kept-wal", tmp_path / "o.jsonl.spool-wal")
        shutil.copy(disk / "o.jsonl", tmp_path / "o.jsonl")
    with broker.listen("eqedge/#") as received:
        counts = deliver_rest(model, tmp_path, broker, received, range(400))
    assert counts.restored > 100
    assert sorted(once(arrived(received))) == list(range(400))


def harm(kind, spool, log):
    """Do something to a spool in use."""
    if kind == "deleted":
        spool.unlink()
    elif kind == "deleted with its log":
        spool.unlink()
        log.unlink()
    elif kind == "log deleted":
        log.unlink()
    elif kind == "replaced by a text":
        spool.unlink()
        spool.write_text("a note\n")
    elif kind == "replaced by an older one":
        shutil.copy(spool, spool.with_suffix(".old"))
        spool.with_suffix(".old").replace(spool)
    elif kind == "emptied":
        os.truncate(spool, 0)
    else:
        spool.write_bytes(random.Random(1).randbytes(spool.stat().st_size))


KINDS = [
    "deleted",
    "deleted with its log",
    "log deleted",
    "replaced by a text",
    "replaced by an older one",
    "emptied",
    "overwritten",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_spool_harmed_while_the_node_runs(model, tmp_path, broker, kind, logged):
    """It is noticed with the next message and written anew, and nothing is lost."""
    spool, log = tmp_path / "o.jsonl.spool", tmp_path / "o.jsonl.spool-wal"
    with node(model, tmp_path, 0) as before:
        for number in range(75):
            before.write(event(number))
            if number == 43:
                harm(kind, spool, log)
        counts = before._spool.counts
        if kind != "overwritten":  # SQLite may go on from its log and its memory
            assert counts.renewed + counts.damaged == 1, counts
            assert logged("while the node runs") or logged("is damaged")
            assert spool.exists()
            assert len(before._spool) == 150
    if kind == "replaced by a text":
        assert (tmp_path / "o.jsonl.spool.replaced").read_text() == "a note\n"
    with broker.listen("eqedge/#") as received:
        deliver_rest(model, tmp_path, broker, received, range(75))
    assert set(arrived(received)) == set(range(75))


def test_a_deleted_spool_is_noticed_without_a_message(model, tmp_path):
    """The health record's attempt writes it anew: the next message may be days away."""
    with node(model, tmp_path, 0) as running:
        running.write(event(1))
        (tmp_path / "o.jsonl.spool").unlink()
        running.retry()
        assert (tmp_path / "o.jsonl.spool").exists() and running._spool.counts.renewed == 1
        running.retry()
        assert running._spool.counts.renewed == 1 and len(running._spool) == 2


def test_a_damaged_message_is_taken_from_the_file(model, tmp_path, broker):
    """It is set aside in the spool, and its line in the output goes to the broker instead."""
    with node(model, tmp_path, 0) as before:
        for number in range(10):
            before.write(event(number))
    with closing(sqlite3.connect(tmp_path / "o.jsonl.spool", isolation_level=None)) as database:
        database.execute("UPDATE message SET payload = 'x' || payload WHERE id IN (7, 12)")
    with broker.listen("eqedge/#") as received:
        counts = deliver_rest(model, tmp_path, broker, received, range(10))
    assert counts.set_aside == counts.restored == 2
    assert set(arrived(received)) == set(range(10))


def test_a_spool_of_an_older_version_knows_the_lines_to_its_newest_one(model, tmp_path, broker):
    """It noted no lines: those behind its newest key are offered, those before it are not."""
    with node(model, tmp_path, 0) as before:
        for number in range(20):
            before.write(event(number))
    with closing(sqlite3.connect(tmp_path / "o.jsonl.spool", isolation_level=None)) as database:
        for table in ("checksum", "known", "damaged"):
            database.execute(f"DROP TABLE {table}")
        database.execute("DROP TRIGGER IF EXISTS message_left")
        database.execute("DELETE FROM message WHERE id < 21")  # e0 to e9 were delivered
    with (tmp_path / "o.jsonl").open("a") as file:
        file.writelines(json.dumps(event(number)) + "\n" for number in range(20, 400))
    with broker.listen("eqedge/#") as received:
        deliver_rest(model, tmp_path, broker, received, range(10, 400))
        deliver_rest(model, tmp_path, broker, received, range(10, 400))
    assert arrived(received) == list(range(10, 400))


ODD = [
    {"clock": {"source": "sim"}},
    {"station": "HILL"},
    {"picks": 5},
    {"picks": [None]},
    {"clock": 3},
    {"event_id": None},
    {"peak_value": float("nan")},
    {"trace_id": "\ud800"},
]


@pytest.mark.parametrize("odd", ODD)
def test_lines_of_others_and_damaged_ones_are_left_out(model, tmp_path, broker, odd):
    """A replay's event, another node's, and JSON that is no event stop nothing."""
    lines = [event(0), event(1, **odd), event(2)]
    (tmp_path / "o.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with broker.listen("eqedge/#") as received:
        deliver_rest(model, tmp_path, broker, received, [0, 2])
    assert arrived(received) == [0, 2]
