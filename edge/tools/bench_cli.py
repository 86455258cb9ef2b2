"""`eqedge bench`: measure what the chain costs on this machine."""

import json
from dataclasses import replace

import click

from ...models.registry import DEFAULT_MODEL
from ..options import within


@click.command(context_settings={"show_default": True})
@click.option(
    "--model",
    "name",
    default=DEFAULT_MODEL,
    metavar="NAME|FILE.tflite",
    help="Model whose chain is timed.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="NAME|FILE.tflite",
    help="Another model, whose network is timed in the same run; may be repeated.",
)
@click.option("--repeats", type=click.IntRange(3, 100_000), default=200, help="Runs of each stage.")
@click.option(
    "--minutes",
    type=float,
    callback=within(0, 10_000),
    default=60.0,
    help="Minutes of data for a whole node at a hop of 1 s, at sixty times real time; 0: only time "
    "the stages.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(name: str, against: tuple[str, ...], repeats: int, minutes: float, as_json: bool) -> None:
    """Time the stages of the chain and whole nodes here.

    First each stage is timed for one hop of one second, then a replay at --speed max, then
    `eqedge run` as a process that receives data over TCP: start, memory and CPU at a hop of 1 s,
    and CPU at a hop of 0.5 s for a sixth of the minutes.

    Machines differ and are shared: compare ratios within one run, not times of different runs.
    """
    from ...models.registry import open_model
    from .bench import measure
    from .bench_node import measure_node, replay

    model = open_model(name)
    report = measure(model, [open_model(other) for other in against], repeats)
    if minutes:
        hops = {1.0: minutes, 0.5: minutes / 6}
        nodes = tuple(measure_node(name, hop, length) for hop, length in hops.items())
        report = replace(report, replay=replay(model), nodes=nodes)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else "\n".join(report.lines()))
