"""Earthquakes of the soak: picked clearly where nothing is wrong, the same for a seed."""

from itertools import chain, repeat

import numpy as np
import pytest

from tests.soak import quakes
from tests.soak.account import BEFORE_SECONDS, Quake
from tests.soak.quakes import (
    CLEAR,
    FULL_SECONDS,
    HOP_SECONDS,
    Cells,
    Chain,
    bridged,
    is_clear,
    part,
)
from tests.soak.sensor import PACKET, RATE

QUAKE = Quake(p=5000, s=5500)


def test_cells_follow_from_the_seed():
    """Twice the same counts and arrivals, and others for another seed."""
    once, again, other = (list(Cells(seed)(2)) for seed in (3, 3, 4))
    for (counts, quake), (counts_again, quake_again) in zip(once, again, strict=True):
        assert np.array_equal(counts, counts_again) and quake == quake_again
    assert not np.array_equal(once[0][0], other[0][0])


def test_the_chain_picks_what_is_played_whole():
    """A cell's earthquake is the only one the chain finds in all of the cell."""
    counts, quake = next(Cells(3)(1))
    messages = Chain().messages(counts)
    assert is_clear(quake, messages)
    assert len({m["event_id"] for m in messages}) == 1


def test_what_the_network_misses_is_drawn_anew(monkeypatch):
    """Where it is not sure enough the next one is taken, and counted."""
    cells = Cells(3)
    (plain, _), (after, _) = cells(2)
    assert cells.drawn_anew == 0
    judge = chain([False], repeat(True))
    monkeypatch.setattr(quakes, "is_clear", lambda quake, messages: next(judge))
    strict = Cells(3)
    ((counts, _),) = strict(1)
    assert strict.drawn_anew == 1
    assert np.array_equal(counts, after) and not np.array_equal(counts, plain)


def test_a_bad_line_is_bridged_by_whole_frames(rng):
    """Some two in a hundred are straight lines, the others as they were."""
    counts = rng.integers(-1000, 1000, (400 * PACKET + 7, 3)).astype(np.int32)
    line = bridged(counts, rng)
    same = (line == counts).all(axis=1)[: 400 * PACKET].reshape(400, PACKET)
    assert 2 <= (~same).any(axis=1).sum() <= 16
    lost = int(np.flatnonzero((~same).any(axis=1))[0])
    if 0 < lost < 399 and same[lost + 1].all():
        slope = np.diff(line[lost * PACKET - 1 : (lost + 1) * PACKET + 1, 0])
        assert np.ptp(slope) <= 1


@pytest.mark.parametrize(
    ("p", "s", "probability", "clear"),
    [
        (0, 0, CLEAR, True),
        (RATE // 2, -RATE // 2, CLEAR, True),
        (RATE // 2 + 1, 0, CLEAR, False),
        (0, RATE // 2 + 1, CLEAR, False),
        (0, 0, CLEAR - 0.01, False),
        (0, None, CLEAR, False),
    ],
)
def test_clear_is_both_picks_right_and_probable(p, s, probability, clear):
    """Each within half a second, each at least as probable."""
    offsets = {"P": (QUAKE.p, p), "S": (QUAKE.s, s)}
    picks = [
        {"phase": phase, "sample": at + off, "probability": probability}
        for phase, (at, off) in offsets.items()
        if off is not None
    ]
    message = {"picks": picks, "latency_ms": {"data": 1000.0}}
    assert is_clear(QUAKE, [message]) == clear


def test_clear_is_in_time():
    """A message that comes later than the account allows is none; nor is that which ends a line."""
    picks = [
        {"phase": phase, "sample": at, "probability": CLEAR}
        for phase, at in (("P", QUAKE.p), ("S", QUAKE.s))
    ]
    latest = (QUAKE.due(0) - QUAKE.s) / RATE - HOP_SECONDS
    for seconds, clear in ((latest, True), (latest + 0.01, False)):
        message = {"picks": picks, "latency_ms": {"data": seconds * 1000}}
        assert is_clear(QUAKE, [message]) == clear


@pytest.mark.parametrize("before", [BEFORE_SECONDS, FULL_SECONDS])
def test_what_is_played_is_reported_as_early_as_the_account_expects(before):
    """Each earthquake is clear after a break so long before it, with nothing after it."""
    judge = Chain()
    for counts, quake in Cells(9)(3):
        line, here = part(counts, quake, before)
        assert len(line) == here.due(0)
        assert is_clear(here, judge.messages(line))
