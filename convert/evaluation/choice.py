"""The best threshold, chosen on one half of the stations and reported on the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..training.outcomes import Outcomes
from .account import Account
from .intervals import SEED, phase_intervals

LEAST_BY_HAND = 10
"""Manually picked windows that each half needs for the choice to rest on them alone."""


def chosen(account: Account) -> dict[str, Any] | None:
    """Choose each phase's threshold of the highest F1 on either half, report on the other.

    Automatic catalogues lack events, which drives a threshold up for nothing: where there are
    enough manually picked records, the choice and the report rest on those.

    Returns:
        The account's `chosen`; None with fewer than two stations and events.
    """
    kind, half = halves(account)
    if kind is None:
        return None
    by_hand = np.array([subject.manual for subject in account.events])
    enough = min((by_hand & half).sum(), (by_hand & ~half).sum()) >= LEAST_BY_HAND
    used = by_hand if enough else np.ones(len(half), bool)
    report: dict[str, Any] = {
        "halves_by": kind,
        "rows": "manually_picked" if enough else "pooled",
        "windows": [int((used & half).sum()), int((used & ~half).sum())],
    }
    for name, outcomes in (("P", account.P), ("S", account.S)):
        folds = []
        for chosen_on, told_on in ((used & half, used & ~half), (used & ~half, used & half)):
            column = best(outcomes.rows(chosen_on))
            told = outcomes.rows(told_on)
            units = np.array(account.units)[told_on].tolist()
            folds.append(
                {
                    "threshold": account.thresholds[column],
                    "f1_where_chosen": outcomes.rows(chosen_on).score(column).row()["f1"],
                    "on_the_other": told.score(column).row()
                    | {"interval": phase_intervals(units, told, column)},
                }
            )
        report[name] = {"folds": folds, "threshold": account.thresholds[best(outcomes.rows(used))]}
    return report


def best(outcomes: Outcomes) -> int:
    """Column of the highest F1; of equals the middle one."""
    f1 = np.array([outcomes.score(k).f1 for k in range(outcomes.hit.shape[1])])
    equal = np.flatnonzero(f1 >= f1.max() - 1e-9)
    return int(equal[len(equal) // 2])


def halves(account: Account) -> tuple[str | None, NDArray[np.bool_]]:
    """Split the windows in two by station, or by event where there is but one station.

    Returns:
        What they were split by, or None, and (n,) whether each is in the first half.
    """
    for kind, units in (
        ("station", [subject.station for subject in account.events]),
        ("event", list(account.units)),
    ):
        names, of_row = np.unique(np.array(units, dtype=str), return_inverse=True)
        if len(names) < 2:
            continue
        size = np.bincount(of_row)
        first, sizes = np.zeros(len(names), bool), [0, 0]
        for number in np.random.default_rng(SEED).permutation(len(names)).tolist():
            lighter = sizes[0] <= sizes[1]
            first[number] = lighter
            sizes[0 if lighter else 1] += int(size[number])
        return kind, first[of_row]
    return None, np.zeros(len(account.events), bool)
