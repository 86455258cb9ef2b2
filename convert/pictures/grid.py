"""Draw many records of a run, small: the labels and the picks of its triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...edge.prepare import COMPONENTS
from ...edge.replay.labels import TOLERANCE_SECONDS, matches
from ...edge.replay.playlist import choose
from ...edge.replay.stead import SteadFile, Trace
from ...models.spec import RATE_HZ
from ..evaluation.triggers import open_run
from . import plot_style
from .canvas import PlotError
from .view import arrivals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
PANEL_INCHES = (2.5, 1.55)
LONGEST_NAME = 42
SPACING = 1.7
"""From one component's zero line to the next, in its largest amplitudes."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One trace of a run.

    Attributes:
        trace: With its labels.
        picks: (phase, seconds since the trace's first sample) of each pick in it.
    """

    trace: Trace
    picks: Sequence[tuple[str, float]]

    def residual(self, phase: str) -> float | None:
        """Seconds of the nearest right pick after the label; None without one."""
        label = arrivals(self.trace).get(phase)
        if label is None:
            return None
        right = [at - label for kind, at in self.picks if kind == phase and matches(at, label, 1)]
        return min(right, key=abs, default=None)

    def is_right(self, phase: str, at: float) -> bool | None:
        """Whether a pick is within half a second of its label; None where there is no label."""
        label = arrivals(self.trace).get(phase)
        if label is None:
            return False if self.trace.is_noise else None
        return matches(at, label, 1)

    @property
    def false(self) -> int:
        """Picks that are not right, also those in the noise before the record."""
        return sum(self.is_right(phase, at) is False for phase, at in self.picks)


def panels_of(
    triggers: Path, data: Path, traces: int | None, seed: int, panels: int
) -> list[Panel]:
    """Draw some of the traces that a run played, and take its picks on them.

    Args:
        triggers: Output of `eqedge run --sim`.
        data: What was replayed.
        traces: As was given to the run; None for all.
        seed: As was given to the run; also of the choice.
        panels: How many.

    Raises:
        RunError: The triggers are not of this file.
        PlotError: No trace has been played that could be drawn.
    """
    run = open_run(triggers, data, traces, seed)
    names = choose([one.record.trace for one in run.played], panels, seed)
    if not names:
        raise PlotError(f"{data}: no trace to draw; {'; '.join(run.skipped) or 'it has none'}")
    picks = run.picks()
    with SteadFile(data) as file:
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
    return COLUMNS * PANEL_INCHES[0], rows * PANEL_INCHES[1] + 0.5


def draw_grid(figure: Figure, panels: Sequence[Panel]) -> None:
    """Draw the panels, and count what is right in them.

    Args:
        figure: Empty.
        panels: One to forty.
    """
    from matplotlib.lines import Line2D

    rows = -(-len(panels) // COLUMNS)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis, panel in zip(axes, panels, strict=False):
        _draw_panel(axis, panel)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[: len(panels)][-COLUMNS:]:
        axis.set_xlabel("seconds", fontsize=6.5)
    figure.suptitle(_count(panels), fontsize=8.5)
    black: dict[str, Any] = {"color": "k", "linestyle": "", "markersize": 4.5}
    handles = [
        Line2D([], [], color=plot_style.P.colour, linestyle=plot_style.P.style, label="label P"),
        Line2D([], [], color=plot_style.S.colour, linestyle=plot_style.S.style, label="label S"),
        Line2D([], [], marker=plot_style.P.marker, label="pick P", **black),
        Line2D([], [], marker=plot_style.S.marker, label="pick S", **black),
        Line2D([], [], marker="v", markerfacecolor="none", label="false pick", **black),
        Line2D([], [], marker="v", markerfacecolor=plot_style.FAINT, label="no label", **black),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6)


def _draw_panel(axis: Any, panel: Panel) -> None:
    trace = panel.trace
    seconds = np.arange(len(trace.waveform)) / trace.rate_hz
    heights: list[float] = []
    for row, column in enumerate(reversed(range(3))):
        zero = SPACING * row
        heights.append(zero)
        axis.plot(
            seconds,
            zero + _scaled(trace.waveform[:, column]),
            color=plot_style.WAVEFORM,
            linewidth=0.35,
        )
    low, high = -1.1, heights[-1] + 2.3
    for phase, at in arrivals(trace).items():
        line = plot_style.P if phase == "P" else plot_style.S
        axis.vlines(at, low, high - 1.2, color=line.colour, linestyle=line.style, linewidth=0.9)
    for phase, at in panel.picks:
        line = plot_style.P if phase == "P" else plot_style.S
        face = {True: line.colour, False: "none", None: plot_style.FAINT}[panel.is_right(phase, at)]
        height = high - (0.35 if phase == "P" else 0.85)
        axis.plot(
            at, height, marker=line.marker, markersize=4.5, color=line.colour,
            markerfacecolor=face, markeredgewidth=0.8,
        )  # fmt: skip
    axis.set_ylim(low, high)
    axis.set_xlim(0, len(seconds) / trace.rate_hz)
    axis.set_yticks(heights, reversed(COMPONENTS))
    axis.tick_params(axis="both", length=1.5, labelsize=6)
    axis.set_title(f"{_tail(trace.name)}\n{_residuals(panel)}", loc="left", fontsize=5.8)


def _tail(name: str) -> str:
    """The end of a name, where station and time stand, as long as a panel is wide."""
    return name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}"


def _scaled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = samples - samples.mean()
    return np.asarray(centred / max(float(np.abs(centred).max()), 1e-30))


def _residuals(panel: Panel) -> str:
    """`P +0.02 s, S missed`."""
    parts = []
    for phase in arrivals(panel.trace):
        residual = panel.residual(phase)
        parts.append(f"{phase} missed" if residual is None else f"{phase} {residual:+.2f} s")
    unlabelled = "noise" if panel.trace.is_noise else "no label"
    return ", ".join([*(parts or [unlabelled]), *([f"{panel.false} false"] if panel.false else [])])


def _count(panels: Sequence[Panel]) -> str:
    parts: Mapping[str, tuple[int, int]] = {
        phase: (
            sum(panel.residual(phase) is not None for panel in panels),
            sum(phase in arrivals(panel.trace) for panel in panels),
        )
        for phase in "PS"
    }
    shares = ", ".join(
        f"{phase} {found} of {labelled}" for phase, (found, labelled) in parts.items()
    )
    return f"Picked within {TOLERANCE_SECONDS:g} s of the label: {shares}"
