"""Read the options of the command line: numbers, names of files, and which were given."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from .. import EqedgeError, reason_of

DATA = {
    "calibration", "continuous", "data", "hard_negatives", "initial", "labelled",
    "labels_csv", "noise", "sim", "streams", "teachers", "traces_from", "weights",
}  # fmt: skip
"""Options whose files are read at random places, so that they must be regular."""
NETWORKS = {"networks"}
"""Options that take the name of a model or of a file."""
IMPOSSIBLE = {errno.ENAMETOOLONG, errno.ELOOP}
"""Errors of a name that no file can have."""
Callback = Callable[[click.Context, click.Parameter, float | None], float | None]


class PathError(EqedgeError):
    """A name is not the name of a file that can be used."""


def check_paths(options: Mapping[str, Any]) -> None:
    """Reject names that no file can have, and devices and pipes in place of data.

    Args:
        options: By their names; those that have no paths are let pass.

    Raises:
        PathError: It names the option's value and the reason.
    """
    for option, value in options.items():
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path) or option in NETWORKS:
                mode = _mode(Path(path))
                if option in DATA and mode is not None and not _holds_data(mode):
                    raise PathError(f"{path}: not a regular file; name a file of data")


def check_names(names: Iterable[str | Path | None]) -> None:
    """Reject names that no file can have.

    Raises:
        PathError: It has the name and the reason.
    """
    for name in names:
        if name is not None:
            _mode(Path(name))


def _mode(path: Path) -> int | None:
    """Return type and permissions of a file, None where there is none."""
    try:
        return os.stat(path).st_mode
    except ValueError as error:
        raise PathError(f"{str(path)!r}: a name with a NUL character; use another") from error
    except OSError as error:
        if error.errno in IMPOSSIBLE:
            raise PathError(f"{path}: {reason_of(error)}; use another name") from error
        return None


def _holds_data(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


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
