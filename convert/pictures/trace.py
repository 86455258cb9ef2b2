"""Draw one record in four rows: E, N, Z with the labels, and the probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...edge.prepare import COMPONENTS
from ...edge.utc import utc_text
from . import plot_style
from .view import View, arrivals, attribute, caption

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE_INCHES = (7.0, 4.6)


def draw_trace(figure: Figure, view: View) -> None:
    """Draw a window of a record.

    Args:
        figure: Empty.
        view: What to draw.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    axes = figure.subplots(4, 1, sharex=True, gridspec_kw={"height_ratios": [1, 1, 1, 1.15]})
    seconds = view.seconds
    for column, (axis, component) in enumerate(zip(axes[:3], COMPONENTS, strict=True)):
        samples = view.samples[:, column] - view.samples[:, column].mean()
        axis.plot(seconds, samples, color=plot_style.WAVEFORM, linewidth=0.45)
        peak = float(np.abs(samples).max()) or 1.0
        axis.set_ylim(-1.1 * peak, 1.1 * peak)
        axis.text(0.006, 0.97, _channel(view, component), transform=axis.transAxes, va="top")
        axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4))
        axis.yaxis.get_offset_text().set_fontsize(6.5)
        axis.locator_params(axis="y", nbins=3)
        axis.tick_params(axis="x", length=0)
        axis.spines["bottom"].set_visible(False)
    _probabilities(axes[3], view)
    for phase, at in arrivals(view.trace).items():
        line = plot_style.P if phase == "P" else plot_style.S
        if seconds[0] <= at <= seconds[-1]:
            for axis in axes[:3]:
                axis.axvline(at, color=line.colour, linestyle=line.style, linewidth=0.9)
            axes[3].axvline(at, color=line.colour, linestyle=line.style, linewidth=0.5)
    axes[1].set_ylabel("amplitude (unit of the file)")
    axes[3].set_xlim(seconds[0], seconds[-1] + 1 / view.trace.rate_hz)
    start = view.trace.start_time_ns
    since = "the record's start" if start is None else utc_text(start).replace("T", " ")[:-5]
    axes[3].set_xlabel(f"seconds since {since}" + (" UTC" if start is not None else ""))
    axes[0].set_title(caption(view.trace), loc="left")
    handles: list[Any] = [
        Line2D(
            [],
            [],
            color=plot_style.P.colour,
            linestyle=plot_style.P.style,
            label="P: label, probability",
        ),
        Line2D(
            [],
            [],
            color=plot_style.S.colour,
            linestyle=plot_style.S.style,
            label="S: label, probability",
        ),
        Patch(color=plot_style.FAINT, label="detection"),
        Line2D([], [], color="k", linestyle="", marker="v", markersize=4, label="pick"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)


def _probabilities(axis: Any, view: View) -> None:
    seconds, values = view.seconds, view.probabilities
    axis.fill_between(seconds, 0, values[:, 0], color=plot_style.FAINT, linewidth=0)
    axis.plot(seconds, values[:, 0], color=plot_style.DETECTION.colour, linewidth=0.6)
    for phase, column, line in (("P", 1, plot_style.P), ("S", 2, plot_style.S)):
        axis.plot(seconds, values[:, column], color=line.colour, linestyle=line.style, linewidth=1)
        for pick in view.picks[phase]:
            at = seconds[pick.sample]
            axis.plot(at, pick.probability + 0.09, marker="v", color=line.colour, markersize=4.5)
    for threshold in sorted(set(view.thresholds.values())):
        axis.axhline(threshold, color="k", linewidth=0.5, linestyle=":")
    axis.set_ylim(0, 1.15)
    axis.set_yticks([0, 0.5, 1])
    axis.set_ylabel("probability")
    axis.text(0.994, 0.97, view.model, transform=axis.transAxes, ha="right", va="top")


def _channel(view: View, component: str) -> str:
    """SEED code where the file has band and instrument, else the component."""
    band = attribute(view.trace.attributes, "receiver_type")
    return f"{band}{component}" if len(band) == 2 else component
