"""The style of every figure: lines differ in darkness and dashes; colour is added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """One kind of line.

    Attributes:
        colour: Of a luminance that no other line has.
        style: In matplotlib's terms, whose type differs from version to version.
        marker: In matplotlib's terms.
    """

    colour: str
    style: Any
    marker: str


P = Line("#14305c", "-", "v")
S = Line("#d1603d", (0, (4, 1.6)), "^")
DETECTION = Line("#9aa39b", "-", "s")
SERIES = (
    Line("#14305c", "-", "o"),
    Line("#bf4b2c", (0, (5, 2)), "s"),
    Line("#4f9d80", (0, (6, 2, 1, 2)), "^"),
    Line("#bda6d6", (0, (1, 1.2)), "D"),
    Line("#000000", (0, (3, 1, 1, 1, 1, 1)), "x"),
)
"""Networks side by side, in their order."""
WAVEFORM = "#3a3a3a"
FAINT = "#c4c4c4"
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "eqedge",
}
"""Matplotlib's; the salt makes the same figure the same file."""
