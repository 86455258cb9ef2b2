"""The style of every figure: P and S by colour, label and network by line, all of it also in grey.

A figure is as wide as a page's text (170 mm), so that its letters are printed in their size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WIDTH_INCHES = 6.69
"""170 mm."""
SMALL = 7.0
"""The smallest letters, points."""


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


@dataclass(frozen=True)
class Phase(Line):
    """How P, S or detection is drawn; `style` and `marker` are those of its curves over others.

    Attributes:
        label_style: Of the line at a label, always broken: a network's own are solid.
        threshold_style: Dots, so placed that those of P, S and detection do not hide each other.
    """

    label_style: Any
    threshold_style: Any


P = Phase("#0b3c8c", "-", "o", (0, (5, 1.6)), (0, (1, 5)))
S = Phase("#e0701a", (0, (4, 1.6)), "s", (0, (1.6, 1.2)), (2, (1, 5)))
DETECTION = Phase("#8a8a8a", (0, (1, 1)), "D", "-", (4, (1, 5)))
PHASES = {"P": P, "S": S}
HEADS = {"detection": DETECTION, "P": P, "S": S}
SERIES = (
    Line("#14305c", "-", "o"),
    Line("#bf4b2c", (0, (5, 2)), "s"),
    Line("#4f9d80", (0, (6, 2, 1, 2)), "^"),
    Line("#bda6d6", (0, (1, 1.2)), "D"),
    Line("#000000", (0, (3, 1, 1, 1, 1, 1)), "P"),
)
"""Networks side by side, in their order."""
WAVEFORM = "#3a3a3a"
FAINT = "#c9c9c9"
DIM = "#5f5f5f"
"""Of letters that explain."""
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
    "legend.title_fontsize": SMALL,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "eqedge",
    "text.parse_math": False,  # a name with two dollars is a name
}
"""Matplotlib's; the salt makes the same figure the same file."""
