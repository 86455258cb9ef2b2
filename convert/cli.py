"""`eqedge convert`: turn weights into a model that a node can run, and measure the loss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..models.architectures import ARCHITECTURES
from .console import memory_errors, tensorflow_silenced
from .options import SEED
from .progress import ProgressLines

if TYPE_CHECKING:
    from .conversion import ConversionReport

PRECISIONS = ("float32", "float16", "int8", "mixed")
REMOVED = {"int16x8": "mixed", "dynamic": "float16"}
"""Precisions of before 0.1.0, and what serves in their place."""
IO_TYPES = ("int8", "float32")
TARGETS = ("litert", "tflm")


def _still_made(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Name the successor of a precision that is made no more."""
    for value in values:
        if value in REMOVED:
            raise click.BadParameter(f"{value} is no longer made; use {REMOVED[value]}")
        if value not in PRECISIONS:
            raise click.BadParameter(f"{value!r}; use one of {', '.join(PRECISIONS)}")
    return values


@click.command(context_settings={"show_default": True})
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Published EQTransformer or LEQNet .h5, or a Keras 3 .weights.h5 or .keras.",
)
@click.option(
    "--arch",
    type=click.Choice(list(ARCHITECTURES)),
    help="Require an architecture; by default that of the weights.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    metavar="FILE.hdf5",
    help="STEAD-layout records like those of the station; can be repeated.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder for NAME_PRECISION.tflite, its card .json and its report .md.",
)
@click.option(
    "--precision",
    "precisions",
    metavar=f"[{'|'.join(PRECISIONS)}]",
    callback=_still_made,
    multiple=True,
    default=("int8",),
    help="Can be repeated; all files are written or none.",
)
@click.option(
    "--float-stage",
    "float_stages",
    multiple=True,
    metavar="STAGE",
    help="Stage that --precision mixed keeps in float32, e.g. encoder or decoder_P; auto finds"
    " the fewest that keep the limit.",
)
@click.option(
    "--io",
    type=click.Choice(IO_TYPES),
    default="int8",
    help="Input and outputs of --precision int8; the others take and give float32.",
)
@click.option(
    "--tuning-steps",
    type=click.IntRange(0),
    default=3000,
    help="Gradient steps that fit the encoder to int8; 0 leaves the weights as they are.",
)
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    default="litert",
    help="tflm also writes C sources of the int8 file for TensorFlow Lite for Microcontrollers.",
)
@click.option("--name", help="Beginning of the files' names; by default the weights file's.")
@click.option("--seed", type=SEED, default=0, help="Of the choice of calibration windows.")
@click.option(
    "--lossless",
    is_flag=True,
    help="Require 99 % of picks kept, at most 5 % added and half a point of F1 lost, no new noise.",
)
@click.option("--force", is_flag=True, help="Write a model that misses the agreement limit too.")
def convert(
    weights: Path,
    arch: str | None,
    calibration: tuple[Path, ...],
    output: Path,
    precisions: tuple[str, ...],
    float_stages: tuple[str, ...],
    io: str,
    tuning_steps: int,
    target: str,
    name: str | None,
    seed: int,
    lossless: bool,
    force: bool,
) -> None:
    """Turn weights into a TFLite model, its card and a report.

    Float and converted model are compared with the node's own detector on records that calibration
    did not see. A model that loses too many picks is not written (exit 1).
    """
    with memory_errors():
        report = _run(
            weights=weights,
            calibration=calibration,
            output=output,
            arch=arch,
            precisions=tuple(dict.fromkeys(precisions)),
            name=name,
            float_stages=float_stages,
            io=io,
            tuning_steps=tuning_steps,
            target=target,
            lossless=lossless,
            seed=seed,
            force=force,
        )
    for result in report.converted:
        agreement = result.agreement
        kept = ", ".join(
            f"{head} {found.kept}/{found.kept + found.lost} kept"
            + (f" (F1 {round(-found.f1_lost_points, 1) + 0.0:+.1f} points)" if found.labels else "")
            for head, found in agreement.heads.items()
        )
        ratio = agreement.latency_ratio
        click.echo(
            f"{output / result.name}.tflite: {len(result.data):,} bytes, {kept}"
            + ("" if ratio is None else f", latency {ratio:.2f} of float32")
            + (f", in float: {' '.join(result.kept_float)}" if result.kept_float else "")
            + (f"; written although {result.refusal}" if result.refusal else "")
        )
    if report.micro is not None:
        click.echo(f"{output}/{report.micro.summary}")


def _run(**settings: Any) -> ConversionReport:
    from .conversion import ConvertSettings
    from .inputs import check_inputs

    request = ConvertSettings(**settings)
    check_inputs(request)
    with tensorflow_silenced():
        from .pipeline import convert as run

    return run(request, ProgressLines())
