"""Which picks are published, and how often."""

from eqedge.edge.delivery.pick_log import PickLog

from tests.support.delivery import event


def test_the_memory_of_picks_is_bounded():
    """Events that never end are forgotten in time; an end forgets at once."""
    log = PickLog()
    pick = {"phase": "P", "time": "t1"}
    for number in range(1000):
        assert len(log.changed_picks(event(number, picks=[pick]))) == 1
    assert len(log._times) == 64
    log.changed_picks(event(999, "end", 1, picks=[pick]))
    assert len(log._times) == 63


def test_two_picks_of_one_phase_are_two():
    """A second P in one event has an id of its own."""
    picks = [{"phase": "P", "time": "t1"}, {"phase": "P", "time": "t9"}]
    new = PickLog().changed_picks(event(1, picks=picks))
    assert [pick["pick_id"][-2:] for pick in new] == ["P1", "P2"]
