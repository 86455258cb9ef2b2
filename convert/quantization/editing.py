"""Edit an unpacked flatbuffer: small steps that several rewrites share."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema

Graph = Any
"""A `SubGraphT` of the schema."""
Operator = Any
"""An `OperatorT` of the schema."""


class Editor:
    """One graph of an open model, and ways to add to it.

    Args:
        model: From `flatbuffer.open_flatbuffer`; it is changed in place.
        graph: One of its subgraphs.
    """

    def __init__(self, model: Any, graph: Graph) -> None:
        self.model = model
        self.graph = graph

    def like(self, tensor: Any, shape: Sequence[int]) -> int:
        """Add an activation with the type and scale of another, and give its index."""
        made = copy.copy(tensor)
        made.shape, made.shapeSignature, made.buffer = np.array(shape, np.int32), None, 0
        return self._added(made)

    def adopted(self, tensor: Any) -> int:
        """Add a tensor of another graph of this model; a constant keeps its buffer."""
        return self._added(copy.copy(tensor))

    def plain(self, kind: int, shape: Sequence[int]) -> int:
        """Add an activation without a scale: a counter, a truth."""
        made = schema.TensorT()
        made.type, made.shape, made.buffer, made.name = kind, np.array(shape, np.int32), 0, b"loop"
        return self._added(made)

    def constant(self, values: NDArray[np.int32]) -> int:
        """Add a constant of 32-bit integers."""
        index = self.plain(schema.TensorType.INT32, values.shape)
        self.graph.tensors[index].buffer = self._buffer(values.tobytes())
        return index

    def zeros_like(self, tensor: Any, shape: Sequence[int]) -> int:
        """Add a constant of that tensor's type and scale, every byte of it zero."""
        index = self.like(tensor, shape)
        item = 4 if tensor.type in (schema.TensorType.FLOAT32, schema.TensorType.INT32) else 1
        self.graph.tensors[index].buffer = self._buffer(bytes(item * int(np.prod(shape))))
        return index

    def operator(
        self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any
    ) -> Operator:
        """Make an operator of a builtin kind; it is not yet in the graph.

        Args:
            name: As TensorFlow Lite spells it, e.g. `STRIDED_SLICE`.
            inputs: Tensor indices.
            outputs: Tensor indices.
            **options: Fields of the kind's option table.
        """
        made = schema.OperatorT()
        made.opcodeIndex = self._code(getattr(schema.BuiltinOperator, name))
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        table = "".join(part.capitalize() for part in name.split("_")) + "Options"
        if hasattr(schema, f"{table}T"):
            made.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            made.builtinOptions = getattr(schema, f"{table}T")()
            for field, value in options.items():
                setattr(made.builtinOptions, field, value)
        return made

    def again(self, operator: Operator, inputs: Sequence[int], outputs: Sequence[int]) -> Operator:
        """Make an operator that does to other tensors what a given one does to its own."""
        made = copy.copy(operator)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        return made

    def rows(self, source: int, first: int, count: int, to: int | None = None) -> Operator:
        """Make the operator that cuts rows, the first axis, out of a tensor.

        Args:
            source: Tensor to cut.
            first: First row.
            count: Of rows.
            to: Tensor that takes them; None adds one.
        """
        tensor = self.graph.tensors[source]
        shape = [int(n) for n in tensor.shape]
        begin = np.array([first] + [0] * (len(shape) - 1), np.int32)
        end = np.array([first + count, *shape[1:]], np.int32)
        inputs = [source, *map(self.constant, (begin, end, np.ones(len(shape), np.int32)))]
        output = self.like(tensor, [count, *shape[1:]]) if to is None else to
        return self.operator("STRIDED_SLICE", inputs, [output])

    def _added(self, tensor: Any) -> int:
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def _buffer(self, content: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def _code(self, builtin: int) -> int:
        codes = self.model.operatorCodes
        for index, code in enumerate(codes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
                return index
        made = schema.OperatorCodeT()
        made.builtinCode, made.deprecatedBuiltinCode, made.version = builtin, min(builtin, 127), 1
        codes.append(made)
        return len(codes) - 1


def readers(graph: Graph) -> dict[int, list[tuple[Operator, int]]]:
    """List, for every tensor, the operators that read it and the place of it in their inputs."""
    found: dict[int, list[tuple[Operator, int]]] = defaultdict(list)
    for operator in graph.operators:
        for place, tensor in enumerate(operator.inputs):
            found[int(tensor)].append((operator, place))
    return found
