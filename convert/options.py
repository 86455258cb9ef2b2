"""Types of options that several commands of the workstation have."""

from __future__ import annotations

import math
from typing import Any

import click

SEED = click.IntRange(0, 2**32 - 1)
"""What NumPy and Keras both take."""


class FiniteRange(click.FloatRange):
    """A range of numbers; click's own lets NaN, and infinity where it is open, pass."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number.

        Raises:
            click.BadParameter: It is not a number, or outside the range.
        """
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number
