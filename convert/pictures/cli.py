"""`eqedge plot`: draw records, scores and trainings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from ...models.registry import DEFAULT_MODEL

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _output(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--output",
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
@click.option("--trace", "name", metavar="NAME", help="Trace.  [default: the first with a P]")
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    metavar="NAME|FILE.tflite",
    help="A shipped model or a file with its card beside it.",
)
@click.option(
    "--from",
    "from_seconds",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Where the window begins.  [default: the P at a quarter of it]",
)
@_output
def trace(
    data: Path, name: str | None, model: str, from_seconds: float | None, output: Path | None
) -> None:
    """Draw one record and a model's probabilities.

    Components, labels, detection, P and S. The model runs as on a node, over one window.
    """
    from ...edge.replay.stead import SteadFile
    from ...models.registry import open_model
    from .canvas import present
    from .trace import SIZE_INCHES, draw_trace
    from .view import read_trace, view_of

    with SteadFile(data) as file:
        view = view_of(read_trace(file, name), open_model(model), from_seconds)
    present(SIZE_INCHES, partial(draw_trace, view=view), output)


@plot.command()
@click.argument("triggers", type=_FILE, metavar="FILE.jsonl")
@click.option(
    "--data", type=_FILE, required=True, metavar="FILE.hdf5", help="What the run replayed."
)
@click.option(
    "--panels", type=click.IntRange(1, 40), default=12, show_default=True, help="How many records."
)
@click.option("--traces", type=click.IntRange(min=1), metavar="N", help="As was given to the run.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="As was given to the run; also of the records drawn.",
)
@_output
def grid(
    triggers: Path, data: Path, panels: int, traces: int | None, seed: int, output: Path | None
) -> None:
    """Draw records of a run, their labels and picks.

    FILE.jsonl is the output of `eqedge run --sim`.
    """
    from .canvas import present
    from .grid import draw_grid, panels_of, size_inches

    chosen = panels_of(triggers, data, traces, seed, panels)
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
    from .scores import draw_residuals, read_series, residuals_inches

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
    from .scores import SQUARE_INCHES, draw_precision_recall, read_series

    series = read_series(scores, None)
    present(SQUARE_INCHES, partial(draw_precision_recall, series=series, rows=rows), output)


@plot.command()
@click.argument("scores", type=_FILE, metavar="SCORES.json")
@_at
@_output
def onset(scores: Path, at: str | None, output: Path | None) -> None:
    """Draw how soon P are announced.

    SCORES.json is what `eqedge evaluate` prints.
    """
    from .canvas import present
    from .scores import CURVE_INCHES, draw_onset, read_series

    present(CURVE_INCHES, partial(draw_onset, series=read_series(scores, at)), output)


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
