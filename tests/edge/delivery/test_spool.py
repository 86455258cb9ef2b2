"""The spool through kill -9, full and read-only disks, damage, and its own limits."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from eqedge.edge.delivery.errors import OutputFileError
from eqedge.edge.delivery.spool import Spool
from eqedge.edge.settings.delivery import SpoolSettings
from eqedge.edge.settings.validation import SettingsError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.delivery import numbers
from tests.support.disks import fill, no_new_names, remount, small_disk
from tests.support.limits import file_size_limit


def body(number, size=200):
    """Return a payload that contains its number."""
    return b"%08d" % number + b"x" * (size - 8)


def put(spool, *numbers):
    """Add messages one by one."""
    for number in numbers:
        spool.put([("event", body(number))], key=str(number))


def waiting(spool, **where):
    """Return the numbers of those that wait, in order."""
    return [int(entry.payload[:8]) for entry in spool.pending(**{"limit": 10_000, **where})]


@pytest.fixture(params=["file", "memory"])
def spool(request, tmp_path):
    """A spool on disk, and one in memory."""
    made = Spool(tmp_path / "spool.db" if request.param == "file" else None)
    yield made
    made.close()


def test_in_order_until_removed(spool):
    """Messages come back in order, from any place, and leave when removed; ids are not reused."""
    put(spool, 1, 2, 3)
    first, second, third = spool.pending()
    assert waiting(spool, after=first.id) == [2, 3]
    assert waiting(spool, limit=2) == [1, 2]
    spool.remove([first.id, third.id, 999])
    assert waiting(spool) == [2] and len(spool) == 1
    put(spool, 4)
    assert spool.pending(after=second.id)[0].id > third.id


def test_what_was_put_survives_and_what_was_removed_is_gone(tmp_path):
    """The next run finds the rest, in order, and the last key."""
    path = tmp_path / "spool.db"
    first = Spool(path)
    put(first, 1, 2, 3)
    first.remove([first.pending()[0].id])
    first.close()
    second = Spool(path)
    assert waiting(second) == [2, 3] and len(second) == 2
    assert second.newest_key == "3"
    second.close()
    assert [file.name for file in tmp_path.iterdir()] == ["spool.db"]


def test_a_file_that_cannot_be_read_for_a_while_loses_nothing(tmp_path, monkeypatch, caplog):
    """Nothing is pending meanwhile, what is acknowledged may come again, the rest waits."""

    def fails(*_):
        raise sqlite3.OperationalError("disk I/O error")

    spool = Spool(tmp_path / "spool.db")
    put(spool, 1, 2, 3)
    first = spool.pending()[0].id
    with monkeypatch.context() as broken:
        broken.setattr(spool._file, "rows", fails)
        broken.setattr(spool._file, "size_of", fails)
        assert waiting(spool) == []
        assert caplog.text.count("disk I/O error; messages are kept in memory meanwhile") == 1
        spool.remove([first])
        assert len(spool) == 3 and spool.counts.disk_errors == 2
    put(spool, 4)
    assert waiting(spool) == [1, 2, 3, 4]
    spool.remove([first])
    assert waiting(spool) == [2, 3, 4] and len(spool) == 3
    spool.close()


def test_memory_leaves_no_file(tmp_path, monkeypatch):
    """A spool in memory leaves no file behind."""
    monkeypatch.chdir(tmp_path)
    made = Spool(None)
    put(made, 1)
    made.close()
    assert list(tmp_path.iterdir()) == []


PUTTER = """
import sys
from pathlib import Path
from eqedge.edge.delivery.spool import Spool
spool = Spool(Path(sys.argv[1]))
first = int(sys.argv[2])
for number in range(first, first + 100000):
    spool.put([("event", b"%08d" % number), ("pick", b"%08d" % number)])
    print(number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_put(tmp_path):
    """Eight times killed while it writes: all that `put` returned from is there, none in part."""
    path, stored = tmp_path / "spool.db", []
    for turn in range(8):
        command = [sys.executable, "-c", PUTTER, str(path), str(len(stored) + 1000 * turn)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(5 + 13 * turn):
            stored.append(int(process.stdout.readline()))
        process.kill()
        stored += [int(line) for line in process.stdout.read().splitlines()]
        process.wait(120)
    found = Spool(path)
    entries = found.pending(limit=100_000)
    events = [int(entry.payload) for entry in entries if entry.kind == "event"]
    picks = [int(entry.payload) for entry in entries if entry.kind == "pick"]
    found.close()
    assert events == picks == sorted(set(events))
    assert set(stored) <= set(events) and len(events) - len(stored) <= 8


def test_oldest_goes_first_when_too_many(tmp_path):
    """Beyond the number of messages the oldest leave, counted, also those of an earlier run."""
    path = tmp_path / "spool.db"
    for start in (0, 7):
        limited = Spool(path, SpoolSettings(max_messages=5))
        put(limited, *range(start, start + 7))
        assert waiting(limited) == list(range(start + 2, start + 7))
        assert limited.counts.purged == (2 if start == 0 else 7)
        limited.close()


def test_oldest_goes_first_when_too_large(spool):
    """Beyond the number of bytes too; one that is larger than the limit is still kept."""
    limited = Spool(None, SpoolSettings(max_bytes=4096))
    put(limited, *range(30))
    assert waiting(limited) == list(range(10, 30))
    limited.put([("event", body(99, 9000))])
    assert waiting(limited) == [99]


def test_the_file_does_not_grow_for_ever(tmp_path):
    """A year of messages through a small queue leaves a small file."""
    path = tmp_path / "spool.db"
    made = Spool(path, SpoolSettings(max_messages=50, fsync="never"))
    put(made, *range(3000))
    sizes = [file.stat().st_size for file in tmp_path.iterdir()]
    made.close()
    assert sum(sizes) < 2_500_000
    assert path.stat().st_size < 100_000


def test_full_disk_keeps_in_memory_and_writes_later(tmp_path, logged):
    """On a full disk nothing is lost or reordered; acknowledged ones do not come back."""
    with small_disk(tmp_path / "disk", "768k") as disk:
        made = Spool(disk / "spool.db")
        put(made, *range(20))
        taker = fill(disk)
        put(made, *range(20, 400))
        assert made.counts.disk_errors > 0
        assert waiting(made) == list(range(400))
        made.remove([entry.id for entry in made.pending(limit=10)])
        assert waiting(made) == list(range(10, 400))
        assert len(logged("full")) == 1, logged()
        taker.unlink()
        put(made, 400)
        assert waiting(made) == list(range(10, 401)) and len(made) == 391
        assert "again" in logged()[-1]
        made.close()
        again = Spool(disk / "spool.db")
        assert waiting(again) == list(range(10, 401))
        again.close()


def test_read_only_disk_at_the_start(tmp_path, logged):
    """The run goes on in memory; once writable, the file has all, the older ones first."""
    with small_disk(tmp_path / "disk", "512k") as disk:
        made = Spool(disk / "spool.db")
        put(made, 1, 2)
        made.close()
        remount(disk, "ro")
        late = Spool(disk / "spool.db")
        put(late, 3, 4, 5)
        late.remove([late.pending(limit=1)[0].id])
        assert waiting(late) == [4, 5] and len(late) == 2
        assert (
            late.counts.disk_errors > 0
            and len(logged()) == 1
            and "in memory meanwhile" in logged()[0]
        )
        remount(disk, "rw")
        late.retry()
        assert waiting(late) == [1, 2, 4, 5] and len(late) == 4
        assert "written again" in logged()[1]
        late.close()
        remount(disk, "ro")
        later = Spool(disk / "spool.db")
        put(later, 6)
        remount(disk, "rw")
        later.close()
        again = Spool(disk / "spool.db")
        assert waiting(again) == [1, 2, 4, 5, 6]
        again.close()


WRITER_ON_FULL_DISK = """
import sys
from pathlib import Path
from eqedge.edge.delivery.file import JsonLines
from eqedge.edge.delivery.spool import Spool
disk = Path(sys.argv[1])
lines, spool = JsonLines(disk / "o.jsonl", append=True), Spool(disk / "o.jsonl.spool")
for number, command in enumerate(sys.stdin):
    message = {"event_id": f"e{number}", "sequence": 0, "text": "x" * 700}
    lines.write(message)
    spool.put([("event", b"%08d" % number + b"x" * 700)], key=str(number))
    print(lines.counts.failed, spool.counts.disk_errors, flush=True)
"""


def test_the_reserve_holds_the_last_messages_through_a_full_disk_and_a_kill(tmp_path):
    """Space reserved in advance: thirty messages on a full disk, then kill -9, are all there."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        command = [sys.executable, "-c", WRITER_ON_FULL_DISK, disk]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as node:
            for number in range(40):
                if number == 10:
                    fill(disk)
                node.stdin.write("go\n")
                node.stdin.flush()
                assert node.stdout.readline() == "0 0\n", number
            node.kill()
        assert numbers(disk / "o.jsonl") == list(range(40))
        again = Spool(disk / "o.jsonl.spool")
        assert waiting(again) == list(range(40))
        again.close()


def test_a_limit_that_needs_no_privilege_acts_as_a_full_disk(tmp_path):
    """Files that may not grow: kept in memory, written when they may again."""
    path = tmp_path / "spool.db"
    made = Spool(path)
    put(made, 0)
    with file_size_limit(50_000):
        put(made, *range(1, 300))
        assert made.counts.disk_errors > 0
        assert waiting(made) == list(range(300))
    put(made, 300)
    made.close()
    again = Spool(path)
    assert waiting(again) == list(range(301))
    again.close()


@pytest.mark.parametrize("harm", ["zeros", "middle", "tail"])
def test_a_damaged_file_is_set_aside(tmp_path, harm, logged):
    """What cannot be read is kept under another name, logged, and the node goes on."""
    path = tmp_path / "spool.db"
    made = Spool(path)
    put(made, *range(200))
    made.close()
    data = bytearray(path.read_bytes())
    spans = {"zeros": (0, 4096), "middle": (4096, 12288), "tail": (len(data) - 8192, len(data))}
    start, end = spans[harm]
    data[start:end] = b"\0" * (end - start) if harm == "zeros" else b"\xa5" * (end - start)
    path.write_bytes(data)
    made = Spool(path)
    put(made, 1)
    assert waiting(made) == [1] and made.counts.damaged == 1
    assert (tmp_path / "spool.db.damaged").exists() and "set aside" in logged()[0]
    made.close()


def damaged_spool(path):
    """Leave a spool of an earlier run that cannot be read."""
    made = Spool(path)
    put(made, *range(20))
    made.close()
    with path.open("r+b") as file:
        file.write(b"\0" * 4096)


def test_a_damaged_file_on_a_full_disk_costs_durability_only(tmp_path, logged):
    """No space for a new one: the messages wait in memory until there is."""
    with small_disk(tmp_path / "disk", "768k") as disk:
        damaged_spool(disk / "spool.db")
        taker = fill(disk)
        made = Spool(disk / "spool.db")
        put(made, 1, 2)
        assert waiting(made) == [1, 2] and made.counts.damaged == 1
        assert "set aside" in logged()[0] and "in memory meanwhile" in logged()[1]
        taker.unlink()
        made.retry()
        assert "written again" in logged()[2]
        made.close()
        again = Spool(disk / "spool.db")
        assert waiting(again) == [1, 2]
        again.close()


def test_a_damaged_file_that_cannot_be_set_aside_costs_durability_only(tmp_path, logged):
    """The folder allows no new name: logged and counted once, in memory; later, on disk."""
    damaged_spool(tmp_path / "spool.db")
    with no_new_names(tmp_path):
        made = Spool(Path("spool.db"))
        put(made, 1, 2)
        assert waiting(made) == [1, 2] and made.counts.damaged == 1
        assert len(logged()) == 1 and "damaged, and cannot be set aside: Permission" in logged()[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        made.retry()
        made.close()
    again = Spool(tmp_path / "spool.db")
    assert waiting(again) == [1, 2] and (tmp_path / "spool.db.damaged").exists()
    again.close()


def test_no_other_file_is_taken_for_a_spool(tmp_path):
    """A text file, another database, a folder, a missing folder: refused, untouched."""
    text = tmp_path / "triggers.jsonl"
    text.write_text("{}\n")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE precious (x)")
    before = text.read_bytes(), other.read_bytes()
    for path in (text, other, tmp_path, tmp_path / "missing" / "spool.db"):
        with pytest.raises(OutputFileError) as caught:
            Spool(path)
        assert str(path) in str(caught.value)
    assert (text.read_bytes(), other.read_bytes()) == before


def test_one_process_at_a_time(tmp_path):
    """Two nodes with one spool would deliver each other's events: the second does not start."""
    path = tmp_path / "spool.db"
    first = Spool(path)
    put(first, 1)
    with pytest.raises(OutputFileError, match="another process"):
        Spool(path)
    first.close()
    Spool(path).close()


def test_age_is_measured_by_the_clock_that_is_never_set(tmp_path):
    """Age comes from the monotonic clock within a boot; of an earlier boot it counts as old."""
    now = [100.0]
    path = tmp_path / "spool.db"
    made = Spool(path, monotonic=lambda: now[0])
    put(made, 1)
    made.put([("event", body(2))], age_known=False)
    now[0] += 30
    young, unknown = made.pending()
    assert young.age_seconds == 30 and not young.is_older_than(60)
    assert unknown.is_older_than(60)
    assert made.state.oldest_seconds == 30
    now[0] += 31
    assert made.pending()[0].is_older_than(60)
    made.close()
    again = Spool(path, monotonic=lambda: now[0])
    assert again.state.oldest_seconds == 61
    again.close()


def test_how_far_utc_was_moved_is_known_within_a_boot(tmp_path):
    """UTC against the clock that is never set; passing time moves nothing, a boot hides it."""
    monotonic, utc = [100.0], [5.0]
    clocks = {"monotonic": lambda: monotonic[0], "utc": lambda: utc[0]}
    made = Spool(tmp_path / "spool.db", **clocks)
    put(made, 1)
    made.put([("event", body(2))], age_known=False)
    monotonic[0] += 30
    utc[0] += 30
    assert [entry.utc_moved_seconds for entry in made.pending()] == [0.0, 0.0]
    utc[0] += 1.75e9
    assert [entry.utc_moved_seconds for entry in made.pending()] == [1.75e9, 0.0]
    made.close()
    again = Spool(tmp_path / "spool.db", **clocks)
    assert [entry.utc_moved_seconds for entry in again.pending()] == [1.75e9, 0.0]
    again.close()


def test_two_threads_at_once(spool):
    """One thread puts while another reads and removes: each message is read once, in order."""
    taken = []

    def take():
        while len(taken) < 300:
            entries = spool.pending(limit=7)
            taken.extend(int(entry.payload[:8]) for entry in entries)
            spool.remove([entry.id for entry in entries])

    taker = threading.Thread(target=take)
    taker.start()
    put(spool, *range(300))
    taker.join(120)
    assert taken == list(range(300)) and len(spool) == 0


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(8, 900)),
            st.tuples(st.just("remove"), st.integers(0, 6)),
            st.tuples(st.just("reopen"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_it_is_a_bounded_queue(tmp_path_factory, steps):
    """Whatever is put, removed and reopened, it holds what a list with the same limits holds."""
    path = tmp_path_factory.mktemp("spool") / "spool.db"
    limits = SpoolSettings(max_messages=9, max_bytes=4096, fsync="never")
    made, model = Spool(path, limits), []
    for number, (step, value) in enumerate(steps):
        if step == "put":
            made.put([("event", body(number, value))])
            model.append((number, value))
            while len(model) > 9 or (len(model) > 1 and sum(size for _, size in model) > 4096):
                model.pop(0)
        elif step == "remove":
            made.remove([entry.id for entry in made.pending(limit=9)[value : value + 1]])
            del model[value : value + 1]
        else:
            made.close()
            made = Spool(path, limits)
        assert waiting(made) == [number for number, _ in model]
        assert len(made) == len(model)
    made.close()


def test_limits_that_keep_nothing_are_refused():
    """A spool of no messages is a mistake."""
    for wrong in ({"max_messages": 0}, {"max_bytes": 10}, {"fsync": "sometimes"}):
        with pytest.raises(SettingsError):
            SpoolSettings(**wrong)
