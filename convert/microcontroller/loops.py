"""An unrolled recurrence in, the same as a WHILE loop out: its operators once, not once a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from ..flatbuffer import is_constant, op_name
from .editing import Editor, readers
from .repeats import Repeat, find_repeats

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


def roll(model: Any) -> list[Recurrence]:
    """Turn every unrolled recurrence of a model's first graph into a loop, in place.

    A repeat whose rounds do not hang together as a recurrence's do is left as it is.

    Returns:
        What was rolled, in the order of the graph.
    """
    graph = model.subgraphs[0]
    found = [_recurrence(model, graph, repeat) for repeat in find_repeats(model, graph)]
    rolled = [recurrence for recurrence in found if recurrence is not None]
    for recurrence in reversed(rolled):  # from the end: places before stay true
        _Loop(model, recurrence).build()
    return rolled


def _recurrence(model: Any, graph: Any, repeat: Repeat) -> Recurrence | None:
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
            if tensors[0] < 0 or is_constant(model, graph.tensors[tensors[0]]):
                fixed[slot] = tensors[0]
            elif len(set(tensors)) == 1 and source is None:
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


class _Loop:
    """Builds the WHILE of one recurrence.

    Variables of the loop, in order: the counter, what is carried, what is collected, and the
    tensors from outside that every round reads.
    """

    def __init__(self, model: Any, recurrence: Recurrence) -> None:
        self._model = model
        self._recurrence = recurrence
        self._outer = Editor(model, model.subgraphs[0])
        first = recurrence.repeat.start
        self._round = self._outer.graph.operators[first : first + recurrence.repeat.period]
        self._carried = list(recurrence.starts)
        outside = [t for t in recurrence.fixed.values() if t >= 0 and not self._is_constant(t)]
        outside += [row.source for row in recurrence.rows.values()]
        self._outside = list(dict.fromkeys(outside))

    def build(self) -> None:
        """Put the loop where the rounds are."""
        found, outer = self._recurrence, self._outer
        repeat = found.repeat
        tensors, operators = outer.graph.tensors, outer.graph.operators
        end = operators[repeat.end - repeat.period : repeat.end]
        entry = [outer.constant(np.array([0], np.int32))]
        entry += [found.starts[slot] for slot in self._carried]
        exits = [outer.plain(schema.TensorType.INT32, [1])]
        for slot in self._carried:
            final = int(end[slot[0]].outputs[slot[1]])
            exits.append(final if slot in found.last else outer.like(tensors[final], self._shape(final)))
        for collected in found.collected:
            one = int(end[collected.output[0]].outputs[collected.output[1]])
            shape = self._all_rounds(one)
            entry.append(outer.zeros_like(tensors[one], shape))
            exits.append(outer.like(tensors[one], shape))
            _put_together(collected, repeat.count, exits[-1])
        for tensor in self._outside:
            entry.append(tensor)
            exits.append(outer.like(tensors[tensor], self._shape(tensor)))
        loop = outer.operator(
            "WHILE",
            entry,
            exits,
            condSubgraphIndex=self._added(self._condition()),
            bodySubgraphIndex=self._added(self._body()),
        )
        operators[repeat.start : repeat.end] = [loop]

    def _condition(self) -> Any:
        """Counter below the number of rounds."""
        graph = Editor(self._model, _empty_graph())
        self._variables(graph)
        truth = graph.plain(schema.TensorType.BOOL, [1])
        rounds = graph.constant(np.array([self._recurrence.repeat.count], np.int32))
        graph.graph.operators = [graph.operator("LESS", [graph.graph.inputs[0], rounds], [truth])]
        graph.graph.outputs = [truth]
        return graph.graph

    def _body(self) -> Any:
        """One round, its rows cut out before and its results collected behind."""
        found = self._recurrence
        graph = Editor(self._model, _empty_graph())
        variables = self._variables(graph)
        counter = graph.graph.inputs[0]
        before: list[Any] = []
        rows = {row: self._gathered(graph, row, variables, before) for row in found.rows.values()}
        constants: dict[int, int] = {}
        made: dict[Slot, int] = {}
        operators = []
        for position, operator in enumerate(self._round):
            for place, tensor in enumerate(map(int, operator.outputs)):
                entry = self._outer.graph.tensors[tensor]
                made[position, place] = graph.like(entry, self._shape(tensor))
            inputs = []
            for place, tensor in enumerate(map(int, operator.inputs)):
                slot = (position, place)
                if slot in found.inner:
                    inputs.append(made[found.inner[slot]])
                elif slot in found.carried:
                    inputs.append(variables["carried", found.carried[slot]])
                elif slot in found.rows:
                    inputs.append(rows[found.rows[slot]])
                elif tensor < 0:
                    inputs.append(tensor)
                elif self._is_constant(tensor):
                    if tensor not in constants:
                        constants[tensor] = graph.adopted(self._outer.graph.tensors[tensor])
                    inputs.append(constants[tensor])
                else:
                    inputs.append(variables["outside", tensor])
            outputs = [made[position, place] for place in range(len(operator.outputs))]
            operators.append(graph.again(operator, inputs, outputs))
        next_counter = graph.plain(schema.TensorType.INT32, [1])
        one = graph.constant(np.array([1], np.int32))
        operators.append(graph.operator("ADD", [counter, one], [next_counter]))
        outputs = [next_counter, *(made[slot] for slot in self._carried)]
        for collected in found.collected:
            held = variables["collected", collected.output]
            outputs.append(self._shifted(graph, held, made[collected.output], collected, operators))
        outputs += [variables["outside", tensor] for tensor in self._outside]
        graph.graph.operators, graph.graph.outputs = before + operators, outputs
        return graph.graph

    def _variables(self, graph: Editor) -> dict[tuple[str, Any], int]:
        """Add the loop's variables as the inputs of a graph."""
        tensors = self._outer.graph.tensors
        inputs = [graph.plain(schema.TensorType.INT32, [1])]
        variables: dict[tuple[str, Any], int] = {}
        for slot in self._carried:
            tensor = int(self._round[slot[0]].outputs[slot[1]])
            variables["carried", slot] = graph.like(tensors[tensor], self._shape(tensor))
        for collected in self._recurrence.collected:
            one = int(self._round[collected.output[0]].outputs[collected.output[1]])
            variables["collected", collected.output] = graph.like(
                tensors[one], self._all_rounds(one)
            )
        for tensor in self._outside:
            variables["outside", tensor] = graph.like(tensors[tensor], self._shape(tensor))
        graph.graph.inputs = inputs + list(variables.values())
        return variables

    def _gathered(
        self, graph: Editor, row: Row, variables: Mapping[tuple[str, Any], int], before: list[Any]
    ) -> int:
        """Row number first + step * counter."""
        number = graph.graph.inputs[0]
        if (row.first, row.step) != (0, 1):
            offset = graph.constant(np.array([row.first], np.int32))
            moved = graph.plain(schema.TensorType.INT32, [1])
            pair = [number, offset] if row.step > 0 else [offset, number]
            before.append(graph.operator("ADD" if row.step > 0 else "SUB", pair, [moved]))
            number = moved
        source = variables["outside", row.source]
        tensor = graph.graph.tensors[source]
        output = graph.like(tensor, [1, *(int(n) for n in tensor.shape[1:])])
        before.append(graph.operator("GATHER", [source, number], [output], axis=0))
        return output

    def _shifted(
        self, graph: Editor, held: int, new: int, collected: Collected, operators: list[Any]
    ) -> int:
        """Drop the oldest round's rows and append the new ones'."""
        rows = int(graph.graph.tensors[new].shape[0])
        total = int(graph.graph.tensors[held].shape[0])
        cut = graph.rows(held, 0 if collected.backwards else rows, total - rows)
        output = graph.like(graph.graph.tensors[held], self._shape_in(graph, held))
        kept = int(cut.outputs[0])
        pair = [new, kept] if collected.backwards else [kept, new]
        operators += [cut, graph.operator("CONCATENATION", pair, [output], axis=0)]
        return output

    def _added(self, graph: Any) -> int:
        self._model.subgraphs.append(graph)
        return len(self._model.subgraphs) - 1

    def _is_constant(self, tensor: int) -> bool:
        return is_constant(self._model, self._outer.graph.tensors[tensor])

    def _shape(self, tensor: int) -> list[int]:
        return self._shape_in(self._outer, tensor)

    def _all_rounds(self, tensor: int) -> list[int]:
        rows, *rest = self._shape(tensor)
        return [rows * self._recurrence.repeat.count, *rest]

    @staticmethod
    def _shape_in(graph: Editor, tensor: int) -> list[int]:
        return [int(n) for n in graph.graph.tensors[tensor].shape]


def _put_together(collected: Collected, rounds: int, rows: int) -> None:
    """Let one tensor of all rows stand for the rounds' in the CONCATENATION."""
    inputs = [int(tensor) for tensor in collected.into.inputs]
    inputs[collected.place : collected.place + rounds] = [rows]
    collected.into.inputs = np.array(inputs, np.int32)


def _empty_graph() -> Any:
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
    graph.name = b"loop"
    return graph
