"""Read the report of `eqedge evaluate` as networks and runs to draw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import reason_of
from ...models.reading import read_file
from ..evaluation.evaluate import AS_RUN, SCHEMA
from . import plot_style
from .canvas import PlotError

SCORES_BYTES = 1 << 28
"""Largest report that is read."""


@dataclass(frozen=True)
class Series:
    """One network or run of a report.

    Attributes:
        name: As the report has it.
        scores: At one pair of thresholds.
        sweep: Over all thresholds; empty for a run.
    """

    name: str
    scores: Mapping[str, Any]
    sweep: Mapping[str, Any]


def read_series(path: Path, at: str | None) -> list[Series]:
    """Read the networks and runs of a report.

    Args:
        path: JSON of `eqedge evaluate`.
        at: Pair of thresholds, `P 0.3, S 0.3`; None takes each one's first.

    Raises:
        PlotError: The file is not such a report, holds more than can be distinguished, or has
            nothing at these thresholds.
    """
    try:
        report = json.loads(read_file(path, SCORES_BYTES))
        if report["schema"] != SCHEMA:
            raise PlotError(f"{path}: schema {report['schema']}; run eqedge evaluate again")
        found = []
        for name, one in {**report["models"], **report["runs"]}.items():
            pairs = one["scores"]
            pair = next(iter(pairs)) if at is None or AS_RUN in pairs else at
            if pair not in pairs:
                raise PlotError(f"{path}: {name} has no {at!r}, only {'; '.join(pairs)}")
            for phase in "PS":
                pairs[pair][phase]["pooled"]["recall"], pairs[pair]["residuals"][phase]["histogram"]
            found.append(Series(name, pairs[pair], one.get("sweep", {})))
    except OSError as error:
        raise PlotError(f"{path}: {reason_of(error)}; give the JSON of eqedge evaluate") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlotError(f"{path}: no scores; give the JSON of eqedge evaluate") from error
    if not 1 <= len(found) <= len(plot_style.SERIES):
        raise PlotError(
            f"{path}: {len(found)} networks and runs; draw 1 to {len(plot_style.SERIES)}"
        )
    return found
