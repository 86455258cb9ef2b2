"""Functions are timed in turn, by a clock that the caller chooses."""

import numpy as np
from eqedge.edge.timing import interleaved


def test_functions_take_turns_and_the_quickest_call_of_a_turn_counts():
    """Two rounds of two calls: A A B B A A B B, with the clock that they move."""
    now, order = 0.0, []
    lasts = {"a": iter([3.0, 1.0, 2.0, 5.0]), "b": iter([7.0, 8.0, 4.0, 0.5])}

    def run(name):
        nonlocal now
        order.append(name)
        now += next(lasts[name])

    seconds = interleaved([lambda: run("a"), lambda: run("b")], 2, runs_a_turn=2, clock=lambda: now)
    assert "".join(order) == "aabbaabb"
    assert np.array_equal(seconds, [[1.0, 2.0], [7.0, 0.5]])
