"""Pickers' answers shifted so that the threshold of the best F1 is the one that everybody uses.

A loss that counts onsets more than noise makes a network too sure of itself: its best threshold
then lies anywhere. The stations trained on show where, and the last bias moves it back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.matching import Outcomes, verdicts_of
from ..data.picker import Predict
from .score import Trial

GRID = tuple(round(0.1 + 0.05 * k, 2) for k in range(17))
"""Thresholds tried."""
CENTRE = 0.3
"""Where the best one is put: the default of `models.spec.Thresholds`."""
NEAR = 0.002
"""F1 that differs by less is as good."""


def best_threshold(predict: Predict, trial: Trial, head: int) -> float:
    """Return the threshold of the highest F1 over a trial's manually picked windows.

    Picks where every teacher has one too are set aside. Of equally good thresholds the middle one.

    Args:
        predict: The network.
        trial: Windows of the stations trained on.
        head: 1 for P, 2 for S.
    """
    events = [event for event in trial.events if event.labels.manual]
    if not events:
        return CENTRE
    labels = [event.labels.arrival("P" if head == 1 else "S") for event in events]
    answers: Sequence[NDArray[np.float32]] = list(predict(np.stack([e.window for e in events])))
    outcomes = Outcomes.of(
        [label is not None for label in labels],
        [
            verdicts_of(answer[:, head], GRID, label, event.unlabelled[head - 1])
            for event, answer, label in zip(events, answers, labels, strict=True)
        ],
        thresholds=len(GRID),
    )
    f1 = np.array([outcomes.score(k, set_aside=True).f1 for k in range(len(GRID))])
    equal = np.flatnonzero(f1 >= f1.max() - NEAR)
    return GRID[int(equal[len(equal) // 2])]


def shift_to_centre(threshold: float) -> float:
    """Logits to add to a head's bias so that an answer of `threshold` becomes CENTRE."""
    return float(np.log(CENTRE / (1 - CENTRE)) - np.log(threshold / (1 - threshold)))
