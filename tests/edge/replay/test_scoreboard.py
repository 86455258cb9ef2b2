"""The scores of a simulation."""

import math

import pytest
from eqedge.edge.replay.scoreboard import Residuals, score
from eqedge.edge.replay.timeline import Placement


def placed(name, p=None, s=None, noise=False):
    """Return a trace of a minute that begins at sample 10,000."""
    first = 10_000

    def label(sample):
        return None if sample is None else float(first + sample)

    kind = "noise" if noise else "event"
    labels = {"p_arrival_sample": label(p), "s_arrival_sample": label(s)}
    return Placement(name, 9000, first, 16_000, kind=kind, **labels)


def sent(event, trace, kind="new", **picks):
    """Return a message with picks such as P=700, or S=("other", 5)."""
    listed = []
    for phase, place in picks.items():
        name, sample = place if isinstance(place, tuple) else (trace, place)
        listed.append({"phase": phase, "sim": {"trace_name": name, "sample": sample}})
    return {"event_id": event, "type": kind, "picks": listed}


QUAKE = placed("a_EV", p=700, s=1200)


@pytest.mark.parametrize(
    ("picks", "found", "false", "p", "s"),
    [
        ({"P": 700, "S": 1200}, 1, 0, 1, 1),
        ({"P": 750, "S": 1150}, 1, 0, 1, 1),
        ({"P": 751, "S": 1200}, 1, 0, 0, 1),
        ({"P": 700, "S": 1251}, 1, 0, 1, 0),
        ({"P": 700}, 1, 0, 1, 0),
        ({"S": 1200}, 1, 0, 0, 1),
        ({"P": 1200, "S": 2000}, 0, 1, 0, 0),
        ({"P": -300}, 0, 1, 0, 0),
    ],
)
def test_one_event(picks, found, false, p, s):
    """Right within half a second; an event with one right pick is found."""
    board = score([QUAKE], [sent("1", "a_EV", **picks)], 100.0)
    assert (board.found, board.missed, board.false) == (found, 1 - found, false)
    assert (board.p.found, board.s.found) == (p, s)
    assert (board.p.labelled, board.s.labelled) == (1, 1)


def test_the_last_message_counts():
    """An update that moves a pick replaces the earlier message."""
    messages = [sent("1", "a_EV", P=900), sent("1", "a_EV", "update", P=705, S=1190)]
    board = score([QUAKE], messages, 100.0)
    assert (board.found, board.false) == (1, 0)
    assert board.p.mean == pytest.approx(0.05)
    assert board.s.mean == pytest.approx(-0.1)
    assert board.s.mae == pytest.approx(0.1)


def test_a_second_trigger_for_an_event_is_false():
    """One event, one trigger; its pick is right nevertheless."""
    messages = [
        sent("1", "a_EV", P=700),
        sent("2", "a_EV", S=1200),
        sent("3", "a_EV", S=1210),
    ]
    board = score([QUAKE], messages, 100.0)
    assert (board.found, board.false, board.p.found, board.s.found) == (1, 2, 1, 1)
    assert board.s.mae == 0.0


def test_a_pick_on_another_trace_is_not_this_ones():
    """An S in the noise that leads to the next trace is not scored here."""
    board = score([QUAKE], [sent("1", "a_EV", P=700, S=("b_EV", 1200))], 100.0)
    assert (board.found, board.s.found) == (1, 0)


def test_triggers_on_noise_are_false_and_on_unlabelled_events_unscored():
    """Noise holds none by its label; of the others nothing is known."""
    placements = [placed("n_NO", noise=True), placed("u_EV"), QUAKE]
    messages = [sent("1", "n_NO", P=5), sent("2", "u_EV", P=5), sent("3", "u_EV", P=900)]
    board = score(placements, messages, 100.0)
    assert (board.traces, board.events, board.missed) == (3, 1, 1)
    assert (board.false, board.unscored) == (1, 2)


def test_lines_for_people():
    """They have all figures, and no NaN."""
    lines = score([QUAKE], [], 100.0).lines(3600.0)
    assert "0 of 1 found, 1 missed; 0 false, 0.00 an hour" in lines[0]
    assert not any("nan" in line for line in lines)
    assert "events" in score([], [], 100.0).lines(0.0)[0]


def test_residuals():
    """Mean, mean absolute and 95th percentile; nothing found is not a number."""
    r = Residuals.of(5, [0.1, -0.1, 0.2])
    assert (r.labelled, r.found) == (5, 3)
    assert r.mean == pytest.approx(0.2 / 3)
    assert r.mae == pytest.approx(0.4 / 3)
    assert 0.1 < r.p95 <= 0.2
    assert math.isnan(Residuals.of(5, []).mean)
