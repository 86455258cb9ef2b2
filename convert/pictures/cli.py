"""`eqedge plot`: draw records, scores and trainings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from ...edge.replay.options import trace_selection
from ...models.registry import DEFAULT_MODEL
from ..console import report_line
from ..options import FiniteRange

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _checked(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a suffix before the work rather than after it."""
    from .canvas import check_suffix

    if value is not None:
        check_suffix(value)
    return value


def _output(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--output",
        callback=_checked,
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="File, .png, .svg or .pdf.  [default: a window]",
    )(command)


def _at(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--at",
        metavar="THRESHOLDS",
        help="Which of the scores, such as 'P 0.3, S 0.3'.  [default: each network's first]",
    )(command)


@click.group()
def plot() -> None:
    """Draw records, scores and trainings.

    Needs matplotlib, of the extra [plot].
    """


@plot.command()
@click.argument("data", type=_FILE, metavar="FILE.hdf5")
@click.option(
    "--trace",
    "names",
    multiple=True,
    metavar="NAME",
    help="Trace; can be repeated.  [default: the first with a P]",
)
@click.option(
    "--traces-from",
    type=_FILE,
    metavar="FILE",
    help="Traces: a name on each line, or a CSV with a column trace_name.",
)
@trace_selection("FILE.hdf5")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of --traces."
)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=(DEFAULT_MODEL,),
    show_default=True,
    metavar="NAME|FILE.tflite",
    help="A shipped model or a file with its card beside it; can be repeated.",
)
@click.option(
    "--from",
    "from_seconds",
    type=FiniteRange(0),
    metavar="SECONDS",
    help="Where the window begins.  [default: the P at a quarter of it]",
)
@_output
def trace(
    data: Path,
    names: tuple[str, ...],
    traces_from: Path | None,
    labels_csv: Path | None,
    where: str | None,
    traces: int | None,
    seed: int,
    models: tuple[str, ...],
    from_seconds: float | None,
    output: Path | None,
) -> None:
    """Draw records and models' probabilities.

    Components, labels, detection, P and S. The models run as on a node, over one window. Several
    records fill pages: one .pdf, or .png and .svg files with a number.
    """
    from ...edge.replay.selection import TraceSelection
    from ...models.registry import open_model
    from .canvas import present_pages
    from .choosing import check_labels, read_traces, remarks_of, trace_names
    from .trace import pages_of
    from .view import views_of

    wanted = [*names, *(trace_names(traces_from) if traces_from else ())]
    selection = TraceSelection(labels_csv, where, traces, seed)
    with selection.open(data) as file:
        if not wanted and (where is not None or traces is not None):
            wanted = selection.names(file)
        shown = read_traces(file, wanted, report_line)
        remarks = file.remarks
    check_labels(data, shown, labels_csv)
    for line in (*remarks, *remarks_of(shown)):
        report_line(line)
    views = views_of(shown, [open_model(name) for name in models], from_seconds)
    files = present_pages(pages_of(views), output)
    if len(files) > 1:
        click.echo(f"wrote {files[0]} to {files[-1].name}, {len(views)} records")


@plot.command()
@click.argument("triggers", type=_FILE, metavar="FILE.jsonl")
@click.option(
    "--data", type=_FILE, required=True, metavar="FILE.hdf5", help="What the run replayed."
)
@click.option(
    "--panels", type=click.IntRange(1, 40), default=12, show_default=True, help="How many records."
)
@trace_selection("--data")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="As was given to the run; also of the records drawn.",
)
@_output
def grid(
    triggers: Path,
    data: Path,
    panels: int,
    labels_csv: Path | None,
    where: str | None,
    traces: int | None,
    seed: int,
    output: Path | None,
) -> None:
    """Draw records of a run, their labels and picks.

    FILE.jsonl is the output of `eqedge run --sim`: give --csv, --where, --traces and --seed as to
    that run.
    """
    from ...edge.replay.selection import TraceSelection
    from .canvas import present
    from .choosing import check_labels, remarks_of
    from .grid import draw_grid, panels_of, size_inches

    selection = TraceSelection(labels_csv, where, traces, seed)
    chosen = panels_of(triggers, data, selection, panels, report_line)
    check_labels(data, [panel.trace for panel in chosen], labels_csv)
    for line in remarks_of(panel.trace for panel in chosen):
        report_line(line)
    present(size_inches(len(chosen)), partial(draw_grid, panels=chosen), output)


@plot.command()
@click.argument("scores", type=_FILE, metavar="SCORES.json")
@_at
@_output
def residuals(scores: Path, at: str | None, output: Path | None) -> None:
    """Draw the residuals of P and S picks.

    SCORES.json is what `eqedge evaluate` prints.
    """
    from .canvas import present
    from .residuals import draw_residuals, residuals_inches
    from .scores import read_series

    series = read_series(scores, at)
    present(residuals_inches(series), partial(draw_residuals, series=series), output)


@plot.command("precision-recall")
@click.argument("scores", type=_FILE, metavar="SCORES.json")
@click.option(
    "--rows",
    type=click.Choice(["pooled", "manually_picked"]),
    default="pooled",
    show_default=True,
    help="Which of the records.",
)
@_output
def precision_recall(scores: Path, rows: str, output: Path | None) -> None:
    """Draw precision against recall.

    A curve over all thresholds for each network, a point for each run. SCORES.json is what
    `eqedge evaluate` prints.
    """
    from .canvas import present
    from .precision_recall import draw_precision_recall, precision_recall_inches
    from .scores import read_series

    series = read_series(scores, None)
    present(
        precision_recall_inches(series),
        partial(draw_precision_recall, series=series, rows=rows),
        output,
    )


@plot.command()
@click.argument("scores", type=_FILE, metavar="SCORES.json")
@_at
@_output
def onset(scores: Path, at: str | None, output: Path | None) -> None:
    """Draw how soon P are announced.

    SCORES.json is what `eqedge evaluate` prints.
    """
    from .canvas import present
    from .onset import draw_onset, onset_inches
    from .scores import read_series

    series = read_series(scores, at)
    present(onset_inches(series), partial(draw_onset, series=series), output)


@plot.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_output
def learning(folder: Path, output: Path | None) -> None:
    """Draw the progress of a training.

    Its loss, and its scores on held-out stations. FOLDER is the --output of `eqedge train`.
    """
    from .canvas import present
    from .learning import draw_learning, read_history, size_inches

    notes = read_history(folder)
    present(size_inches(notes), partial(draw_learning, notes=notes), output)
