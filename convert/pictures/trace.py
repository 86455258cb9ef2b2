"""Draw records, each as E, N, Z with its labels, and below them the probabilities of each model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...edge.prepare import COMPONENTS
from ...edge.replay.fields import unit_of
from ...edge.utc import utc_text
from . import plot_style
from .canvas import Page
from .lettering import fitted, inches
from .marks import arrivals, draw_pick, label_handles, pick_handles, verdict_line
from .numbers import compact, nice_below
from .plot_style import DETECTION, HEADS, PHASES, SMALL, WIDTH_INCHES
from .view import Answer, View, channel, facts_line, silence_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

PAGE_INCHES = 9.6
"""The highest figure of several records: a page, less its margins."""
COLUMNS = 2
PICK_HEIGHTS = {"P": 1.38, "S": 1.14}
"""Of symbols, on the scale of probabilities, so that a P and an S do not hide each other."""
LEGEND_INCHES = 0.85


def pages_of(views: Sequence[View]) -> list[Page]:
    """Lay out records: one fills a figure, several are set in two columns on as many as it needs.

    Args:
        views: One or more, with the same models.
    """
    models = len(views[0].answers)
    if len(views) == 1:
        height = 0.75 + 3 * 0.85 + models * 1.15 + LEGEND_INCHES
        return [Page((WIDTH_INCHES, height), partial(draw_traces, views=views))]
    cell = 0.9 + 3 * 0.4 + models * 0.74
    rows = max(1, int((PAGE_INCHES - LEGEND_INCHES) / cell))
    pages = []
    for first in range(0, len(views), rows * COLUMNS):
        chosen = views[first : first + rows * COLUMNS]
        height = -(-len(chosen) // COLUMNS) * cell + LEGEND_INCHES
        pages.append(Page((WIDTH_INCHES, height), partial(draw_traces, views=chosen)))
    return pages


def draw_traces(figure: Figure, views: Sequence[View]) -> None:
    """Draw the windows of some records into one figure.

    Args:
        figure: Empty.
        views: One, or as many as fit on a page.
    """
    if len(views) == 1:
        _draw_record(figure, views[0], WIDTH_INCHES - 1.15, whole=True)
    else:
        rows = -(-len(views) // COLUMNS)
        cells = figure.subfigures(rows, COLUMNS, squeeze=False).ravel()
        for cell, view in zip(cells, views, strict=False):
            _draw_record(cell, view, WIDTH_INCHES / COLUMNS - 0.8, whole=False)
    handles = _handles(views)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles) // 3, title=_note(views),
        columnspacing=1.4, handlelength=2.6,
    )  # fmt: skip


def _draw_record(figure: Figure | SubFigure, view: View, width: float, *, whole: bool) -> None:
    """Draw one record; `whole` is a figure of its own, with units at its axes."""
    models = len(view.answers)
    ratios = [1.0] * 3 + [1.35 if whole else 1.6] * models
    axes = figure.subplots(3 + models, 1, sharex=True, gridspec_kw={"height_ratios": ratios})
    unit = unit_of(view.trace.attributes)
    for column, (axis, component) in enumerate(zip(axes[:3], COMPONENTS, strict=True)):
        _waveform(axis, view, column, whole=whole)
        code = channel(view.trace, component)
        axis.set_ylabel(f"{code}\n({fitted(unit, 0.7, 8) or 'as in file'})" if whole else code)
        axis.tick_params(axis="x", length=0)
        axis.spines["bottom"].set_visible(False)
    for axis, answer in zip(axes[3:], view.answers, strict=True):
        _probabilities(axis, view, answer, width, whole=whole)
    for phase, at in arrivals(view.trace).items():
        line = PHASES[phase]
        if view.seconds[0] <= at <= view.seconds[-1]:
            for axis in axes:
                axis.axvline(at, color=line.colour, linestyle=line.label_style, linewidth=1.1)
    axes[-1].set_xlim(view.seconds[0], view.seconds[-1] + 1 / view.trace.rate_hz)
    axes[-1].set_xlabel(_since(view), fontsize=8 if whole else SMALL)
    size = 8.5 if whole else SMALL
    facts = [facts_line(view.trace), f"amplitudes in {unit}" if unit and not whole else ""]
    heading = [
        fitted(text, width, size) for text in (view.trace.name, ", ".join(filter(None, facts)))
    ]
    axes[0].set_title("\n".join(filter(None, heading)), loc="left", fontsize=size)
    if not whole:
        for axis in axes:
            axis.tick_params(labelsize=SMALL)
            axis.yaxis.label.set_size(SMALL)
    figure.align_ylabels(axes)


def _waveform(axis: Axes, view: View, column: int, *, whole: bool) -> None:
    """Draw one component about its mean, on a scale of its own."""
    samples = view.samples[:, column].astype(np.float64)
    samples = samples - samples.mean()
    silent = silence_of(view.samples[:, column])
    peak = 1.0 if silent else float(np.abs(samples).max())
    axis.plot(
        view.seconds, np.zeros_like(samples) if silent else samples,
        color=plot_style.WAVEFORM, linewidth=0.45,
    )  # fmt: skip
    axis.set_ylim(-1.1 * peak, 1.1 * peak)
    if silent:
        axis.set_yticks([])
        axis.text(
            0.5, 0.5, silent, transform=axis.transAxes, ha="center", va="center", zorder=6,
            bbox={"facecolor": "white", "edgecolor": "k", "linewidth": 0.6, "pad": 2.5},
        )  # fmt: skip
        return
    step = nice_below(peak)
    axis.set_yticks([-step, 0, step], [compact(-step), "0" if whole else "", compact(step)])


def _probabilities(axis: Axes, view: View, answer: Answer, width: float, *, whole: bool) -> None:
    seconds, values = answer.seconds, answer.probabilities
    axis.fill_between(seconds, 0, values[:, 0], color=plot_style.FAINT, linewidth=0)
    axis.plot(seconds, values[:, 0], color=DETECTION.colour, linewidth=0.6)
    for column, phase in ((1, "P"), (2, "S")):
        axis.plot(seconds, values[:, column], color=PHASES[phase].colour, linewidth=1)
    for head, line in HEADS.items():
        axis.axhline(
            answer.thresholds[head],
            color=_dark(head), linestyle=line.threshold_style, linewidth=1.1,
        )  # fmt: skip
    for mark in answer.marks:
        draw_pick(axis, mark, PICK_HEIGHTS[mark.phase], 5.5, letter=True)
    axis.set_ylim(0, 1.52)
    axis.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.set_ylabel("probability" if whole else "prob.")
    size = 8 if whole else SMALL
    verdict = fitted(verdict_line(view.trace, answer.marks), 0.75 * width, size)
    name = fitted(answer.model, width - inches(f": {verdict}", size), size)
    axis.set_title(f"{name}: {verdict}", loc="left", fontsize=size, pad=2)


def _handles(views: Sequence[View]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    same = {tuple(answer.thresholds.items()) for view in views for answer in view.answers}
    values = {head: f" {value:g}" for head, value in next(iter(same))} if len(same) == 1 else {}
    picks = pick_handles(mark for view in views for mark in view.marks)
    blank = Line2D([], [], linestyle="", label="")
    return [
        *label_handles(),
        picks[0],
        *(Line2D([], [], color=x.colour, label=f"{p} probability") for p, x in PHASES.items()),
        Patch(
            facecolor=plot_style.FAINT, edgecolor=DETECTION.colour, label="detection probability"
        ),
        *(
            Line2D(
                [], [], color=_dark(head), linestyle=HEADS[head].threshold_style,
                label=f"{head} threshold{values.get(head, '')}",
            )
            for head in ("P", "S", "detection")
        ),
        *([*picks[1:], blank, blank][:3] if len(picks) > 1 else []),  # columns of three
    ]  # fmt: skip


def _note(views: Sequence[View]) -> str:
    units = {unit_of(view.trace.attributes) for view in views}
    unit = (
        f"in {fitted(units.pop(), 1.2, SMALL)}"
        if len(units) == 1 and "" not in units
        else "in the file's own unit"
    )
    return (
        f"Seconds after P and S are pick minus label. Amplitudes are {unit}, "
        "and each component has its own scale."
    )


def _since(view: View) -> str:
    start = view.trace.start_time_ns
    if start is None:
        return "time since the record's start (s)"
    return f"time since {utc_text(start).replace('T', ' ')[:-5]} UTC (s)"


def _dark(head: str) -> str:
    """Colour of a head's threshold: detection's own is too faint for dots."""
    return plot_style.DIM if head == "detection" else HEADS[head].colour
