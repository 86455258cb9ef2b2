"""Times from before the clock was set, corrected."""

import json

import jsonschema
import numpy as np
import pytest
from eqedge.edge.delivery.file import to_line
from eqedge.edge.delivery.pick_log import PickLog
from eqedge.edge.delivery.redate import redate
from eqedge.edge.types import ClockState, Window
from hypothesis import given
from hypothesis import strategies as st

from ..test_message import SCHEMA, VERTICAL, node, trigger

YEAR_2200_US = 7_258_118_400_000_000


def message_at(model, start_ns, synced=False, source="host"):
    """Return a message whose window begins at that time."""
    samples = np.zeros((6000, 3), np.float32)
    seen = Window(0, start_ns, samples, 100.0, ClockState(source, synced))
    return node(model).message(trigger(seen=seen), VERTICAL, 0)


@given(
    st.integers(0, YEAR_2200_US * 1000),
    st.integers(-YEAR_2200_US // 4, YEAR_2200_US // 4).filter(lambda us: abs(us) >= 1000),
)
def test_a_redated_message_is_the_one_of_a_good_clock(model, start_ns, moved_us):
    """Whenever it was made and however UTC was moved since: all times, and nothing else, move."""
    made = message_at(model, start_ns)
    late = json.loads(redate(to_line(made), moved_us / 1e6))
    right = message_at(model, start_ns + moved_us * 1000)
    assert late == {**right, "redated_s": moved_us / 1e6}
    assert late["event_id"] == made["event_id"] and late["clock"]["synced"] is False
    picks = [
        json.loads(redate(to_line(one), moved_us / 1e6)) for one in PickLog().changed_picks(made)
    ]
    assert picks == [{**one, "redated_s": moved_us / 1e6} for one in PickLog().changed_picks(right)]


def test_a_redated_message_keeps_the_schema(model):
    """From 1970 to this century."""
    late = json.loads(redate(to_line(message_at(model, 40_000_000_000)), 1.79e9))
    jsonschema.validate(late, SCHEMA)
    assert late["picks"][0]["time"].startswith("2026-") and late["redated_s"] == 1.79e9


@pytest.mark.parametrize("change", [{"synced": True}, {"synced": True, "source": "pps"}])
def test_what_a_good_clock_dated_is_left(model, change):
    """Its times were right when it was made, whatever steps UTC made since."""
    payload = to_line(message_at(model, 10**18, **change))
    assert redate(payload, 3600.0) == payload


def test_what_nobody_can_or_need_move_is_left(model):
    """A step too small, times that cannot be read, and payloads that only look like a message."""
    payload = to_line(message_at(model, 10**18))
    assert redate(payload, 0.0009) == payload
    for odd in ({"time": "t1"}, {"time": None}, {"time_ns": "1"}):
        payload = to_line({"clock": {"synced": False}, "picks": [odd]})
        assert redate(payload, 3600.0) == payload
    payload = to_line({"other": {"synced": False}, "time_ns": 1})
    assert redate(payload, 3600.0) == payload
