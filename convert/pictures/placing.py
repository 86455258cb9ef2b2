"""Write texts beside markers, where they hide neither each other nor curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .lettering import inches
from .plot_style import SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = NDArray[np.float64]
"""(n, 2) places, or (2,) of one; on the axes' own scales or in pixels."""
TOGETHER_POINTS = 3.0
"""Markers that are nearer than this have one text."""
AROUND = tuple(
    (round(distance * math.cos(k * math.pi / 8), 1), round(distance * math.sin(k * math.pi / 8), 1))
    for distance in (12, 20, 29, 38)
    for k in (2, 14, 6, 10, 0, 8, 4, 12, 1, 3, 5, 7, 9, 11, 13, 15)
)
"""Places of a text about its marker, points, near ones first."""
FAR_COST = 0.2
"""Pixels of curve that a text may hide rather than lie a point farther from its marker."""
MARKER_PIXELS = 3
"""A marker counts as so many pixels of a curve."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, by its lower left and upper right corners."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def centre(self) -> Points:
        """(2,) its middle."""
        return np.array([(self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2])

    def holds(self, points: Points) -> NDArray[np.bool_]:
        """(n,) which of the points lie in it."""
        x, y = points.T
        return np.asarray((self.x0 < x) & (x < self.x1) & (self.y0 < y) & (y < self.y1))

    def overlaps(self, other: Box) -> bool:
        """Whether they share any place."""
        across = self.x0 < other.x1 and other.x0 < self.x1
        return across and self.y0 < other.y1 and other.y0 < self.y1

    def within(self, other: Box) -> bool:
        """Whether all of it lies in the other."""
        across = other.x0 <= self.x0 and self.x1 <= other.x1
        return across and other.y0 <= self.y0 and self.y1 <= other.y1


def write_beside(
    axis: Axes,
    markers: Points,
    texts: Sequence[str],
    colour: str,
    *,
    avoid_points: Sequence[Points],
    avoid_lines: Sequence[Points],
) -> None:
    """Write a text for each marker, with a thin line to it; one without a free place is left out.

    Texts that are in the axis already stay visible.

    Args:
        axis: Already at its place in the figure.
        markers: (n, 2) on the axis' scales, in the order of a curve.
        texts: Of each; those of markers that lie on each other are joined.
        colour: Of texts and lines.
        avoid_points: Markers that should stay visible.
        avoid_lines: Curves that should stay visible.
    """
    pixels = axis.figure.dpi / 72
    to_pixels = axis.transData.transform
    extent = axis.get_window_extent()
    frame = Box(extent.x0, extent.y0, extent.x1, extent.y1 + 2)
    hidden = np.concatenate(
        [
            *(np.repeat(to_pixels(points), MARKER_PIXELS, axis=0) for points in avoid_points),
            *(dense(to_pixels(line)) for line in avoid_lines),
        ]
    )
    taken = [Box(*text.get_window_extent().extents) for text in axis.texts]
    for text, marker in _joined(texts, markers, to_pixels(markers), pixels):
        at = to_pixels(marker)
        size = np.array([72 * inches(text, SMALL), SMALL]) * pixels + 2
        best: tuple[float, tuple[float, float], Box] | None = None
        for place in AROUND:
            centre = at + np.array(place) * pixels
            box = Box(*(centre - size / 2), *(centre + size / 2))
            to_marker = dense(np.array([at, centre]))
            if not box.within(frame) or any(
                box.overlaps(other) or other.holds(to_marker).any() for other in taken
            ):
                continue
            cost = float(box.holds(hidden).sum()) + FAR_COST * math.hypot(*place)
            if best is None or cost < best[0]:
                best = cost, place, box
        if best is None:
            continue
        taken.append(best[2])
        hidden = np.concatenate([hidden, dense(np.array([at, best[2].centre]))])
        axis.annotate(
            text, (float(marker[0]), float(marker[1])), xytext=best[1],
            textcoords="offset points", ha="center", va="center", fontsize=SMALL, color=colour,
            bbox={"boxstyle": "square,pad=0.15", "facecolor": "none", "edgecolor": "none"},
            arrowprops={
                "arrowstyle": "-", "linewidth": 0.5, "shrinkA": 1, "shrinkB": 2, "color": colour,
            },
        ).set_in_layout(False)  # fmt: skip


def dense(points: Points) -> Points:
    """Points along a line, a pixel or so apart."""
    if len(points) < 2:
        return points
    return np.concatenate(
        [np.linspace(a, b, max(2, int(math.dist(a, b)))) for a, b in pairwise(points)]
    )


def _joined(
    texts: Sequence[str], markers: Points, places: Points, pixels: float
) -> list[tuple[str, Points]]:
    """Texts with their markers; of markers that lie on each other `0.1, 0.2` or `0.1 to 0.5`."""
    found: list[tuple[str, Points]] = []
    first = 0
    for k in range(1, len(texts) + 1):
        if k < len(texts) and math.dist(places[k], places[first]) < TOGETHER_POINTS * pixels:
            continue
        own = texts[first:k]
        found.append((", ".join(own) if len(own) < 3 else f"{own[0]} to {own[-1]}", markers[first]))
        first = k
    return found
