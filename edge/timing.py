"""Time several functions turn by turn, so that other load on the machine slows all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray


def interleaved(
    runs: Sequence[Callable[[], object]],
    rounds: int,
    *,
    runs_a_turn: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> NDArray[np.float64]:
    """Call every function in turn, round by round.

    Args:
        runs: What to time.
        rounds: Turns of each.
        runs_a_turn: Calls in one turn; the quickest counts, since the first finds the caches full
            of the others' data.
        clock: Returns seconds: `time.perf_counter` for wall time, `time.process_time` for
            processor time, which does not count the time that other processes had.

    Returns:
        (runs, rounds) seconds.
    """
    seconds = np.empty((len(runs), rounds))
    for turn in range(rounds):
        for which, run in enumerate(runs):
            seconds[which, turn] = min(_timed(run, clock) for _ in range(runs_a_turn))
    return seconds


def _timed(run: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start
