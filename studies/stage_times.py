"""A model file in, the time of each of its stages out: `python -m studies.stage_times FILE`.

The runtime names no profiler to Python. Each stage is cut out of the file instead and run alone;
what the parts take together comes within a few per cent of the whole. Of several files, whoever
made them, each is timed whole, turn by turn, against the first; that needs no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from eqedge import first_line
from eqedge.convert.console import run_with_one_line_errors, tensorflow_silenced
from eqedge.edge.runtime import find_runtime, open_interpreter, stderr_silenced
from eqedge.edge.timing import interleaved
from eqedge.models.registry import ModelError, read_flatbuffer
from numpy.typing import NDArray

ROUNDS = 200
RUNS_A_ROUND = 5
"""The quickest of them counts: a machine with other work only ever adds time."""
WHOLE = "whole"


@dataclass(frozen=True)
class StageTime:
    """What one stage costs.

    Attributes:
        stage: Its name in the graph, or WHOLE.
        operations: How many it has.
        microseconds: Median over the rounds, one thread, caches warm.
    """

    stage: str
    operations: int
    microseconds: float


@dataclass(frozen=True)
class FileTime:
    """What one of several files costs.

    Attributes:
        microseconds: Median over the rounds, one thread, caches warm.
        ratio: Median of this file's time over the first's in the same round.
        ratio_p5: The same, 5th percentile.
        ratio_p95: The same, 95th percentile.
    """

    microseconds: float
    ratio: float
    ratio_p5: float
    ratio_p95: float


def profile(path: Path, data: bytes, rounds: int = ROUNDS) -> list[StageTime]:
    """Time a model's stages turn by turn.

    Args:
        path: Where the file lies, to name it.
        data: Flatbuffer of this package's converter.
        rounds: How often each is timed.

    Returns:
        The whole model first, then its stages in the order of the graph.

    Raises:
        ModelError: The model, or a stage of it alone, cannot be run.
    """
    whole = _ready(str(path), data)  # a damaged file is found before it is cut
    stages = _stages(data)
    counts = [len(chosen) for chosen in stages.values()]
    parts = [_ready(f"{path}: its {name}", cut(data, n)) for name, n in stages.items()]
    times = np.median(_times([whole, *parts], rounds), axis=1)
    return [
        StageTime(name, count, float(microseconds))
        for name, count, microseconds in zip(
            (WHOLE, *stages), (sum(counts), *counts), times, strict=True
        )
    ]


def side_by_side(files: Sequence[tuple[Path, bytes]], rounds: int = ROUNDS) -> list[FileTime]:
    """Time whole models turn by turn, so that a busy machine is busy for all alike.

    Args:
        files: Where each lies, and its flatbuffer, of any converter.
        rounds: How often each is timed.

    Returns:
        In the same order; the first is the measure of the ratios.

    Raises:
        ModelError: One cannot be run.
    """
    times = _times([_ready(str(path), data) for path, data in files], rounds)
    low, middle, high = np.percentile(times / times[0], (5, 50, 95), axis=1)
    columns = (np.median(times, axis=1), middle, low, high)
    return [FileTime(*map(float, row)) for row in zip(*columns, strict=True)]


def cut(data: bytes, chosen: set[int]) -> bytes:
    """Make a model of some operations of another: what they lack is its input, what they give out.

    Args:
        data: Flatbuffer.
        chosen: Numbers of the operations to keep.
    """
    with tensorflow_silenced():
        from eqedge.convert.quantization.flatbuffer import (
            is_constant,
            open_flatbuffer,
            pack_flatbuffer,
        )

    model = open_flatbuffer(data)
    graph = model.subgraphs[0]
    graph.operators = [graph.operators[number] for number in sorted(chosen)]
    made = [int(tensor) for operator in graph.operators for tensor in operator.outputs]
    read = [int(tensor) for operator in graph.operators for tensor in operator.inputs]
    lacking = (
        tensor
        for tensor in dict.fromkeys(read)
        if tensor >= 0 and tensor not in made and not is_constant(model, graph.tensors[tensor])
    )
    graph.inputs = np.array(list(lacking), np.int32)
    graph.outputs = np.array([tensor for tensor in made if tensor not in read], np.int32)
    model.signatureDefs = None
    return pack_flatbuffer(model)


def _stages(data: bytes) -> dict[str, set[int]]:
    with tensorflow_silenced():
        from eqedge.convert.quantization.flatbuffer import open_flatbuffer, stage_of

    graph = open_flatbuffer(data).subgraphs[0]
    stages: dict[str, set[int]] = {}
    for number, operator in enumerate(graph.operators):
        name = stage_of(graph.tensors[operator.outputs[0]])
        stages.setdefault(name, set()).add(number)
    return stages


def _times(interpreters: Sequence[Any], rounds: int) -> NDArray[np.float64]:
    """(interpreters, rounds) microseconds, taken in turn; of each turn the quickest run."""
    runs = [interpreter.invoke for interpreter in interpreters]
    return 1e6 * interleaved(runs, rounds, runs_a_turn=RUNS_A_ROUND)


def _ready(name: str, data: bytes) -> Any:
    """Return an interpreter that has run once, on zeros."""
    try:
        with stderr_silenced():
            interpreter = open_interpreter(data)
            for detail in interpreter.get_input_details():
                interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
            interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        runtime = find_runtime()
        raise ModelError(
            f"model {name}: {runtime.name} {runtime.version} cannot run it ({first_line(error)}); "
            "copy it again, or convert again"
        ) from error
    return interpreter


@click.command(context_settings={"show_default": True})
@click.argument("models", nargs=-1, required=True, metavar="FILE.tflite|NAME...")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=ROUNDS, help="How often each is timed."
)
def main(models: tuple[str, ...], rounds: int) -> None:
    """Print what each stage of a model costs; of several models, what each costs as a whole.

    Of several, ratios are to the first, in the same round; in brackets 90 % of the rounds.
    """
    files = [read_flatbuffer(name) for name in models]
    if len(files) == 1:
        for line in profile(*files[0], rounds):
            click.echo(
                f"{line.stage:20s} {line.operations:5d} operations {line.microseconds:8.1f} us"
            )
        return
    width = max(len(path.stem) for path, _ in files)
    for (path, _), cost in zip(files, side_by_side(files, rounds), strict=True):
        click.echo(
            f"{path.stem:{width}s} {cost.microseconds:8.1f} us  {cost.ratio:5.2f} "
            f"({cost.ratio_p5:.2f} to {cost.ratio_p95:.2f})"
        )


if __name__ == "__main__":
    run_with_one_line_errors(main, "python -m studies.stage_times")
