"""Add the options that select traces of a file to a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click


def where(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Check an expression over the fields of traces."""
    if value is not None:
        from .where import Where  # brings h5py, which a live node need not carry

        Where(value)
    return value


def require_one_file(labels_csv: Path | None, data: Sequence[Path]) -> None:
    """Reject `--csv` beside several `--data`.

    Raises:
        click.UsageError: It cannot be the CSV of all of them.
    """
    if labels_csv is not None and len(data) != 1:
        raise click.UsageError("with --csv give one --data: the file that it is the CSV of")


def trace_selection(of: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds `--csv` (as `labels_csv`), `--where` and `--traces` to a command.

    Args:
        of: Option that names the file, for the help.
    """
    options = (
        click.option(
            "--csv",
            "labels_csv",
            type=click.Path(path_type=Path),
            metavar="FILE.csv",
            help=f"Labels of {of}; only its traces are used.  [default: the CSV of the same name]",
        ),
        click.option(
            "--where",
            callback=where,
            metavar="EXPRESSION",
            help="Use the traces whose fields fulfil it, such as "
            "'snr_db > 10 and source_distance_km < 100'.",
        ),
        click.option(
            "--traces",
            type=click.IntRange(min=1),
            metavar="N",
            help=f"Of these, N traces of {of} drawn by --seed.  [default: all]",
        ),
    )

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated
