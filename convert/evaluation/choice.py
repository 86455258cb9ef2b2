"""Choose the best threshold on one half of the stations, and report it on the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.matching import Outcomes
from .intervals import SEED, phase_intervals
from .score_table import ScoreTable

LEAST_BY_HAND = 10
"""Manually picked windows that each half needs for the choice to rest on them alone."""


def chosen(scores: ScoreTable) -> dict[str, Any] | None:
    """Choose each phase's threshold of the highest F1 on either half, report on the other.

    Automatic catalogues lack events, which drives a threshold up for nothing: where there are
    enough manually picked records, the choice and the report rest on those.

    Returns:
        The `chosen` of a report; None with fewer than two stations and events.
    """
    by_hand = np.array([subject.record.manual for subject in scores.events], bool)
    kind, half = halves(scores, by_hand)
    enough = min((by_hand & half).sum(), (by_hand & ~half).sum()) >= LEAST_BY_HAND
    used = by_hand if enough else np.ones(len(by_hand), bool)
    if not enough:
        kind, half = halves(scores, used)
    if kind is None:
        return None
    report: dict[str, Any] = {
        "halves_by": kind,
        "rows": "manually_picked" if enough else "pooled",
        "windows": [int((used & half).sum()), int((used & ~half).sum())],
    }
    for name, outcomes in (("P", scores.P), ("S", scores.S)):
        folds = []
        for chosen_on, reported_on in ((used & half, used & ~half), (used & ~half, used & half)):
            column = best(outcomes.rows(chosen_on))
            other = outcomes.rows(reported_on)
            units = np.array(scores.units)[reported_on].tolist()
            folds.append(
                {
                    "threshold": scores.thresholds[column],
                    "f1_where_chosen": outcomes.rows(chosen_on).score(column).row()["f1"],
                    "on_the_other": other.score(column).row()
                    | {"interval": phase_intervals(units, other, column)},
                }
            )
        report[name] = {"folds": folds, "threshold": scores.thresholds[best(outcomes.rows(used))]}
    return report


def best(outcomes: Outcomes) -> int:
    """Column of the highest F1; of equals the middle one."""
    f1 = np.array([outcomes.score(k).f1 for k in range(outcomes.hit.shape[1])])
    equal = np.flatnonzero(f1 >= f1.max() - 1e-9)
    return int(equal[len(equal) // 2])


def halves(scores: ScoreTable, used: NDArray[np.bool_]) -> tuple[str | None, NDArray[np.bool_]]:
    """Split the windows in two by station, or by event where there is but one station.

    Args:
        scores: Of n windows.
        used: (n,) those of which each half is to have as many.

    Returns:
        What they were split by, or None, and (n,) whether each is in the first half.
    """
    for kind, units in (
        ("station", [subject.record.station for subject in scores.events]),
        ("event", list(scores.units)),
    ):
        names, of_row = np.unique(np.array(units, dtype=str), return_inverse=True)
        size = np.bincount(of_row, weights=used, minlength=len(names))
        if np.count_nonzero(size) < 2:
            continue
        order = np.random.default_rng(SEED).permutation(len(names))
        first, lead = np.zeros(len(names), bool), 0.0
        # the largest first, each to the lighter half
        for number in order[np.argsort(-size[order], kind="stable")].tolist():
            first[number] = lead <= 0
            lead += size[number] if lead <= 0 else -size[number]
        return kind, first[of_row]
    return None, np.zeros(len(scores.events), bool)
