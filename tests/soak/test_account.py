"""The soak's account of earthquakes and messages, and the breaks that its line records."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, pairwise

import numpy as np
import pytest
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.packets import Samples
from hypothesis import given
from hypothesis import strategies as st

from tests.soak import sensor
from tests.soak.account import (
    BEFORE_SECONDS,
    LAG,
    REPORTED_SECONDS,
    WINDOW_SECONDS,
    Account,
    Quake,
)
from tests.soak.plan import plan
from tests.soak.sensor import HELD_SECONDS, LAG_SECONDS, PACKET, RATE, Break, Sensor
from tests.support.broker import wait_until

QUAKE = Quake(p=100_000, s=100_500, sent_ns=7_000_000_000)
LONG_AGO_NS = -(10**18)


def message_of(sample: int, phase: str = "P", event: str = "a", sequence: int = 0) -> dict:
    """A message with one pick, dated beyond belief."""
    pick = {"phase": phase, "sample": sample, "time_ns": LONG_AGO_NS}
    return {"event_id": event, "sequence": sequence, "type": "end", "picks": [pick]}


def account_of(lines: list[dict], arrived: list[dict], breaks: list[Break]) -> Account:
    """The account of a soak with one earthquake."""
    account = Account(hours=1.0, speed=100.0, seed=1)
    account.count_messages(lines, arrived)
    account.count_quakes([QUAKE], breaks, lines, arrived)
    return account


@given(off=st.integers(-200, 200), phase=st.sampled_from("PS"))
def test_an_earthquake_is_known_by_its_sample(off, phase):
    """A pick within half a second of its arrival is right, at whatever date; no other is."""
    arrival = QUAKE.p if phase == "P" else QUAKE.s
    account = account_of([], [message_of(arrival + off, phase)], [])
    assert account.missed == (abs(off) > RATE // 2)
    assert account.expected == 1 and account.expected_in_file == 0
    assert account.is_bad == bool(account.missed)


def test_a_pick_of_the_other_phase_does_not_count():
    """An S where the P was is wrong."""
    assert account_of([message_of(QUAKE.p, "S")], [], []).missed == 1


@pytest.mark.parametrize(
    ("reason", "sample", "is_excused"),
    [
        ("kill", QUAKE.p - (BEFORE_SECONDS * RATE + LAG), False),
        ("kill", QUAKE.p - (BEFORE_SECONDS * RATE + LAG) + 1, True),
        ("kill", QUAKE.s + REPORTED_SECONDS * RATE + LAG, True),
        ("kill", QUAKE.s + REPORTED_SECONDS * RATE + LAG + 1, False),
        ("unplug", QUAKE.p - BEFORE_SECONDS * RATE, False),
        ("unplug", QUAKE.p - BEFORE_SECONDS * RATE + 1, True),
        ("unplug", QUAKE.s + REPORTED_SECONDS * RATE, True),
        ("unplug", QUAKE.s + REPORTED_SECONDS * RATE + 1, False),
    ],
)
def test_only_a_break_near_by_excuses(reason, sample, is_excused):
    """An earthquake without a message is missed, unless the stream broke within these samples.

    With a kill the node loses besides what it had received and not analysed, and what comes before
    it knows the sensor again.
    """
    account = account_of([], [], [Break(sample, reason)])
    assert account.missed == account.expected == (not is_excused)
    assert account.excused == account.excused_unheard == ({reason: 1} if is_excused else {})


@pytest.mark.parametrize("reason", ["kill", "unplug"])
def test_a_kill_excuses_until_the_window_has_filled(reason):
    """A new segment is scored when it fills a window; a node killed before that has not."""
    begin = QUAKE.p - BEFORE_SECONDS * RATE
    first = Break(begin - (LAG if reason == "kill" else 0), reason)
    filled = begin + (WINDOW_SECONDS + REPORTED_SECONDS) * RATE + LAG
    for kill, is_excused in ((filled, True), (filled + 1, False)):
        account = account_of([], [], [first, Break(kill, "kill")])
        assert account.excused == ({"kill": 1} if is_excused else {})
    assert account_of([], [], [first, Break(filled - 1, "unplug")]).missed == 1


def test_excused_but_heard():
    """An excused earthquake that was reported all the same counts as found."""
    account = account_of([message_of(QUAKE.p)], [message_of(QUAKE.p)], [Break(QUAKE.p, "unplug")])
    assert (account.excused, account.excused_unheard) == ({"unplug": 1}, {"unplug": 0})
    assert not account.is_bad


def test_a_line_that_never_arrived_is_lost():
    """The earthquake is in the file, but its message is not at the broker."""
    account = account_of(
        [message_of(QUAKE.p), message_of(QUAKE.p, sequence=1)], [message_of(QUAKE.p)], []
    )
    assert account.lost == 1 and account.missed == 0 and account.is_bad


def test_dates_are_distinguished():
    """The account states how late the date was, in seconds of the clock on the wall."""
    message = message_of(QUAKE.p)
    message["picks"][0]["time_ns"] = QUAKE.sent_ns + 250_000_000_000
    account = Account(hours=1.0, speed=100.0, seed=1)
    account.count_quakes([QUAKE], [], [message], [])
    assert account.dated_late_seconds == (2.5, 2.5, 2.5)


@contextmanager
def called(player: Sensor) -> Iterator[socket.socket]:
    """A reader of the sensor's port."""
    with socket.create_connection(("127.0.0.1", player.port)) as reader:
        while not player.is_called():
            pass
        yield reader


def play(player: Sensor, reader: socket.socket, first: int, packets: int) -> list[int]:
    """Play packets from a sample on; return the numbers of the samples that came."""
    counts = np.zeros((PACKET, 3), dtype=np.int32)
    decoder, came = Decoder(), []
    reader.setblocking(False)
    for at in range(first, first + packets * PACKET, PACKET):
        player.send(counts, at)
        try:
            data = reader.recv(65_536)
        except BlockingIOError:
            continue
        for packet in decoder.feed(data):
            if isinstance(packet, Samples):
                came += range(packet.first_sample, packet.first_sample + len(packet.counts))
    return came


def test_the_line_breaks_where_it_records(monkeypatch):
    """Every gap too long to be bridged is a break that the account knows of, and no other is."""
    monkeypatch.setattr(sensor, "BYTES_WRONG", 3e-3)
    player = Sensor(random.Random(5))
    player.plug_in()
    with called(player) as reader:
        came = np.unique(play(player, reader, 0, 6_000))
    player.unplug()
    ends = came[1:][np.diff(came) > sensor.BRIDGED_SECONDS * RATE + 1]
    recorded = np.array([b.sample for b in player.breaks])
    last = recorded[np.append(np.diff(recorded) > PACKET, True)] + PACKET
    assert len(ends) > 100
    assert list(ends) == list(last[last <= came[-1]])
    assert {b.reason for b in player.breaks} == {"line"}


def test_samples_are_counted_on_while_nobody_reads():
    """After a reader hung up a sample still has the player's number; only unplugging excuses."""
    player = Sensor(random.Random(5))
    player.plug_in()
    with called(player) as reader:
        play(player, reader, 0, 10)
    nothing, gone = np.zeros((PACKET, 3), dtype=np.int32), range(10 * PACKET, 20 * PACKET, PACKET)
    for at in gone:
        player.send(nothing, at)
    with called(player) as reader:
        came = play(player, reader, 20 * PACKET, 10)
    assert came and set(came) <= set(range(20 * PACKET, 30 * PACKET))
    player.unplug()
    player.send(nothing, 30 * PACKET)
    assert player.breaks == [Break(30 * PACKET, "unplug")]


def play_while_read(player: Sensor, looks: int) -> int:
    """Play as the soak does, with so many looks whether the node reads; return samples sent."""
    at, nothing = 0, np.zeros((PACKET, 3), dtype=np.int32)
    for _ in range(looks):
        if player.is_read():
            player.send(nothing, at)
            at += PACKET
    return at


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_replay_waits_for_a_node_that_does_not_read(seed):
    """However often it looks, what a stopped node has not read is as short as the account has it.

    A node that is killed then has lost no more than that, and what it took with its last read.
    """
    player = Sensor(random.Random(seed))
    player.plug_in()
    with called(player) as reader:
        held = play_while_read(player, 300)
        assert 0 < held <= HELD_SECONDS * RATE
        assert player.unread_seconds() <= HELD_SECONDS
        in_memory = reader.recv(1 << 20)
        wait_until(lambda: player.unread_seconds() == 0, "what was read is known")
        more = play_while_read(player, 300)
        assert len(in_memory) > 0 and more > 0 and held + more <= LAG_SECONDS * RATE
    player.unplug()


@pytest.mark.parametrize("hours", [1.0, 4.0, 24.0])
def test_a_plan_of_kills_alone_ends(hours):
    """Also a long one, of which the last part has no kills."""
    kills = plan(random.Random(1), hours, 600.0, ["kill", "kill without broker"])
    faults = list(islice(kills, 999))
    assert 0 < len(faults) < 999
    assert all(before.at < after.at for before, after in pairwise(faults))
