"""Draw precision against recall: a curve over all thresholds for a network, a point for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import plot_style
from .canvas import PlotError
from .lettering import fitted
from .placing import write_beside
from .plot_style import PHASES, SMALL, WIDTH_INCHES
from .scores import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKED_THRESHOLDS = (0.1, 0.2, 0.3, 0.5, 0.7)
F1_LINES = (0.6, 0.7, 0.8, 0.9)
LOWEST = 0.4
"""Where the axes of precision and recall begin, unless one of these thresholds lies below."""
TOP = 1.05
"""Where they end, with room for the texts of markers at 1."""
ROWS = {"pooled": "all records", "manually_picked": "records picked by hand"}


@dataclass(frozen=True, eq=False)
class Curve:
    """One network or run in one panel.

    Attributes:
        points: (n, 2) recall and precision over all thresholds; a run has one.
        marked: (m, 2) the same at `thresholds`.
        thresholds: (m,) those that are marked; of a run NaN.
    """

    points: NDArray[np.float64]
    marked: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def precision_recall_inches(series: Sequence[Series]) -> tuple[float, float]:
    """Width and height of the figure."""
    return WIDTH_INCHES, 3.9 + 0.17 * (-(-len(series) // 2))


def draw_precision_recall(figure: Figure, series: Sequence[Series], rows: str) -> None:
    """Draw precision against recall for P and for S.

    Args:
        figure: Empty.
        series: At most as many as `plot_style.SERIES`.
        rows: One of `ROWS`.

    Raises:
        PlotError: No record of these rows has a label.
    """
    axes = figure.subplots(1, 2)
    curves = {phase: [_curve(one, phase, rows) for one in series] for phase in PHASES}
    labels = {phase: max(_labels(one, phase, rows) for one in series) for phase in PHASES}
    if not any(labels.values()):
        other = next(name for name in ROWS if name != rows)
        raise PlotError(f"no label in these scores among {ROWS[rows]}; give --rows {other}")
    marked = np.concatenate([curve.marked.ravel() for own in curves.values() for curve in own])
    lowest = float(np.floor(min(LOWEST, marked.min(initial=LOWEST)) * 10) / 10)
    for axis, phase in zip(axes, PHASES, strict=True):
        for one, line, curve in zip(series, plot_style.SERIES, curves[phase], strict=False):
            _draw(axis, one, line, curve)
        _f1_lines(axis, lowest)
        axis.set_xlim(lowest, TOP)
        axis.set_ylim(lowest, TOP)
        axis.set_aspect("equal")
        axis.set_xlabel("recall")
        axis.set_title(f"{phase}, {labels[phase]} labelled windows", loc="left")
    axes[0].set_ylabel("precision")
    figure.suptitle(f"Precision and recall of picks, {ROWS[rows]}", fontsize=8.5)
    swept = [one for one in series if one.sweep]
    note = "Thresholds of the first network are written beside their markers." if swept else ""
    figure.legend(handles=_handles(series), loc="outside lower center", ncols=2, title=note or None)
    if swept:
        _write_thresholds(figure, axes, curves, list(series).index(swept[0]))


def _curve(one: Series, phase: str, rows: str) -> Curve:
    if not one.sweep:
        row = one.scores[phase][rows]
        point = np.array([[row["recall"], row["precision"]]])
        return Curve(point, point, np.array([np.nan]))
    swept = one.sweep[phase][rows]
    points = np.column_stack([swept["recall"], swept["precision"]])
    thresholds = np.array(one.sweep["threshold"])
    seen = points[:, 0] > 0  # without a right pick there is no curve
    marked = seen & np.isin(thresholds, MARKED_THRESHOLDS)
    return Curve(points[seen], points[marked], thresholds[marked])


def _labels(one: Series, phase: str, rows: str) -> int:
    row = one.scores[phase][rows]
    return int(row["found"] + row["missed"])


def _draw(axis: Axes, one: Series, line: plot_style.Line, curve: Curve) -> None:
    if one.sweep:
        axis.plot(*curve.points.T, color=line.colour, linestyle=line.style)
        axis.plot(
            *curve.marked.T, color=line.colour, linestyle="", marker=line.marker, markersize=4,
            clip_on=False,
        )  # fmt: skip
    else:
        axis.plot(
            *curve.points.T, color=line.colour, linestyle="", marker=line.marker, markersize=7,
            markerfacecolor="white", markeredgewidth=1.4, clip_on=False,
        )  # fmt: skip


def _handles(series: Sequence[Series]) -> list[Any]:
    from matplotlib.lines import Line2D

    marks = ", ".join(f"{t:g}" for t in MARKED_THRESHOLDS)
    handles = []
    for one, line in zip(series, plot_style.SERIES, strict=False):
        run: dict[str, Any] = {"markersize": 7, "markerfacecolor": "white", "markeredgewidth": 1.4}
        network: dict[str, Any] = {"linestyle": line.style, "markersize": 4}
        name = fitted(one.name if one.sweep else f"{one.name} (run)", WIDTH_INCHES / 2 - 0.8, 7.5)
        style = network if one.sweep else {"linestyle": "", **run}
        handles.append(Line2D([], [], color=line.colour, marker=line.marker, label=name, **style))
    if any(one.sweep for one in series):
        handles.append(
            Line2D(
                [], [], color=plot_style.DIM, linestyle="", marker="o", markersize=4,
                label=f"markers: thresholds {marks}",
            )
        )  # fmt: skip
    handles.append(Line2D([], [], color=plot_style.FAINT, linewidth=0.8, label="equal F1"))
    return handles


def _write_thresholds(
    figure: Figure, axes: Sequence[Axes], curves: Mapping[str, Sequence[Curve]], first: int
) -> None:
    """Write the thresholds of one network beside its markers."""
    figure.draw_without_rendering()  # places the axes
    for axis, own in zip(axes, curves.values(), strict=True):
        texts = [f"{threshold:g}" for threshold in own[first].thresholds]
        write_beside(
            axis, own[first].marked, texts, plot_style.SERIES[first].colour,
            avoid_points=[curve.marked for curve in own],
            avoid_lines=[curve.points for curve in own],
        )  # fmt: skip


def _f1_lines(axis: Axes, lowest: float) -> None:
    """Draw lines of equal F1, named at their right ends, outside the axes."""
    recall = np.linspace(max(lowest, 0.01), 1, 400)
    for f1 in F1_LINES:
        below = 2 * recall - f1
        precision = np.where(below > 0, f1 * recall / np.where(below > 0, below, 1), np.nan)
        inside = (precision <= 1.0) & (precision >= lowest)
        axis.plot(
            recall[inside], precision[inside], color=plot_style.FAINT, linewidth=0.8, zorder=0
        )
        axis.annotate(
            f"F1 {f1:g}", (1.0, f1 / (2 - f1)), xytext=(8, 0), textcoords="offset points",
            fontsize=SMALL, color=plot_style.DIM, ha="left", va="center", annotation_clip=False,
        )  # fmt: skip
