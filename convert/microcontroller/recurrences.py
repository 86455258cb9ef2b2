"""Find what the rounds of repeated operators pass to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from ..quantization.editing import readers
from ..quantization.flatbuffer import is_constant, op_name
from .repeats import Repeat

Slot = tuple[int, int]
"""An operator of a round, and the place of a tensor among its inputs or outputs."""


@dataclass(frozen=True)
class Row:
    """An input that is another row of the same tensor in each round.

    Attributes:
        source: The tensor.
        first: Row of round 0.
        step: 1 or -1.
    """

    source: int
    first: int
    step: int


@dataclass(frozen=True)
class Collected:
    """An output whose values of all rounds are put together behind the loop.

    Attributes:
        output: What gives them.
        into: The CONCATENATION.
        place: Of the first of them among its inputs.
        backwards: Whether the last round's comes first.
    """

    output: Slot
    into: Any
    place: int
    backwards: bool


@dataclass(frozen=True)
class Recurrence:
    """What the rounds of a repeat hand to each other and to the rest of the graph.

    Attributes:
        repeat: The rounds.
        inner: Inputs that the same round has made, by slot.
        carried: Inputs that the round before has made, by slot.
        starts: What stands for those in round 0, by the output that makes them later.
        fixed: Inputs that are one tensor for all rounds, by slot; constants among them.
        rows: Inputs that are rows, by slot.
        collected: Outputs that are put together.
        last: Outputs of the last round that are used behind the loop.
    """

    repeat: Repeat
    inner: Mapping[Slot, Slot]
    carried: Mapping[Slot, Slot]
    starts: Mapping[Slot, int]
    fixed: Mapping[Slot, int]
    rows: Mapping[Slot, Row]
    collected: tuple[Collected, ...]
    last: tuple[Slot, ...]


def recurrence_of(model: Any, graph: Any, repeat: Repeat) -> Recurrence | None:
    """Return the recurrence that a repeat's rounds form; None if they form none."""
    rounds = [
        graph.operators[first : first + repeat.period]
        for first in range(repeat.start, repeat.end, repeat.period)
    ]
    made = {
        int(tensor): (number, (position, place))
        for number, operators in enumerate(rounds)
        for position, operator in enumerate(operators)
        for place, tensor in enumerate(operator.outputs)
    }
    inner: dict[Slot, Slot] = {}
    carried: dict[Slot, Slot] = {}
    starts: dict[Slot, int] = {}
    fixed: dict[Slot, int] = {}
    rows: dict[Slot, Row] = {}
    for position, operator in enumerate(rounds[0]):
        for place in range(len(operator.inputs)):
            slot = (position, place)
            tensors = [int(operators[position].inputs[place]) for operators in rounds]
            makers = [made.get(tensor) for tensor in tensors]
            source = makers[1][1] if makers[1] is not None else None
            written = tensors[0] < 0 or is_constant(model, graph.tensors[tensors[0]])
            if written or (len(set(tensors)) == 1 and source is None):
                fixed[slot] = tensors[0]
            elif source is None:
                row = _row(model, graph, tensors)
                if row is None:
                    return None
                rows[slot] = row
            elif makers == [(number, source) for number in range(repeat.count)]:
                inner[slot] = source
            elif makers[0] is None and makers[1:] == [
                (number, source) for number in range(repeat.count - 1)
            ]:
                if starts.setdefault(source, tensors[0]) != tensors[0]:
                    return None
                carried[slot] = source
            else:
                return None
    if not carried:
        return None
    outside = _used_outside(graph, repeat, rounds, starts)
    if outside is None:
        return None
    return Recurrence(repeat, inner, carried, starts, fixed, rows, *outside)


def _row(model: Any, graph: Any, tensors: list[int]) -> Row | None:
    """See whether tensors are consecutive parts, one row each, of one SPLIT."""
    for operator in graph.operators:
        outputs = [int(tensor) for tensor in operator.outputs]
        if tensors[0] not in outputs:
            continue
        if op_name(model, operator) != "SPLIT" or not set(tensors) <= set(outputs):
            return None
        axis = model.buffers[graph.tensors[int(operator.inputs[0])].buffer].data
        source = int(operator.inputs[1])
        if np.asarray(axis, np.uint8).any() or int(graph.tensors[source].shape[0]) != len(outputs):
            return None
        numbers = [outputs.index(tensor) for tensor in tensors]
        step = numbers[1] - numbers[0]
        even = set(np.diff(numbers).tolist()) == {step} and abs(step) == 1
        return Row(source, numbers[0], step) if even else None
    return None


def _used_outside(
    graph: Any, repeat: Repeat, rounds: list[Any], starts: Mapping[Slot, int]
) -> tuple[tuple[Collected, ...], tuple[Slot, ...]] | None:
    """Find what the graph takes from the rounds, or None where a loop could not give it."""
    inside = {id(operator) for operators in rounds for operator in operators}
    read = readers(graph)
    graph_outputs = {int(tensor) for tensor in graph.outputs}
    collected, last = [], []
    for position, operator in enumerate(rounds[0]):
        for place in range(len(operator.outputs)):
            tensors = [int(operators[position].outputs[place]) for operators in rounds]
            uses = [
                [(op, at) for op, at in read.get(tensor, []) if id(op) not in inside]
                for tensor in tensors
            ]
            if graph_outputs & set(tensors):
                return None
            if len(uses[0]) == 1:
                found = _collected((position, place), uses)
                if found is None:
                    return None
                collected.append(found)
                uses[-1] = [use for use in uses[-1] if use[0] is not found.into]
            elif any(uses[:-1]):
                return None
            if uses[-1]:
                if (position, place) not in starts:
                    return None
                last.append((position, place))
    return tuple(collected), tuple(last)


def _collected(output: Slot, uses: list[list[tuple[Any, int]]]) -> Collected | None:
    """See whether all rounds' values stand side by side in one CONCATENATION of rows."""
    into = uses[0][0][0]
    places = [[place for op, place in use if op is into] for use in uses]
    if any(len(found) != 1 for found in places) or any(len(use) != 1 for use in uses[:-1]):
        return None
    order = np.diff([found[0] for found in places])
    axis = getattr(into.builtinOptions, "axis", None)
    if (
        not isinstance(into.builtinOptions, schema.ConcatenationOptionsT)
        or axis != 0
        or abs(order[0]) != 1
        or (order != order[0]).any()
    ):
        return None
    backwards = bool(order[0] < 0)
    return Collected(output, into, places[-1 if backwards else 0][0], backwards)
