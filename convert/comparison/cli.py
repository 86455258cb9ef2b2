"""`eqedge compare`: the report's table, for who chooses a model by what it costs and finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ... import EqedgeError, reason_of
from ...edge.files import written_whole
from ...edge.replay.options import require_one_file, trace_selection
from ..console import memory_errors, report_line, tensorflow_silenced
from ..pictures.canvas import SUFFIXES
from ..progress import ProgressLines
from ..training_cards import trained

if TYPE_CHECKING:
    from ..data.records import Split
    from .table import Comparison

_FILE = click.Path(path_type=Path)


class TableError(EqedgeError):
    """A table or chart cannot be written."""


@click.command(context_settings={"show_default": True})
@click.argument("networks", nargs=-1, required=True, metavar="FILE|NAME...")
@click.option(
    "--data",
    type=_FILE,
    multiple=True,
    required=True,
    metavar="FILE.hdf5",
    help="Labelled records in STEAD's layout to score on; can be repeated.",
)
@click.option(
    "--continuous",
    type=_FILE,
    multiple=True,
    metavar="FILE.hdf5",
    help="Continuous (n, 3) datasets: how many of the first network's picks the others have there; "
    "can be repeated.",
)
@click.option(
    "--split",
    type=click.Choice(["station", "event"]),
    help="What the training of the networks held out; one that a network's card contradicts is "
    "refused.  [default: by their cards; station without a card]",
)
@trace_selection("--data")
@click.option("--all-stations", is_flag=True, help="Also those that training may have seen.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Score on N records of --data at most, drawn by --seed.  [default: all]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of --limit and --traces.")
@click.option("--manual", is_flag=True, help="Of the events, only those that a person picked.")
@click.option(
    "--calibration",
    type=_FILE,
    multiple=True,
    metavar="FILE.hdf5",
    help="Records to quantise weights with, so that they are compared in int8 too.",
)
@click.option(
    "--table",
    "csv_file",
    type=_FILE,
    metavar="FILE.csv",
    help="Write the table here. Until 0.1 this was --csv.",
)
@click.option("--markdown", type=_FILE, metavar="FILE.md", help="Write the table here.")
@click.option(
    "--chart", type=_FILE, metavar="FILE.png", help="Draw it: .png, .svg or .pdf; needs [plot]."
)
def compare(
    networks: tuple[str, ...],
    data: tuple[Path, ...],
    continuous: tuple[Path, ...],
    split: Split | None,
    labels_csv: Path | None,
    where: str | None,
    traces: int | None,
    all_stations: bool,
    limit: int | None,
    seed: int,
    manual: bool,
    calibration: tuple[Path, ...],
    csv_file: Path | None,
    markdown: Path | None,
    chart: Path | None,
) -> None:
    """Set networks side by side: costs and scores.

    The table has size, operations, latency, memory, precision, recall and residuals. A network is a
    shipped model by name, a .tflite with its card, or weights (.h5, .weights.h5, .keras), which are
    converted. All run in the node's runtime on the same windows of stations held out of training.
    """
    if chart is not None and chart.suffix not in SUFFIXES:
        raise TableError(f"chart {chart}: name it {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    from ...edge.replay.other_files import absent

    for path in (*data, *continuous, *calibration):
        if problem := absent(path):
            raise TableError(f"data {path}: {problem}")
    if labels_csv is not None and not labels_csv.is_file():
        raise TableError(
            f"--csv {labels_csv}: no such file; name the labels of --data, or write the table with "
            "--table"
        )
    require_one_file(labels_csv, data)
    for table in (csv_file, markdown, chart):
        if table is not None and not table.parent.is_dir():
            raise TableError(f"table {table}: no such folder; make it or name another")
    with memory_errors():
        from ...edge.replay.selection import TraceSelection
        from ..data.picker import check_networks
        from ..data.unseen import Selection, splits_of
        from .scores import choose, score_all

        check_networks(networks)
        trainings = [trained(name) for name in networks]
        splits = splits_of(trainings, split, all_stations, report_line)
        chosen = choose(
            data,
            Selection(splits, all_stations, limit, seed),
            manual,
            TraceSelection(labels_csv, where, traces, seed),
            report_line,
        )
        with tensorflow_silenced():
            from .continuous import agree, draw_windows
            from .costs import costs_of
            from .pickers import open_pickers
            from .table import Comparison as Found
            from .table import as_csv, as_markdown, as_text

        progress = ProgressLines()
        windows = draw_windows(continuous, all_stations) if continuous else None
        pickers = open_pickers(networks, calibration, progress)
        costs = costs_of(pickers)
        scored = score_all(pickers, chosen, progress, report_line)
        kept = agree(pickers, windows, progress) if windows is not None else ()
        found = Found(pickers, costs, scored, kept)
        click.echo(as_text(found))
        _write(csv_file, as_csv, found)
        _write(markdown, as_markdown, found)
        if chart is not None:
            from .chart import draw_chart

            draw_chart(found, chart)


def _write(path: Path | None, form: Callable[[Comparison], str], found: Comparison) -> None:
    """Write a table whole or not at all."""
    if path is None:
        return
    try:
        with written_whole(path) as unfinished:
            unfinished.write_text(form(found), encoding="utf-8")
    except OSError as error:
        raise TableError(
            f"table {path}: {reason_of(error)}; free space or name another file"
        ) from error
