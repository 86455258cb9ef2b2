"""Draw the scores of `eqedge evaluate`: residuals, precision against recall, onset latency."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import reason_of
from ..evaluation.evaluate import AS_RUN, SCHEMA
from . import plot_style
from .canvas import PlotError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SQUARE_INCHES = (7.0, 3.6)
CURVE_INCHES = (6.2, 3.5)
BIN_SAMPLES = 5
"""Samples of a residual's histogram in one bar."""
MARKED_THRESHOLDS = (0.1, 0.2, 0.3, 0.5, 0.7)
F1_LINES = (0.6, 0.7, 0.8, 0.9)
LOWEST = 0.4
"""Where the axes of precision and recall begin, unless one of these thresholds lies below."""


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
        report = json.loads(path.read_text(encoding="utf-8"))
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


def residuals_inches(series: Sequence[Series]) -> tuple[float, float]:
    """Width and height of a figure of residuals."""
    return 7.0, 0.5 + 1.3 * len(series)


def draw_residuals(figure: Figure, series: Sequence[Series]) -> None:
    """Draw histograms of P's and S's residuals, a row for each network or run.

    Args:
        figure: Empty.
        series: In order.
    """
    axes = figure.subplots(len(series), 2, sharex=True, sharey=True, squeeze=False)
    for row, one in zip(axes, series, strict=True):
        for axis, phase, line in zip(row, "PS", (plot_style.P, plot_style.S), strict=True):
            residuals = one.scores["residuals"][phase]
            edges, shares = _bars(residuals["histogram"])
            axis.stairs(shares, edges, fill=True, color=line.colour, alpha=0.35)
            axis.stairs(shares, edges, color=line.colour, linewidth=0.9)
            axis.axvline(0, color="k", linewidth=0.5)
            axis.set_xlim(-0.55, 0.55)
            lines = [f"{phase}: {residuals['picks']} picks"]
            if residuals["picks"]:
                lines.append(f"mean {residuals['mean_s']:+.3f} s")
                lines.append(f"mean absolute {residuals['mean_absolute_s']:.3f} s")
            axis.text(
                0.02, 0.96, "\n".join(lines), transform=axis.transAxes, va="top", fontsize=6.5
            )
        row[0].set_title(one.name, loc="left")
        row[0].set_ylabel("share of right picks")
    for axis in axes[-1]:
        axis.set_xlabel("pick less label (s)")


def draw_precision_recall(figure: Figure, series: Sequence[Series], rows: str) -> None:
    """Draw precision against recall over all thresholds; a run is a point.

    Args:
        figure: Empty.
        series: At most as many as `plot_style.SERIES`.
        rows: `pooled` or `manually_picked`.
    """
    axes = figure.subplots(1, 2)
    lowest = LOWEST
    for axis, phase in zip(axes, "PS", strict=True):
        for one, line in zip(series, plot_style.SERIES, strict=False):
            if one.sweep:
                curve = one.sweep[phase][rows]
                recall, precision = np.array(curve["recall"]), np.array(curve["precision"])
                marked = [k for k, t in enumerate(one.sweep["threshold"]) if t in MARKED_THRESHOLDS]
                seen = recall > 0
                axis.plot(
                    recall[seen], precision[seen], color=line.colour, linestyle=line.style,
                    label=one.name,
                )  # fmt: skip
                axis.plot(
                    recall[marked], precision[marked], color=line.colour, linestyle="",
                    marker=line.marker, markersize=3.5,
                )  # fmt: skip
                if one is series[0]:
                    _thresholds(axis, one, recall, precision, marked, line.colour)
            else:
                row = one.scores[phase][rows]
                recall, precision = np.array([row["recall"]]), np.array([row["precision"]])
                axis.plot(
                    recall, precision, color=line.colour, linestyle="", marker=line.marker,
                    markersize=6, label=one.name,
                )  # fmt: skip
                marked = [0]
            lowest = min([lowest, *recall[marked], *precision[marked]])
    lowest = np.floor(10 * lowest) / 10
    for axis, phase in zip(axes, "PS", strict=True):
        _f1_lines(axis, lowest)
        axis.set_xlim(lowest, 1.01)
        axis.set_ylim(lowest, 1.01)
        axis.set_aspect("equal")
        axis.set_title(phase, loc="left", fontweight="bold")
        axis.set_xlabel("recall")
        axis.set_ylabel("precision")
    axes[0].legend(loc="lower left")
    figure.suptitle(f"Records: {rows.replace('_', ' ')}", fontsize=8)


def draw_onset(figure: Figure, series: Sequence[Series]) -> None:
    """Draw the share of P announced over the time since their arrival, with intervals.

    Args:
        figure: Empty.
        series: At most as many as `plot_style.SERIES`.

    Raises:
        PlotError: None of them has an onset.
    """
    axis = figure.subplots()
    drawn = 0
    for number, (one, line) in enumerate(zip(series, plot_style.SERIES, strict=False)):
        onset = one.scores.get("live_onset")
        if onset is None:
            continue
        drawn += 1
        curve = onset["curve"]
        ages = np.array(curve["age_s"])
        axis.step(
            ages, curve["announced"], where="post", color=line.colour, linestyle=line.style,
            label=f"{one.name}, {_median(onset)}",
        )  # fmt: skip
        for age, interval in onset["interval"].items():
            at = float(age) + 0.06 * (number - (len(series) - 1) / 2)
            share = onset["announced_by_s"][age]
            low, high = interval or (share, share)
            axis.errorbar(
                at, share, yerr=[[max(0.0, share - low)], [max(0.0, high - share)]],
                color=line.colour, marker=line.marker, markersize=3.5, linewidth=0.8, capsize=2,
            )  # fmt: skip
    if not drawn:
        raise PlotError("no onset in these scores: no P with 4.5 s of noise before it")
    axis.set_xlim(0, 10)
    axis.set_ylim(0, 1.03)
    axis.grid(axis="y", color=plot_style.FAINT, linewidth=0.4)
    axis.set_xlabel("data after the P arrival (s)")
    axis.set_ylabel("share of P announced")
    figure.legend(loc="outside lower center", ncols=2)


def _median(onset: Mapping[str, Any]) -> str:
    median = onset["median_s"]
    latency = "below 50 %" if median is None else f"median {median:.2f} s"
    return f"{latency} ({onset['events']} events)"


def _bars(histogram: Mapping[str, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Edges in seconds, and shares: bars of five samples, the middle one about zero."""
    counts = np.array(histogram["counts"], float)
    middle = len(counts) // 2
    of_bar = (np.arange(len(counts)) - middle + BIN_SAMPLES // 2) // BIN_SAMPLES
    sums = np.bincount(of_bar - of_bar.min(), weights=counts)
    first = (of_bar.min() * BIN_SAMPLES - BIN_SAMPLES / 2) * histogram["step_s"]
    edges = first + np.arange(len(sums) + 1) * BIN_SAMPLES * histogram["step_s"]
    return edges, sums / max(1.0, sums.sum())


def _thresholds(
    axis: Any, one: Series, recall: Any, precision: Any, marked: Sequence[int], colour: str
) -> None:
    """Write the thresholds beside the first curve's markers, where they do not collide."""
    last: tuple[float, float] | None = None
    for k in marked:
        at = (float(recall[k]), float(precision[k]))
        if not at[0] or (last and abs(at[0] - last[0]) + abs(at[1] - last[1]) < 0.03):
            continue
        last = at
        axis.annotate(
            f"{one.sweep['threshold'][k]:g}", at, xytext=(4, 2), textcoords="offset points",
            ha="left", va="bottom", fontsize=6.5, color=colour,
        )  # fmt: skip


def _f1_lines(axis: Any, lowest: float) -> None:
    recall = np.linspace(0.01, 1, 400)
    for f1 in F1_LINES:
        below = 2 * recall - f1
        precision = np.where(below > 0, f1 * recall / np.where(below > 0, below, 1), np.nan)
        inside = (precision <= 1.0) & (precision >= lowest) & (recall >= lowest)
        if not inside.any():
            continue
        axis.plot(
            recall[inside], precision[inside], color=plot_style.FAINT, linewidth=0.6, zorder=0
        )
        end = int(np.flatnonzero(inside)[0])
        axis.annotate(
            f"F1 {f1:g}", (recall[end], precision[end]), fontsize=6, color="#777777",
            ha="left", va="bottom", rotation=0,
        )  # fmt: skip
