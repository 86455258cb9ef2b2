"""Which picks are published, and how often."""

import pytest
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


@pytest.mark.parametrize("phase", [[1], {}, None, 3])
def test_a_phase_of_any_kind_stops_nothing(phase):
    """A damaged line of the output that is JSON all the same must not end the start of a node."""
    picks = [{"phase": phase, "time": "t0"}, {"phase": "P", "time": "t1"}]
    sent = PickLog().changed_picks({"event_id": "e0", "picks": picks})
    assert [pick["phase"] for pick in sent] == [phase, "P"]
