"""Sum up how far picks are from labelled arrivals, each arrival once and not by its windows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models.spec import RATE_HZ
from ..data.matching import NO_PICK, TOLERANCE_SAMPLES, Outcomes
from ..data.records import Record
from .subjects import Subject

PERCENTILES = (5, 25, 50, 75, 95)


def arrivals(subjects: Sequence[Subject], outcomes: Outcomes, column: int) -> dict[str, Any]:
    """Return residuals of the pick nearest to each labelled arrival, tails included.

    An arrival that lies in several windows has the residual of the window in the middle, in the
    order of distance; a window without a pick comes last.

    Args:
        subjects: Of each window.
        outcomes: Of each window.
        column: The threshold.

    Returns:
        `labelled` arrivals of `events` earthquakes, and of these: `without_pick`, `earlier` and
        `later` than the tolerance, and `histogram` of those within it, sample by sample.
        `percentiles_s` are of all arrivals that have a pick.
    """
    windows: dict[Record, list[int]] = defaultdict(list)
    events: set[str] = set()
    nearest = outcomes.nearest[:, column].tolist()
    for subject, labelled, residual in zip(
        subjects, outcomes.labelled.tolist(), nearest, strict=True
    ):
        if labelled:
            windows[subject.record].append(residual)
            events.add(subject.event)
    middle = [sorted(own, key=abs)[(len(own) - 1) // 2] for own in windows.values()]
    picked = np.array([residual for residual in middle if residual != NO_PICK], np.int64)
    inside = picked[np.abs(picked) <= TOLERANCE_SAMPLES]
    counts = np.bincount(inside + TOLERANCE_SAMPLES, minlength=2 * TOLERANCE_SAMPLES + 1)
    spread = np.percentile(picked, PERCENTILES) / RATE_HZ if len(picked) else None
    return {
        "labelled": len(middle),
        "events": len(events),
        "without_pick": len(middle) - len(picked),
        "earlier": int((picked < -TOLERANCE_SAMPLES).sum()),
        "later": int((picked > TOLERANCE_SAMPLES).sum()),
        "percentiles_s": None
        if spread is None
        else {f"{p}": round(float(x), 4) for p, x in zip(PERCENTILES, spread, strict=True)},
        "histogram": {
            "first_s": -TOLERANCE_SAMPLES / RATE_HZ,
            "step_s": 1 / RATE_HZ,
            "counts": counts.tolist(),
        },
    }
