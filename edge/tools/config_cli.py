"""`eqedge config`: check a node's settings before it is started with them."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.group()
def config() -> None:
    """Check a node's settings."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.toml")
def check(file: Path) -> None:
    """Check FILE, a config for `eqedge run`.

    Starts no node and opens no port. Prints every problem, not only the first, and warns of what a
    start would find on this machine today: a model or port that is missing, a folder that cannot be
    written.

    Exits with 0 if a node can start with it, also with warnings, with 2 otherwise.
    """
    from .config_check import check_config

    settings, problems, cautions = check_config(file)
    for line in cautions:
        click.echo(f"warning: {line}", err=True)
    for line in problems:
        click.echo(f"eqedge: {line}", err=True)
    if problems:
        sys.exit(2)
    station = settings.station
    code = f"{station.network}.{station.station}.{station.location}"
    count = f", {len(cautions)} warning{'s' * (len(cautions) != 1)}" if cautions else ""
    click.echo(f"{file}: good (station {code}, model {settings.model}){count}")
