"""Draw a comparison as a chart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...models.spec import HEADS
from ..pictures.canvas import present
from .table import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAR = 0.26
COLOURS = ("#7f7f7f", "#1f77b4", "#d62728")
"""Of detection, P and S."""


def draw_chart(comparison: Comparison, output: Path) -> None:
    """Draw F1 of each head, latency and file size of every network.

    Args:
        comparison: What was measured.
        output: `.png`, `.svg` or `.pdf`.

    Raises:
        PlotError: matplotlib is missing, or the file cannot be written.
    """
    names = [picker.name for picker in comparison.pickers]
    rows = np.arange(len(names))

    def draw(figure: Figure) -> None:
        scores, latency, size = figure.subplots(1, 3, sharey=True, width_ratios=(2, 1, 1))
        for number, head in enumerate(HEADS):
            values = [getattr(score, head).f1 for score in comparison.scored.scores]
            place = rows + (number - 1) * BAR
            scores.barh(place, values, BAR, label=head, color=COLOURS[number])
        scores.set_xlim(0, 1)
        scores.set_xlabel("F1")
        scores.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
        scores.set_yticks(rows, names)
        scores.invert_yaxis()
        for axes, values, label, form in (
            (latency, [cost.latency_ratio for cost in comparison.costs], "latency ratio", ".2f"),
            (size, [cost.size_bytes / 1000 for cost in comparison.costs], "file, KB", ",.0f"),
        ):
            bars = axes.barh(rows, values, 2 * BAR, color="#4c4c4c")
            axes.bar_label(bars, [format(value, form) for value in values], padding=3)
            axes.margins(x=0.25)
            axes.set_xlabel(label)

    present((11.0, 1.6 + 0.55 * len(names)), draw, output)
