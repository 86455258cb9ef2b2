"""Check the numbers that options of the command line take."""

from __future__ import annotations

from collections.abc import Callable

import click

Callback = Callable[[click.Context, click.Parameter, float | None], float | None]


def within(least: float, most: float, unit: str = "") -> Callback:
    """Return a callback that rejects other numbers, NaN too, which click's own ranges accept.

    Args:
        least: Smallest number.
        most: Largest number.
        unit: Of the number, for the message, such as ` s`.
    """

    def check(
        context: click.Context, parameter: click.Parameter, value: float | None
    ) -> float | None:
        if value is not None and not least <= value <= most:
            raise click.BadParameter(f"{value:g}{unit}; use {least:g} to {most:g}")
        return value

    return check


def speed(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    """Read a multiple of real time; return None for `max`."""
    if value == "max":
        return None
    try:
        factor = float(value)
    except ValueError:
        factor = 0.0
    if not 0 < factor < 1e6:
        raise click.BadParameter(f"{value!r} is not a speed; use 1, 10 or max")
    return factor
