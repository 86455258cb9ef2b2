"""Overlapping windows become one curve."""

import numpy as np
from eqedge.edge.stack import Stack
from eqedge.edge.types import ClockState, Probabilities, Window

from .curves import LENGTH, RATE, SIM, stream, windows


def test_agreeing_windows_give_their_own_value():
    """Where all windows have the same answer the stack has it too, however they are weighted."""
    curves = stream(90, {"p": 7000, "s": 7500})
    stack = Stack(LENGTH, RATE)
    for probabilities in windows(curves):
        stacked = stack.push(probabilities)
        first = probabilities.window.first_sample
        np.testing.assert_allclose(stacked.values, curves[first : first + LENGTH], atol=1e-5)


def test_seen_counts_windows():
    """Every sample knows how many windows have covered it."""
    stack = Stack(LENGTH, RATE)
    for index, probabilities in enumerate(windows(stream(65))):
        seen = stack.push(probabilities).seen
        assert seen[-1] == 1
        assert seen[0] == index + 1
        assert (np.diff(seen) <= 0).all()


def test_a_windows_edge_counts_less_than_its_middle():
    """A new sample seen at the edge first is judged by the fuller view that follows."""
    stack = Stack(LENGTH, RATE)
    edge = np.zeros((LENGTH, 3), dtype=np.float32)
    later = np.ones((LENGTH, 3), dtype=np.float32)
    for values, first in ((edge, 0), (later, 6 * RATE)):
        window = Window(first, 0, values, RATE, SIM)
        stacked = stack.push(Probabilities(window, values, 0.0))
    just_before_the_first_end = LENGTH - 6 * RATE - 1
    assert stacked.values[just_before_the_first_end, 1] > 0.9
    assert 0.4 < stacked.values[LENGTH // 2, 1] < 0.6


def test_a_new_segment_remembers_nothing():
    """After a gap the stack holds the new window alone."""
    stack = Stack(LENGTH, RATE)
    ones = np.ones((LENGTH, 3), dtype=np.float32)
    stack.push(Probabilities(Window(0, 0, ones, RATE, SIM, segment=1), ones, 0.0))
    fresh = np.zeros((LENGTH, 3), dtype=np.float32)
    window = Window(100, 0, fresh, RATE, ClockState("sim", True), segment=2)
    stacked = stack.push(Probabilities(window, fresh, 0.0))
    assert stacked.values.max() == 0
    assert stacked.seen.max() == 1


def test_a_short_window_is_stacked_at_the_end():
    """The first windows of a stream that has not lasted a minute are as long as the stream."""
    stack = Stack(LENGTH, RATE)
    short = np.full((500, 3), 0.5, dtype=np.float32)
    stacked = stack.push(Probabilities(Window(0, 0, short, RATE, SIM), short, 0.0))
    assert stacked.values.shape == (500, 3)
    np.testing.assert_allclose(stacked.values, 0.5, atol=1e-6)
