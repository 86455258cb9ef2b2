"""Summarise a score table as numbers for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.spec import RATE_HZ
from ..data.matching import TOLERANCE_SAMPLES, Outcomes, PhaseScore
from ..data.windows import ONSET_AGES_SAMPLES
from .arrivals import arrivals
from .choice import chosen
from .intervals import Interval, phase_intervals, rate_interval, share_intervals
from .score_table import Detections, Noise, Onsets, ScoreTable
from .stream import Stream
from .subjects import FACTS

AGES_S = tuple(age / RATE_HZ for age in ONSET_AGES_SAMPLES)
CURVE_STEP_S = 0.25
CURVE_END_S = 10.0
"""The curve of announced shares over the time since P, for pictures."""

Levels = tuple[float, float, float]
"""Thresholds of detection, P and S."""


def named(levels: Sequence[Levels]) -> dict[str, Levels]:
    """Name thresholds `P 0.3, S 0.3`, and that of detection too where the others are alike."""
    names: dict[str, Levels] = {}
    for detection, p, s in levels:
        name = f"P {p:g}, S {s:g}"
        if names.setdefault(name, (detection, p, s)) != (detection, p, s):
            names[f"{name}, detection {detection:g}"] = detection, p, s
    return names


def of_network(scores: ScoreTable, levels: Mapping[str, Levels]) -> dict[str, Any]:
    """Sum up a network at some thresholds, over all of them, and at the best.

    Args:
        scores: With a column for each of the thresholds.
        levels: By name.
    """
    return {
        "scores": {
            name: table(scores, scores.column(p), scores.column(s), scores.column(detection))
            for name, (detection, p, s) in levels.items()
        },
        "sweep": sweep(scores),
        "chosen": chosen(scores),
    }


def table(scores: ScoreTable, p: int, s: int, detection: int = 0) -> dict[str, Any]:
    """Sum up at one threshold of each head; keys as on the training card, and more.

    Args:
        scores: Of a network or a run.
        p: Column of P's threshold.
        s: Column of S's.
        detection: Column of detection's; a run has no detections.
    """
    by_hand = np.array([subject.record.manual for subject in scores.events], bool)
    source = np.array([subject.record.source for subject in scores.events], dtype=str)
    result: dict[str, Any] = {"events": len(scores.events)}
    for name, outcomes, column in (("P", scores.P, p), ("S", scores.S, s)):
        rows: dict[str, dict[str, Any]] = dict(
            outcomes.table(column, by_hand, source, scores.teachers)
        )
        for row_name, row in rows.items():
            mask = _mask(row_name, by_hand, source)
            row["interval"] = phase_intervals(
                _kept(scores.units, mask),
                outcomes.rows(mask),
                column,
                row_name == "unlabelled_set_aside",
            )
        result[name] = rows
    if scores.detections is not None:
        result["detection"] = detections(scores, scores.detections, detection)
    result["residuals"] = {
        "P": _residuals(scores.P, p) | {"arrivals": arrivals(scores.events, scores.P, p)},
        "S": _residuals(scores.S, s) | {"arrivals": arrivals(scores.events, scores.S, s)},
    }
    result["by"] = dict(_by_facts(scores, p, s))
    if len(scores.noise.seconds):
        result["noise"] = noise(scores.noise, p, s, detection)
    if len(scores.onsets.units):
        shares = scores.onsets.announced_at_age
        if all(age in shares for age in AGES_S):
            result["announced_by_s"] = {
                f"{age:g}": round(float(shares[age][:, p].mean()), 4) for age in AGES_S
            }
        result["live_onset"] = live_onset(scores.onsets, p)
    if scores.stream is not None:
        result["stream"] = stream(scores.stream, p)
    return result


def sweep(scores: ScoreTable) -> dict[str, Any]:
    """Return columns over all thresholds: precision, recall, F1, false picks, announced by 1 s."""
    by_hand = np.array([subject.record.manual for subject in scores.events], bool)
    result: dict[str, Any] = {"threshold": list(scores.thresholds)}
    every = range(len(scores.thresholds))
    for name, outcomes in (("P", scores.P), ("S", scores.S)):
        result[name] = {}
        for row, mask in (("pooled", np.ones(len(by_hand), bool)), ("manually_picked", by_hand)):
            rows = [outcomes.rows(mask).score(k) for k in every]
            result[name][row] = _curves(rows)
    if scores.detections is not None:
        rows = [scores.detections.outcomes.score(k) for k in every]
        result["detection"] = {"pooled": _curves(rows)}
    hours = scores.noise.seconds.sum() / 3600
    if hours:
        by_name = {"p": scores.noise.p, "s": scores.noise.s}
        if scores.noise.detections is not None:
            by_name["detections"] = scores.noise.detections
        for name, counts in by_name.items():
            rates = counts.sum(axis=0) / hours
            result[f"false_{name}_per_hour"] = [round(float(rate), 2) for rate in rates]
    if scores.stream is not None:
        rates = scores.stream.unconfirmed.sum(axis=0) / (scores.stream.seconds.sum() / 3600)
        result["unconfirmed_p_per_hour"] = [round(float(rate), 2) for rate in rates]
    if len(scores.onsets.units):
        by = (scores.onsets.first_s <= 1.0).mean(axis=0)
        result["announced_by_1_s"] = [round(float(share), 4) for share in by]
    return result


def detections(scores: ScoreTable, found: Detections, column: int) -> dict[str, Any]:
    """Sum up detection by the window: those of events found and missed, those of noise false."""
    result: dict[str, Any] = {}
    if scores.thresholds:
        result["threshold"] = scores.thresholds[column]
    rows = found.outcomes.table(column, found.by_hand, found.source, set_aside=False)
    for name, row in rows.items():
        if not row["found"] and not row["missed"] and name not in ("pooled", "manually_picked"):
            continue  # a data set of noise alone
        mask = _mask(name, found.by_hand, found.source)
        units = _kept(found.units, mask)
        intervals = phase_intervals(units, found.outcomes.rows(mask), column)
        del row["mean_absolute_s"], intervals["mean_absolute_s"]
        result[name] = row | {"interval": intervals}
    return result


def noise(scores: Noise, p: int, s: int, detection: int = 0) -> dict[str, Any]:
    """Count false picks and detections an hour and a day where no earthquake is known."""
    hours = float(scores.seconds.sum()) / 3600
    result: dict[str, Any] = {"windows": len(scores.seconds), "hours": round(hours, 3)}
    intervals: dict[str, Interval] = {}
    by_name = {"p": scores.p[:, p], "s": scores.s[:, s]}
    if scores.detections is not None:
        by_name["detections"] = scores.detections[:, detection]
    for name, counts in by_name.items():
        result[f"false_{name}_per_hour"] = round(int(counts.sum()) / hours, 2)
        result[f"false_{name}_per_day"] = round(24 * int(counts.sum()) / hours, 1)
        interval = rate_interval(scores.units, counts, scores.seconds)
        intervals[f"false_{name}_per_hour"] = interval
    if scores.late_p is not None:
        result["of_these_in_last_2_s"] = round(int(scores.late_p[:, p].sum()) / hours, 2)
    return result | {"interval": intervals}


def stream(scores: Stream, p: int) -> dict[str, Any]:
    """Count what is announced in continuous records, and what a later window does not confirm."""
    hours = float(scores.seconds.sum()) / 3600
    result: dict[str, Any] = {"hours": round(hours, 3)}
    intervals: dict[str, Interval] = {}
    for name, counts in (("announced", scores.announced), ("unconfirmed", scores.unconfirmed)):
        key = f"{name}_p_per_hour"
        result[key] = round(int(counts[:, p].sum()) / hours, 2)
        intervals[key] = rate_interval(scores.units, counts[:, p], scores.seconds)
    return result | {"interval": intervals}


def live_onset(scores: Onsets, p: int) -> dict[str, Any]:
    """Return how many P are announced by when; once announced, they stay so."""
    first = scores.first_s[:, p]
    by = np.column_stack([first <= age for age in AGES_S])
    median = float(np.median(first))
    ages = np.arange(0.0, CURVE_END_S + CURVE_STEP_S / 2, CURVE_STEP_S)
    return {
        "events": len(first),
        "hop_s": scores.hop_s,
        "announced_by_s": {
            f"{age:g}": round(float(share), 4)
            for age, share in zip(AGES_S, by.mean(axis=0), strict=True)
        },
        "interval": dict(
            zip((f"{a:g}" for a in AGES_S), share_intervals(scores.units, by), strict=True)
        ),
        "median_s": round(median, 3) if np.isfinite(median) else None,
        "curve": {
            "age_s": [round(float(age), 2) for age in ages],
            "announced": [round(float((first <= age + 1e-9).mean()), 4) for age in ages],
        },
    }


def _curves(scores: Sequence[PhaseScore]) -> dict[str, list[float]]:
    """Rates over the thresholds."""
    return {
        key: [round(getattr(one, key), 4) for one in scores]
        for key in ("precision", "recall", "f1")
    }


def _residuals(outcomes: Outcomes, column: int) -> dict[str, Any]:
    """Residuals of the right picks, later than the label positive, and their histogram."""
    samples = outcomes.residual[outcomes.hit[:, column], column]
    counts = np.bincount(samples + TOLERANCE_SAMPLES, minlength=2 * TOLERANCE_SAMPLES + 1)
    seconds = samples / RATE_HZ
    empty = not len(samples)
    return {
        "picks": len(samples),
        "mean_s": None if empty else round(float(seconds.mean()), 4),
        "median_s": None if empty else round(float(np.median(seconds)), 4),
        "deviation_s": None if empty else round(float(seconds.std()), 4),
        "mean_absolute_s": None if empty else round(float(np.abs(seconds).mean()), 4),
        "histogram": {
            "first_s": -TOLERANCE_SAMPLES / RATE_HZ,
            "step_s": 1 / RATE_HZ,
            "counts": counts.tolist(),
        },
    }


def _by_facts(scores: ScoreTable, p: int, s: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each fact that any event has, with a row for each bin that has events."""
    for fact, edges in FACTS.items():
        values = np.array([subject.facts.get(fact, np.nan) for subject in scores.events])
        if not np.isfinite(values).any():
            continue
        rows = []
        for low, high in zip((-np.inf, *edges), (*edges, np.inf), strict=True):
            mask = (values >= low) & (values < high)
            if not mask.any():
                continue
            row: dict[str, Any] = {
                "from": None if np.isinf(low) else low,
                "to": None if np.isinf(high) else high,
                "windows": int(mask.sum()),
            }
            for name, outcomes, column in (("P", scores.P, p), ("S", scores.S, s)):
                own = outcomes.rows(mask)
                intervals = phase_intervals(_kept(scores.units, mask), own, column)
                row[name] = own.score(column).row() | {"interval": intervals}
            rows.append(row)
        yield fact, rows


def _mask(row: str, by_hand: NDArray[np.bool_], source: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Windows that a row of `Outcomes.table` is made of."""
    if row in ("pooled", "unlabelled_set_aside"):
        return np.ones(len(by_hand), bool)
    return by_hand if row == "manually_picked" else np.asarray(source == row)


def _kept(units: Sequence[str], mask: NDArray[np.bool_]) -> list[str]:
    return [unit for unit, keep in zip(units, mask.tolist(), strict=True) if keep]
