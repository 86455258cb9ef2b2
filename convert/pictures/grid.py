"""Draw many records of a run, small: the labels and the picks of its triggers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...edge.prepare import COMPONENTS
from ...edge.replay.fields import unit_of
from ...edge.replay.labels import TOLERANCE_SECONDS
from ...edge.replay.selection import TraceSelection, choose
from ...edge.replay.stead import Trace
from ...models.spec import RATE_HZ
from ..evaluation.triggers import open_run
from ..progress import report as to_stderr
from . import plot_style
from .canvas import PlotError
from .lettering import broken, fitted
from .marks import (
    Mark,
    arrivals,
    draw_pick,
    judged,
    label_handles,
    pick_handles,
    verdict_line,
)
from .numbers import compact
from .plot_style import PHASES, SMALL
from .view import channel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
PANEL_INCHES = 1.85
"""Height of one."""
TITLE_INCHES, LEGEND_INCHES = 0.3, 0.75
SPACING = 1.9
"""From one component's zero line to the next, in its largest amplitudes."""
PICK_HEIGHTS = {"P": 1.0, "S": 0.0}
"""Of symbols, in rows above the waveforms, so that a P and an S do not hide each other."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One trace of a run.

    Attributes:
        trace: With its labels.
        picks: (phase, seconds since the trace's first sample) of each pick in it.
    """

    trace: Trace
    picks: Sequence[tuple[str, float]]

    @cached_property
    def marks(self) -> list[Mark]:
        """The picks, judged by the trace's labels."""
        return judged(self.trace, self.picks)

    def residual(self, phase: str) -> float | None:
        """Pick minus label in seconds, of the right pick; None without one."""
        found = (m.residual for m in self.marks if m.phase == phase and m.residual is not None)
        return next(found, None)


def panels_of(
    triggers: Path,
    data: Path,
    selection: TraceSelection,
    panels: int,
    report: Callable[[str], None] = to_stderr,
) -> list[Panel]:
    """Draw some of the traces that a run played, and take its picks on them.

    Args:
        triggers: Output of `eqedge run --sim`.
        data: What was replayed.
        selection: As was given to the run; its seed is also that of the choice.
        panels: How many.
        report: Called with a line about what a CSV selects, and about traces that are left out.

    Raises:
        RunError: The triggers are not of this file.
        PlotError: No trace has been played that could be drawn.
    """
    run = open_run(triggers, data, selection)
    names = choose([one.record.trace for one in run.played], panels, selection.seed)
    if not names:
        raise PlotError(f"{data}: no trace to draw; {'; '.join(run.skipped) or 'it has none'}")
    for line in (*run.remarks, *(f"{n}: {reason}" for reason, n in run.skipped.items())):
        report(line)
    picks = run.picks()
    with selection.open(data) as file:
        return [
            Panel(
                file.read(name),
                [(pick["phase"], pick["sim"]["sample"] / RATE_HZ) for pick in picks[name]],
            )
            for name in sorted(names)
        ]


def size_inches(panels: int) -> tuple[float, float]:
    """Width and height of a figure of `panels` panels."""
    rows = -(-panels // COLUMNS)
    return plot_style.WIDTH_INCHES, rows * PANEL_INCHES + TITLE_INCHES + LEGEND_INCHES


def draw_grid(figure: Figure, panels: Sequence[Panel]) -> None:
    """Draw the panels, and count what is right in them.

    Args:
        figure: Empty.
        panels: One to forty.
    """
    rows = -(-len(panels) // COLUMNS)
    columns = min(COLUMNS, len(panels))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    width = plot_style.WIDTH_INCHES / columns - 0.65
    for axis, panel in zip(axes, panels, strict=False):
        _draw_panel(axis, panel, width)
    for axis in axes[len(panels) :]:
        axis.remove()
    for axis in axes[: len(panels)][-columns:]:
        axis.set_xlabel("time since the record's start (s)", fontsize=SMALL)
    figure.suptitle(count_line(panels), fontsize=8.5)
    units = {unit_of(panel.trace.attributes) for panel in panels}
    unit = (
        f"in {fitted(units.pop(), 1.2, SMALL)}"
        if len(units) == 1 and "" not in units
        else "in the file's own unit"
    )
    figure.legend(
        handles=[*label_handles(), *pick_handles(m for panel in panels for m in panel.marks)],
        loc="outside lower center",
        ncols=5,
        title="Seconds after P and S are pick minus label; symbols of P are above those of S.\n"
        f"Each component is scaled to its own largest amplitude, at its right {unit}.",
    )


def _draw_panel(axis: Axes, panel: Panel, width: float) -> None:
    trace = panel.trace
    seconds = np.arange(len(trace.waveform)) / trace.rate_hz
    heights: list[float] = []
    for row, column in enumerate(reversed(range(3))):
        zero = SPACING * row
        heights.append(zero)
        scaled, peak = _scaled(trace.waveform[:, column])
        axis.plot(seconds, zero + scaled, color=plot_style.WAVEFORM, linewidth=0.35)
        axis.annotate(
            compact(float(f"{peak:.2g}")) if peak else "silent", (1.0, zero), xytext=(2, 0),
            xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
            fontsize=SMALL, color=plot_style.DIM, annotation_clip=False,
        )  # fmt: skip
    top = heights[-1] + 1.1
    for phase, at in arrivals(trace).items():
        line = PHASES[phase]
        axis.vlines(at, -1.1, top, color=line.colour, linestyle=line.label_style, linewidth=1.0)
    for mark in panel.marks:
        if not 0 <= mark.at <= seconds[-1]:  # in the noise around it; counted all the same
            continue
        draw_pick(axis, mark, top + 0.55 + PICK_HEIGHTS[mark.phase], 5)
    axis.set_ylim(-1.1, top + 2.1)
    axis.set_xlim(0, len(seconds) / trace.rate_hz)
    axis.set_yticks(heights, [channel(trace, component) for component in reversed(COMPONENTS)])
    axis.tick_params(axis="both", length=1.5, labelsize=SMALL)
    name = fitted(trace.name, width, SMALL)
    verdict = broken(verdict_line(trace, panel.marks), width, SMALL)
    axis.set_title(f"{name}\n{verdict}", loc="left", fontsize=SMALL)


def _scaled(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Samples about their mean over their largest amplitude, and that; 0 where nothing moves."""
    centred = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    if samples.min() == samples.max():
        return np.zeros_like(centred), 0.0
    peak = float(np.abs(centred).max())
    return centred / peak, peak


def count_line(panels: Sequence[Panel]) -> str:
    """`Picked within 0.5 s of the label: P 9 of 10, S 10 of 10`; what has no label is named."""
    parts = []
    for phase in PHASES:
        labelled = sum(phase in arrivals(panel.trace) for panel in panels)
        found = sum(panel.residual(phase) is not None for panel in panels)
        picks = sum(mark.phase == phase for panel in panels for mark in panel.marks)
        parts.append(
            f"{phase} {found} of {labelled}" if labelled else f"{picks} {phase} without any label"
        )
    return f"Picked within {TOLERANCE_SECONDS:g} s of the label: {', '.join(parts)}"
