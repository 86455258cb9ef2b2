"""Draw how far picks are from labelled arrivals: a histogram, its spread, and what lies beyond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .canvas import PlotError
from .lettering import fitted
from .numbers import signed
from .plot_style import PHASES, SMALL, WIDTH_INCHES
from .scores import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BIN_SAMPLES = 5
"""Samples of a residual's histogram in one bar."""
TAIL_S, TAIL_WIDTH_S = 0.63, 0.09
"""Where the arrivals beyond the histogram are drawn, on either side."""
ROW_INCHES = 1.75
LEGEND_INCHES = 0.65


def residuals_inches(series: Sequence[Series]) -> tuple[float, float]:
    """Width and height of a figure of residuals."""
    return WIDTH_INCHES, 0.5 + LEGEND_INCHES + ROW_INCHES * len(series)


def draw_residuals(figure: Figure, series: Sequence[Series]) -> None:
    """Draw residuals of P and of S, a row for each network or run.

    Args:
        figure: Empty.
        series: In order.

    Raises:
        PlotError: The scores are of an older version, or nothing has a label.
    """
    arrivals = [{phase: _arrivals(one, phase) for phase in PHASES} for one in series]
    if not any(one[phase]["labelled"] for one in arrivals for phase in PHASES):
        raise PlotError("no labelled arrival in these scores; evaluate on records with labels")
    axes = figure.subplots(len(series), 2, sharex=True, sharey=True, squeeze=False)
    for row, one, found in zip(axes, series, arrivals, strict=True):
        for axis, phase in zip(row, PHASES, strict=True):
            _draw(axis, phase, found[phase])
        name = fitted(one.name, WIDTH_INCHES / 2 - 0.7, 8)
        row[0].set_title(f"{name}\n{row[0].get_title(loc='left')}", loc="left", fontsize=SMALL)
        row[0].set_ylabel("share of arrivals")
    for axis in axes[-1]:
        axis.set_xlabel("pick minus label (s)")
    figure.suptitle("Residuals of the nearest pick, each labelled arrival once", fontsize=8.5)
    figure.legend(handles=_handles(), loc="outside lower center", ncols=4)


def _arrivals(one: Series, phase: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = one.scores["residuals"][phase]["arrivals"]
    except KeyError as error:
        raise PlotError(
            f"{one.name}: scores of an older version; run eqedge evaluate again"
        ) from error
    return found


def _draw(axis: Axes, phase: str, found: Mapping[str, Any]) -> None:
    line = PHASES[phase]
    number = max(1, found["labelled"])
    edges, counts = bars(found["histogram"])
    axis.stairs(counts / number, edges, fill=True, color=line.colour, alpha=0.35)
    axis.stairs(counts / number, edges, color=line.colour, linewidth=0.9)
    for side, beyond in ((-1, found["earlier"]), (1, found["later"])):
        axis.bar(
            side * TAIL_S, beyond / number, TAIL_WIDTH_S,
            facecolor="white", edgecolor=line.colour, hatch="/////", linewidth=0.9,
        )  # fmt: skip
        axis.annotate(
            f"{beyond}", (side * TAIL_S, beyond / number), xytext=(0, 2),
            textcoords="offset points", ha="center", va="bottom", fontsize=SMALL,
        )  # fmt: skip
    axis.axvline(0, color="k", linewidth=0.5)
    axis.set_xlim(-0.72, 0.72)
    axis.set_xticks(
        [-TAIL_S, -0.4, -0.2, 0, 0.2, 0.4, TAIL_S],
        ["<\N{MINUS SIGN}0.5", *(signed(x, 1) if x else "0" for x in (-0.4, -0.2, 0, 0.2, 0.4)),
         ">+0.5"],
    )  # fmt: skip
    axis.margins(y=0.18)
    percentiles = found["percentiles_s"]
    lines = [
        f"{phase}: {found['labelled']} arrivals, {found['events']} events; "
        f"{found['without_pick']} without a pick"
    ]
    if percentiles:
        _spread(axis, percentiles)
        low, middle, high = (signed(percentiles[p]) for p in ("25", "50", "75"))
        lines.append(f"median {middle} s, quartiles {low} and {high} s")
    axis.set_title("\n".join(lines), loc="left", fontsize=SMALL)


def _spread(axis: Axes, percentiles: Mapping[str, float]) -> None:
    """Draw median, quartiles and the middle 90 % above the bars, ended at the tails."""
    low, first, middle, third, high = (
        max(-TAIL_S, min(TAIL_S, percentiles[p])) for p in ("5", "25", "50", "75", "95")
    )
    across = axis.get_xaxis_transform()
    axis.plot([low, high], [0.95, 0.95], color="k", linewidth=0.8, transform=across)
    axis.plot([first, third], [0.95, 0.95], color="k", linewidth=4.5, transform=across,
              solid_capstyle="butt", alpha=0.55)  # fmt: skip
    axis.plot([middle], [0.95], color="k", marker="|", markersize=8, transform=across)


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], color="k", marker="|", markersize=8, linestyle="", label="median"),
        Line2D([], [], color="k", linewidth=4.5, alpha=0.55, label="quartiles"),
        Line2D([], [], color="k", linewidth=0.8, label="5 to 95 %"),
        Patch(facecolor="white", edgecolor="k", hatch="/////", label="beyond 0.5 s, number"),
    ]


def bars(histogram: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges in seconds, and counts: bars of five samples, the middle one about zero.

    The first and the last end with the histogram and are narrower.
    """
    counts = np.array(histogram["counts"], float)
    middle = len(counts) // 2
    of_bar = (np.arange(len(counts)) - middle + BIN_SAMPLES // 2) // BIN_SAMPLES
    sums = np.bincount(of_bar - of_bar.min(), weights=counts).astype(np.float64)
    first = of_bar.min() * BIN_SAMPLES - BIN_SAMPLES / 2
    edges = first + np.arange(len(sums) + 1) * BIN_SAMPLES
    inside = np.clip(edges, -middle - 0.5, middle + 0.5)
    return np.asarray(inside * histogram["step_s"], np.float64), sums
