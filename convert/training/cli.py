"""`eqedge train`: train a network, and write weights and their card."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...edge.ending import Stopped
from ...edge.replay.options import require_one_file, trace_selection
from ...edge.signals import stopped_by_signals
from ...models.architectures import ARCHITECTURES
from ..console import tensorflow_silenced
from ..options import SEED, FiniteRange
from .options import (
    LABEL_TYPES,
    AugmentOptions,
    LabelOptions,
    Options,
    SceneOptions,
    changed,
    listed,
)

if TYPE_CHECKING:
    from ..data.records import Split

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _options(
    options: Options,
) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], Options]:
    """Return what reads NAME=VALUE pairs over given options."""

    def read(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> Options:
        try:
            return changed(options, given)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return read


@click.command()
@click.option(
    "--data",
    "labelled",
    type=_FILE,
    multiple=True,
    required=True,
    help="STEAD-layout HDF5, with a CSV of the same name or attributes. Repeatable.",
)
@trace_selection("--data")
@click.option(
    "--continuous",
    type=_FILE,
    multiple=True,
    help="HDF5 of continuous (n, 3) datasets, labelled by the teachers. Repeatable.",
)
@click.option(
    "--teacher",
    "teachers",
    type=_FILE,
    multiple=True,
    help=".tflite or .h5 network to learn from; the first counts double. Repeatable.",
)
@click.option(
    "--teacher-licence",
    "licences",
    multiple=True,
    help="Licence of each teacher, in their order, for the card.",
)
@click.option(
    "--arch",
    type=click.Choice(list(ARCHITECTURES)),
    default="leqnet-gru",
    show_default=True,
    help="Network to train.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of checkpoint, history, weights and card.",
)
@click.option(
    "--labels",
    "label_folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the teachers' labels, made once. Default: OUTPUT/labels.",
)
@click.option(
    "--split",
    type=click.Choice(["station", "event"]),
    default="station",
    show_default=True,
    help="What is held out for scoring as a whole; event: STEAD's source_id.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Batches to learn from.")
@click.option("--minutes", type=FiniteRange(min=0, min_open=True), help="Or: time to learn for.")
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Or: how often as many windows as the records to train on have minutes, with a validation "
    "after each.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    metavar="N",
    help="End when N validations in a row brought no lower loss.  [default: never]",
)
@click.option(
    "--batch", type=click.IntRange(min=1), default=64, show_default=True, help="Windows a batch."
)
@click.option(
    "--learning-rate",
    type=FiniteRange(min=0, min_open=True),
    default=4e-3,
    show_default=True,
    help="Highest rate of the schedule.",
)
@click.option(
    "--augment",
    callback=_options(AugmentOptions()),
    multiple=True,
    metavar="NAME=SHARE",
    help="How often windows are changed, 0 to 1, by EQTransformer's names where it has one: "
    f"{listed(AugmentOptions())}. Repeatable.",
)
@click.option(
    "--scene",
    "scenes",
    callback=_options(SceneOptions()),
    multiple=True,
    metavar="NAME=SHARE",
    help="What windows are made of, 0 to 1; synthetic noise is the rest of the first four: "
    f"{listed(SceneOptions())}. Repeatable.",
)
@click.option(
    "--label",
    "labels",
    callback=_options(LabelOptions()),
    multiple=True,
    metavar="NAME=VALUE",
    help=f"Shape of the labels at P and S, {' or '.join(LABEL_TYPES)}, and their widths: "
    f"{listed(LabelOptions())}. Repeatable.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Processes that make windows; 0 for none beside this one.",
)
@click.option(
    "--memory-mb",
    type=click.IntRange(min=1),
    default=2048,
    show_default=True,
    help="Samples that each of them keeps in memory.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of all random choices.")
@click.option(
    "--deterministic",
    is_flag=True,
    help="Compute in one thread on the CPU: the same command gives the same bits.",
)
@click.option("--initial", type=_FILE, help="Weights to start from instead of random ones.")
@click.option(
    "--hard-negatives",
    type=_FILE,
    help="Weights of the same network whose false picks are drawn more often.",
)
@click.option("--resume", is_flag=True, help="Go on from OUTPUT's checkpoint.")
def train(
    labelled: tuple[Path, ...],
    labels_csv: Path | None,
    where: str | None,
    traces: int | None,
    continuous: tuple[Path, ...],
    teachers: tuple[Path, ...],
    licences: tuple[str, ...],
    arch: str,
    output: Path,
    label_folder: Path | None,
    split: Split,
    steps: int | None,
    minutes: float | None,
    epochs: int | None,
    patience: int | None,
    batch: int,
    learning_rate: float,
    augment: AugmentOptions,
    scenes: SceneOptions,
    labels: LabelOptions,
    workers: int,
    memory_mb: int,
    seed: int,
    deterministic: bool,
    initial: Path | None,
    hard_negatives: Path | None,
    resume: bool,
) -> None:
    """Train a network from labelled files, teachers, or both.

    Files are in STEAD's layout. Stations or events, never traces, are held out for scoring. 20
    times in a training, after each epoch or once a minute at most, the loss of each head is
    measured on held-out records; the weights of the lowest one are kept. Ctrl-C ends after the
    step: what was learned is scored and saved; --resume continues. A second Ctrl-C leaves out
    scores and weights.
    """
    require_one_file(labels_csv, labelled)
    if [steps, minutes, epochs].count(None) != 2:
        raise click.UsageError("give one of --steps, --epochs and --minutes")
    if deterministic and minutes is not None:
        raise click.UsageError(
            "--deterministic: give --steps or --epochs; with --minutes the result depends on the "
            "clock"
        )
    from ..data.picker import check_networks
    from ..graph.stored import read_network
    from .folder import check_folder, check_initial

    check_folder(output, resume)
    check_networks(teachers)
    if initial is not None and not resume:
        check_initial(initial, split)
    if hard_negatives is not None and not resume:
        read_network(hard_negatives)
    with tensorflow_silenced(gpus=True):
        from ...edge.replay.selection import TraceSelection
        from ..data.files import DataFiles
        from .loop import VALIDATIONS, LoopSettings
        from .request import TrainRequest
        from .run import run
        from .student import StudentSettings

    request = TrainRequest(
        files=DataFiles(
            labelled,
            continuous,
            teachers,
            label_folder or output / "labels",
            split,
            TraceSelection(labels_csv, where, traces, seed),
        ),
        student=StudentSettings(architecture=arch, peak_learning_rate=learning_rate),
        loop=LoopSettings(
            steps=steps,
            minutes=minutes,
            validations=VALIDATIONS if minutes is None else min(VALIDATIONS, max(1, int(minutes))),
            patience=patience,
        ),
        epochs=epochs,
        output=output,
        seed=seed,
        batch_windows=batch,
        augment=augment,
        scenes=scenes,
        labels=labels,
        workers=workers,
        budget_bytes=memory_mb << 20,
        initial=initial,
        hard_negatives=hard_negatives,
        licences=licences,
        deterministic=deterministic,
        command=("eqedge", "train", *(part for part in sys.argv[1:] if part != "train")),
    )
    try:
        with stopped_by_signals():
            finished = run(request, resume)
            _draw(output)
    except Stopped:
        if (output / "checkpoint.npz").exists():
            click.echo(f"go on with --resume: {output}", err=True)
        raise
    click.echo(f"{'finished' if finished else 'stopped, go on with --resume'}: {output}")


def _draw(output: Path) -> None:
    """Leave the learning curves beside the weights, where there is something to draw them with."""
    from ..pictures.canvas import PlotError, present
    from ..pictures.learning import draw_learning, read_history, size_inches

    try:
        notes = read_history(output)
        present(size_inches(notes), partial(draw_learning, notes=notes), output / "learning.svg")
    except PlotError as error:
        click.echo(f"no learning curves: {error}", err=True)
