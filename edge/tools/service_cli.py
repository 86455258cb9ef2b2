"""`eqedge install-service`: install a node as a systemd service."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import Any

import click

from ..options import given_options


@click.command("install-service", context_settings={"show_default": True})
@click.option("--serial", metavar="PORT", help="The sensor's port.")
@click.option("--baud", type=int, help="Speed of the serial port.  [default: 115200]")
@click.option("--network", help="FDSN network code.  [default: XX]")
@click.option("--station", help="Station code.  [default: EDGE]")
@click.option("--location", help="Location code; may be empty.  [default: 00]")
@click.option("--mqtt", metavar="mqtt://HOST:1883", help="The broker.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Copy this config instead.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/"),
    metavar="FOLDER",
    help="Folder of the system's files; for an SD card's image, where it is mounted.",
)
@click.option(
    "--program",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Program that the service runs.  [default: the eqedge of this installation]",
)
@click.option(
    "--name",
    default="",
    help="Name of one of several stations on this machine: its unit is eqedge@NAME, its config"
    " NAME.toml.  [default: the only one, eqedge]",
)
@click.option(
    "--remove", "removes", is_flag=True, help="Remove unit and config; events and spool stay."
)
@click.option("--dry-run", is_flag=True, help="Print the files instead of writing them.")
@click.pass_context
def install_service(
    context: click.Context,
    /,
    config: Path | None,
    root: Path,
    program: Path | None,
    name: str,
    removes: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Write a hardened systemd unit, and a config.

    Nothing is started. An existing config is kept, an existing unit is replaced. Needs root, except
    with --dry-run or --root. For several stations on one machine, run it once for each, with
    --name.
    """
    from ..settings.flags import settings_of
    from .service import install, pieces, remove
    from .service_names import Service, ServiceError

    if not dry_run and os.geteuid() != 0 and root == Path("/"):
        raise ServiceError(
            "writing to /etc needs root; use sudo, or --dry-run to see what would be written"
        )
    service = Service(name)
    if removes:
        for path in remove(service, root, dry_run=dry_run):
            click.echo(f"{path}: {'to be removed' if dry_run else 'removed'}")
        click.echo(f"kept: /var/lib/{service.folder} with events and spool, and drop-ins")
        return
    given = given_options(context, flags)
    program = program or Path(sysconfig.get_path("scripts")) / "eqedge"
    found = pieces(program, settings_of(None, given), config, root, service)
    if not dry_run:
        install(found)
    for piece in found:
        state = piece.state or ("to be written" if dry_run else "written")
        click.echo(f"{piece.path}: {state}")
        if dry_run and piece.state not in ("kept", "the same"):
            click.echo("".join(f"    {line}\n" for line in piece.text.splitlines()), nl=False)
    if found[-1].state == "kept" and (given.keys() - {"dry_run"} or config):
        click.echo("options do not change a config that is there; for another station give --name")
    click.echo("next:\n" + "\n".join(f"    {line}" for line in service.next_steps))
