"""Keep the weights of the lowest validation loss, and notice when it falls no more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Best:
    """The averaged weights of the lowest validation loss so far; a checkpoint has them.

    Attributes:
        loss: Their validation loss; infinite before the first one.
        steps: After how many steps they were.
        since: Validations since then.
        validated: Steps at the last validation.
        weights: The network's, as `Student.average`.
    """

    loss: float = math.inf
    steps: int = 0
    since: int = 0
    validated: int = 0
    weights: list[NDArray[Any]] = field(default_factory=list)

    def offer(self, loss: float, steps: int, weights: Sequence[NDArray[Any]]) -> None:
        """Take in a validation; of equal losses the earlier one stays.

        Args:
            loss: Validation loss.
            steps: Taken so far.
            weights: Averaged ones.
        """
        self.validated = steps
        self.since += 1
        if loss < self.loss:
            self.loss, self.steps, self.since = loss, steps, 0
            self.weights = [np.array(one) for one in weights]

    def is_stale(self, patience: int | None) -> bool:
        """Whether `patience` validations in a row brought nothing lower."""
        return patience is not None and self.since >= patience

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that a later process needs to continue."""
        numbers = np.array([self.loss, self.steps, self.since, self.validated], np.float64)
        return {"best": numbers} | {f"best/{k}": array for k, array in enumerate(self.weights)}

    @classmethod
    def of_state(cls, state: Mapping[str, NDArray[Any]]) -> Best:
        """Take up a `state`; a checkpoint of an older version has none."""
        if "best" not in state:
            return cls()
        loss, steps, since, validated = state["best"].tolist()
        count = sum(key.startswith("best/") for key in state)
        weights = [state[f"best/{k}"] for k in range(count)]
        return cls(loss, int(steps), int(since), int(validated), weights)
