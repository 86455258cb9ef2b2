"""Draw a comparison as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.spec import HEADS
from ..pictures.canvas import present
from ..pictures.lettering import fitted
from ..pictures.plot_style import DIM, SMALL, WIDTH_INCHES
from .table import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR = 0.27
NAME_INCHES = 1.7
"""The widest name of a network."""
STYLES: Mapping[str, Mapping[str, Any]] = {
    "detection": {"facecolor": "#c9c9c9", "edgecolor": "#5f5f5f"},
    "P": {"facecolor": "#0b3c8c", "edgecolor": "#0b3c8c"},
    "S": {"facecolor": "#e0701a", "edgecolor": "#5f2f0a", "hatch": "////"},
}
"""Of each head's bars; they differ in grey too."""


def draw_chart(comparison: Comparison, output: Path) -> None:
    """Draw F1 of each head, latency and file size of every network.

    Args:
        comparison: What was measured.
        output: `.png`, `.svg` or `.pdf`.

    Raises:
        PlotError: matplotlib is missing, or the file cannot be written.
    """
    size = chart_inches(len(comparison.pickers))
    present(size, lambda figure: fill_chart(figure, comparison), output)


def chart_inches(networks: int) -> tuple[float, float]:
    """Width and height of a chart of `networks` networks."""
    return WIDTH_INCHES, 1.35 + 0.62 * networks


def fill_chart(figure: Figure, comparison: Comparison) -> None:
    """Draw the chart into an empty figure."""
    names = [fitted(picker.name, NAME_INCHES, 7.5) for picker in comparison.pickers]
    rows = np.arange(len(names))
    scores, latency, size = figure.subplots(1, 3, sharey=True, width_ratios=(2, 1, 1))
    for number, head in enumerate(HEADS):
        values = [getattr(score, head).f1 for score in comparison.scored.scores]
        place = rows + (number - 1) * BAR
        bars = scores.barh(place, values, BAR, label=head, linewidth=0.6, **STYLES[head])
        scores.bar_label(bars, [f"{value:.2f}" for value in values], padding=2, fontsize=SMALL)
    scores.set_xlim(0, 1.14)
    scores.set_xticks([0, 0.25, 0.5, 0.75, 1])
    scores.set_xlabel("F1")
    scores.set_yticks(rows, names)
    scores.invert_yaxis()
    _costs(latency, rows, [cost.latency_ratio for cost in comparison.costs], ".2f")
    latency.set_xlabel("time of a window,\nratio to the first")
    _costs(size, rows, [cost.size_bytes / 1000 for cost in comparison.costs], ",.0f")
    size.set_xlabel("file (KB)")
    found = comparison.scored
    figure.suptitle(
        f"{found.events} windows of events and {found.noise} of noise, "
        f"{found.stations} station{'' if found.stations == 1 else 's'}",
        fontsize=8.5,
    )
    handles, labels = scores.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(HEADS), title="F1 of")


def _costs(axis: Axes, rows: Any, values: Sequence[float], form: str) -> None:
    bars = axis.barh(rows, values, 2 * BAR, color=DIM)
    axis.bar_label(bars, [format(value, form) for value in values], padding=2, fontsize=SMALL)
    axis.set_xlim(0, 1.45 * max([*values, 1e-9]))
    axis.locator_params(axis="x", nbins=3)
