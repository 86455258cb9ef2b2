"""Find repeated operator sequences (unrolled loops) in a graph."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..quantization.flatbuffer import is_constant

SHORTEST_PERIOD, LONGEST_PERIOD = 4, 64
FEWEST_REPEATS = 8


@dataclass(frozen=True)
class Repeat:
    """Operators `start` to `start + period * count` of a graph.

    Attributes:
        start: First operator.
        period: Operators of one round.
        count: Rounds.
    """

    start: int
    period: int
    count: int

    @property
    def end(self) -> int:
        """First operator behind."""
        return self.start + self.period * self.count


def find_repeats(model: Any, graph: Any) -> list[Repeat]:
    """Find stretches whose rounds have equal operators, options, shapes, scales and constants.

    Shorter periods come first, and no operator is in two stretches.
    """
    signatures = _numbered([_signature(model, graph, op) for op in graph.operators])
    taken = np.zeros(len(signatures), bool)
    found: list[Repeat] = []
    for period in range(SHORTEST_PERIOD, LONGEST_PERIOD + 1):
        equal = signatures[:-period] == signatures[period:]
        for first, last in _stretches(equal):
            repeat = Repeat(first, period, (last - first) // period + 1)
            if repeat.count < FEWEST_REPEATS or taken[repeat.start : repeat.end].any():
                continue
            taken[repeat.start : repeat.end] = True
            found.append(repeat)
    return sorted(found, key=lambda repeat: repeat.start)


def _signature(model: Any, graph: Any, operator: Any) -> Hashable:
    def tensor(index: int) -> Hashable:
        if index < 0:
            return None
        entry = graph.tensors[index]
        shape = () if entry.shape is None else tuple(int(n) for n in entry.shape)
        values = bytes(np.asarray(model.buffers[entry.buffer].data)) if is_constant(
            model, entry
        ) else None  # fmt: skip
        return entry.type, shape, _scale(entry), values

    options = operator.builtinOptions
    fields = () if options is None else tuple((k, str(v)) for k, v in sorted(vars(options).items()))
    return (
        operator.opcodeIndex,
        fields,
        tuple(map(tensor, map(int, operator.inputs))),
        tuple(map(tensor, map(int, operator.outputs))),
    )


def _scale(tensor: Any) -> Hashable:
    table = tensor.quantization
    if table is None or table.scale is None:
        return None
    return tuple(map(float, table.scale)), tuple(map(int, table.zeroPoint))


def _numbered(values: Sequence[Hashable]) -> Any:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])


def _stretches(equal: Any) -> list[tuple[int, int]]:
    """First and one past the last place of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], equal, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
