"""`eqedge`: one group; each folder brings its commands."""

from .edge import signals

if __name__ == "__main__" or signals.is_script("eqedge"):
    signals.handle_from_here()  # a signal during the imports below must not be a traceback

from importlib import metadata

import click

from .convert.cli import convert
from .convert.comparison.cli import compare
from .convert.console import run_with_one_line_errors, stopped_tidily
from .convert.evaluation.cli import evaluate
from .convert.pictures.cli import plot
from .convert.training.cli import train
from .edge import logs
from .edge.cli import run
from .edge.replay.sample_cli import sample
from .edge.tools.bench_cli import bench
from .edge.tools.config_cli import config
from .edge.tools.doctor_cli import doctor
from .edge.tools.events import events
from .edge.tools.sensor.cli import sensor
from .edge.tools.service_cli import install_service
from .models.cli import models


@click.group(invoke_without_command=True)
@click.option("--version", is_flag=True, help="Print the version and exit.")
@click.option("-v", "--verbose", is_flag=True, help="With --version: runtime, model, platform too.")
@click.pass_context
def cli(context: click.Context, version: bool, verbose: bool) -> None:
    """Earthquake detection on embedded seismometer nodes."""
    logs.configure()
    if version:
        click.echo(f"eqedge {metadata.version('eqedge')}")
        if verbose:
            from .edge.tools.about import about

            click.echo("\n".join(about()))
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())


cli.add_command(run)  # ends itself
for command in (
    events, config, doctor, install_service, sensor, models, sample, bench,
    convert, compare, train, evaluate, plot,
):  # fmt: skip
    cli.add_command(stopped_tidily(command))


def main() -> None:
    """Run the command line."""
    run_with_one_line_errors(cli, "eqedge")


if __name__ == "__main__":
    main()
