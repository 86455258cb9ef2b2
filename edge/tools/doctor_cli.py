"""`eqedge doctor`: check what a node needs on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ..options import given_options


@click.command(context_settings={"show_default": True})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Settings, as for eqedge run.",
)
@click.option("--serial", metavar="PORT", help="The sensor's port.  [default: the settings']")
@click.option("--baud", type=int, help="Speed of the serial port.  [default: the settings']")
@click.option("--model", metavar="NAME|FILE.tflite", help="The model.  [default: the settings']")
@click.option(
    "--output", metavar="FILE.jsonl", help="File for the triggers; its folder is checked."
)
@click.option("--mqtt", metavar="mqtt://HOST:1883", help="The broker.")
@click.option("--network", help="FDSN network code, for the topics.  [default: the settings']")
@click.option("--station", help="Station code, for the topics.  [default: the settings']")
@click.pass_context
def doctor(context: click.Context, /, config: Path | None, **flags: Any) -> None:
    """Check clock, model, disk, spool, sensor and broker.

    Each failure has its remedy. Options override the settings, as for eqedge run. The broker is
    checked in stages: name, TCP, TLS, login, and a message to <prefix>/<network>/<station>/doctor
    that it must acknowledge.

    The spool is read without a change to it. `warn` before a line means that the node works, but
    something should be corrected. Exits with 0 if no check fails, with 1 otherwise.
    """
    from ..settings.flags import settings_of, warnings
    from .doctor import examine
    from .finding import Check, as_text

    settings = settings_of(config, given_options(context, flags))
    failures = 0
    for line in warnings(config, settings):
        finding, _, remedy = line.partition("; ")
        click.echo(as_text(Check("permissions", True, finding, remedy, warns=True), width=16))
    for check in examine(settings):
        click.echo(as_text(check, width=16))
        failures += not check.good
    sys.exit(1 if failures else 0)
