"""A model file in, the time of each of its stages out: `python -m eqedge.convert.profile FILE`.

The runtime names no profiler to Python. Each stage is cut out of the file instead and run alone;
what the parts take together comes within a few per cent of the whole.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..edge.runtime import find_runtime
from .flatbuffer import is_constant, open_flatbuffer, pack_flatbuffer, stage_of

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


def profile(data: bytes, rounds: int = ROUNDS) -> list[StageTime]:
    """Time a model's stages turn by turn.

    Args:
        data: Flatbuffer of this package's converter.
        rounds: How often each is timed.

    Returns:
        The whole model first, then its stages in the order of the graph.
    """
    stages = _stages(data)
    parts = {WHOLE: data} | {name: cut(data, chosen) for name, chosen in stages.items()}
    counts = {name: len(chosen) for name, chosen in stages.items()}
    counts[WHOLE] = sum(counts.values())
    interpreters = {name: _ready(part) for name, part in parts.items()}
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, interpreter in interpreters.items():
            runs = []
            for _ in range(RUNS_A_ROUND):
                start = time.perf_counter()
                interpreter.invoke()
                runs.append(time.perf_counter() - start)
            spent[name].append(min(runs))
    return [StageTime(name, counts[name], 1e6 * float(np.median(spent[name]))) for name in parts]


def cut(data: bytes, chosen: set[int]) -> bytes:
    """Make a model of some operations of another: what they lack is its input, what they give out.

    Args:
        data: Flatbuffer.
        chosen: Numbers of the operations to keep.
    """
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
    graph = open_flatbuffer(data).subgraphs[0]
    stages: dict[str, set[int]] = {}
    for number, operator in enumerate(graph.operators):
        name = stage_of(graph.tensors[operator.outputs[0]])
        stages.setdefault(name, set()).add(number)
    return stages


def _ready(data: bytes) -> Any:
    interpreter = find_runtime().interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    interpreter.invoke()
    return interpreter


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rounds", type=click.IntRange(min=1), default=ROUNDS, show_default=True)
def main(model: Path, rounds: int) -> None:
    """Print what each stage of MODEL costs."""
    for line in profile(model.read_bytes(), rounds):
        click.echo(f"{line.stage:20s} {line.operations:5d} operations {line.microseconds:8.1f} us")


if __name__ == "__main__":
    main()
