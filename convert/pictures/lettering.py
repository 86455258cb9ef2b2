"""Measure texts before they are drawn, and make them as wide as their place."""

from __future__ import annotations

from . import plot_style


def inches(text: str, points: float) -> float:
    """Width of a line in letters of a size."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=plot_style.SETTINGS["font.family"], size=points)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0]) / 72


def fitted(text: str, width_inches: float, points: float) -> str:
    """Shorten a text in its middle until it is no wider; its end, with station and time, stays.

    Args:
        text: One line.
        width_inches: The space for it.
        points: Size of its letters.
    """
    one_line = " ".join(text.split())
    kept, shown = len(one_line), one_line
    while kept > 1 and (width := inches(shown, points)) > width_inches:
        kept = min(kept - 1, int(kept * max(0.5, width_inches / width)))
        front = kept // 3
        shown = f"{one_line[:front]}…{one_line[len(one_line) - kept + front :]}"
    return shown


def broken(text: str, width_inches: float, points: float) -> str:
    """Break a list of parts into lines at its commas, so that each is no wider.

    Args:
        text: Parts that are separated by `, `.
        width_inches: The space for a line.
        points: Size of its letters.
    """
    lines = [""]
    for part in text.split(", "):
        longer = f"{lines[-1]}, {part}" if lines[-1] else part
        if lines[-1] and inches(longer, points) > width_inches:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] = longer
    return "\n".join(lines)
