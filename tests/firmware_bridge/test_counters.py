"""Wrapping counters unwrapped."""

import pytest
from eqedge.firmware_bridge.counters import Unwrapper, distance, unwrap
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("bits", [16, 32])
def test_a_counter_is_followed_through_many_turns(bits):
    """Steps of a third of a turn, ten turns long, come out as the true count."""
    follow = Unwrapper(bits)
    turn = 1 << bits
    for true in range(5, 10 * turn, turn // 3):
        assert follow(true % turn) == true


@pytest.mark.parametrize("bits", [16, 32])
def test_steps_back_are_steps_back(bits):
    """A late value just before the wrap is not taken for a turn ahead."""
    follow = Unwrapper(bits)
    top = (1 << bits) - 2
    assert [follow(v) for v in (top, 1, top + 1, 3)] == [top, top + 3, top + 1, top + 5]


@given(st.integers(0, 2**48), st.integers(-(2**31) + 1, 2**31 - 1))
def test_unwrap_is_right_within_half_a_turn(true, error):
    """The guess may be wrong by just under half a turn."""
    assert unwrap(true % 2**32, true + error, 32) == true


def test_an_outage_longer_than_a_turn_needs_the_expected_value():
    """With the elapsed time's guess, even two lost turns of a 16-bit counter are recovered."""
    follow = Unwrapper(16)
    follow(100)
    assert follow((100 + 150_000) % 65_536, expected=100 + 149_000) == 150_100


def test_restart_forgets():
    """After a reset the small new value is not pulled up to the old turns."""
    follow = Unwrapper(16)
    follow(65_000)
    follow(1_000)
    follow.restart()
    assert follow(3) == 3


def test_distance_is_signed():
    """One past the wrap is one step, one before it is minus one."""
    assert distance(0, 0xFFFF, 16) == 1
    assert distance(0xFFFF, 0, 16) == -1
    assert distance(0, 0xFFFF_FFFF, 32) == 1
