"""`eqedge sample`: write a file for trials."""

from pathlib import Path

import click


@click.command(context_settings={"show_default": True})
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--events", type=click.IntRange(0, 10_000), default=10, help="Synthetic earthquakes.")
@click.option("--noise", type=click.IntRange(0, 10_000), default=2, help="Traces without one.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=22, help="The same seed makes the same traces."
)
def sample(file: Path, events: int, noise: int, seed: int) -> None:
    """Write synthetic earthquakes and noise to FILE.

    In STEAD's HDF5 layout. They are computed, and are for trials: they do not show how well a model
    picks real earthquakes.
    """
    from .sample import write_sample

    if events + noise == 0:
        raise click.UsageError("a file needs at least one trace: raise --events or --noise")
    names = write_sample(file, events=events, noise_traces=noise, seed=seed)
    click.echo(f"eqedge: wrote {len(names)} traces to {file}", err=True)
