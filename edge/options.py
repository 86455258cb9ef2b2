"""Read the options of the command line: their numbers, and which of them were given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click
from click.core import ParameterSource

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


def given_options(context: click.Context, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are on the command line, without those that have their default."""
    return {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
