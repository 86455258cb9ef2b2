"""Estimate how far a score may be chance: a bootstrap over events, with all their windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.spec import RATE_HZ
from ..data.matching import Outcomes

RESAMPLES = 1000
COVERAGE_PERCENT = 95
SEED = 20260101
NONE_SEEN = 3.689
"""With this many expected, none is seen once in forty: the upper limit where none was."""
MOST_UNITS = 2000
"""Of more events, some are drawn together, at random: the interval is the same, and soon there."""

Interval = list[float] | None
"""Lower and upper limit; None where fewer than two events could be drawn from."""


def resampled(units: Sequence[str], parts: NDArray[Any]) -> NDArray[np.float64] | None:
    """Sum what belongs to events drawn with replacement.

    Args:
        units: (n,) event of each row.
        parts: (n, k) what is to be summed.

    Returns:
        (RESAMPLES, k) sums; None with fewer than two events.
    """
    names, of_row = np.unique(np.asarray(units, dtype=object).astype(str), return_inverse=True)
    if len(names) < 2:
        return None
    rng = np.random.default_rng(SEED)
    n = min(len(names), MOST_UNITS)
    together = rng.permutation(len(names)) % n
    by_unit = np.zeros((n, parts.shape[1]))
    np.add.at(by_unit, together[of_row], parts)
    return np.asarray(rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) @ by_unit)


def phase_intervals(
    units: Sequence[str], outcomes: Outcomes, column: int, set_aside: bool = False
) -> dict[str, Interval]:
    """Return intervals of a phase's rates and of its mean absolute residual, by their names."""
    hit = outcomes.hit[:, column]
    false = (outcomes.false_set_aside if set_aside else outcomes.false)[:, column]
    residual = np.where(hit, np.abs(outcomes.residual[:, column]), 0) / RATE_HZ
    missed = outcomes.labelled & ~hit
    sums = resampled(units, np.column_stack([hit, missed, false, residual]))
    if sums is None:
        return dict.fromkeys(("f1", "precision", "recall", "mean_absolute_s"))
    found, missed_sum, false_sum, residual_sum = sums.T
    return {
        "f1": _limits(2 * found, 2 * found + missed_sum + false_sum),
        "precision": _limits(found, found + false_sum),
        "recall": _limits(found, found + missed_sum),
        "mean_absolute_s": _limits(residual_sum, found),
    }


def rate_interval(
    units: Sequence[str], counts: NDArray[np.int32], seconds: NDArray[np.float64]
) -> Interval:
    """Return the interval of a count an hour.

    Args:
        units: (n,) of each stretch.
        counts: (n,) in it.
        seconds: (n,) its length.
    """
    hours = seconds / 3600
    if len(counts) and not counts.any():
        return [0.0, round(NONE_SEEN / float(hours.sum()), 4)]
    sums = resampled(units, np.column_stack([counts, hours]))
    return None if sums is None else _limits(sums[:, 0], sums[:, 1])


def share_intervals(units: Sequence[str], yes: NDArray[np.bool_]) -> list[Interval]:
    """Return the interval of each column's share of (n, k) answers."""
    sums = resampled(units, np.column_stack([yes, np.ones(len(yes))]))
    if sums is None:
        return [None] * yes.shape[1]
    return [_limits(sums[:, k], sums[:, -1]) for k in range(yes.shape[1])]


def _limits(above: NDArray[np.float64], below: NDArray[np.float64]) -> Interval:
    fit = below > 0
    if not fit.any():
        return None
    tail = (100 - COVERAGE_PERCENT) / 2
    low, high = np.percentile(above[fit] / below[fit], [tail, 100 - tail])
    return [round(float(low), 4), round(float(high), 4)]
