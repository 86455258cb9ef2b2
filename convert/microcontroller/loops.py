"""Turn an unrolled recurrence into a WHILE loop: its operators once, not once a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from ..quantization.editing import Editor
from ..quantization.flatbuffer import is_constant
from .recurrences import Collected, Recurrence, Row, Slot, recurrence_of
from .repeats import find_repeats


def roll(model: Any) -> list[Recurrence]:
    """Turn every unrolled recurrence of a model's first graph into a loop, in place.

    A repeat whose rounds do not form a recurrence is left as it is.

    Returns:
        What was rolled, in the order of the graph.
    """
    graph = model.subgraphs[0]
    found = [recurrence_of(model, graph, repeat) for repeat in find_repeats(model, graph)]
    rolled = [recurrence for recurrence in found if recurrence is not None]
    for recurrence in reversed(rolled):  # from the end: places before stay true
        _Loop(model, recurrence).build()
    return rolled


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
            exits.append(
                final if slot in found.last else outer.like(tensors[final], self._shape(final))
            )
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
