"""`eqedge bench`: what the chain costs here."""

import json

import click

from ...models.shelf import DEFAULT_MODEL


@click.command(context_settings={"show_default": True})
@click.option(
    "--model",
    "name",
    default=DEFAULT_MODEL,
    metavar="NAME|FILE.tflite",
    help="Whose chain is timed.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="NAME|FILE.tflite",
    help="Another model whose network is timed in the same run; may be repeated.",
)
@click.option("--repeats", type=click.IntRange(3, 100_000), default=200, help="Runs of each stage.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(name: str, against: tuple[str, ...], repeats: int, as_json: bool) -> None:
    """Time every stage of the chain on this machine, for one hop of one second.

    Machines differ and are shared: compare ratios within one run, not times between runs.
    """
    from ...models.shelf import open_model
    from .bench import measure

    report = measure(open_model(name), [open_model(other) for other in against], repeats)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else "\n".join(report.lines()))
