"""Write numbers as figures have them: few characters, a real minus, round ticks."""

from __future__ import annotations

import math


def signed(number: float, digits: int = 2) -> str:
    """Write a number with its sign, a real minus; what rounds to zero has none."""
    rounded = round(number, digits)
    return f"{rounded:+.{digits}f}".replace("-", "\N{MINUS SIGN}") if rounded else f"{0:.{digits}f}"


def nice_below(peak: float) -> float:
    """Largest of 1, 2 or 5 times a power of ten that is no more than a positive number."""
    power = 10.0 ** math.floor(math.log10(peak)) if peak > 1e-300 else 1e-300
    return next((k * power for k in (5, 2) if k * power <= peak), power)


def compact(value: float) -> str:
    """Write a number in six characters or so: 200, -5000, 2·10⁻⁸."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:g}".replace("-", "\N{MINUS SIGN}")
    mantissa, exponent = f"{value:.0e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}·10{raised}".replace("-", "\N{MINUS SIGN}")
