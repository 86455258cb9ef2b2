"""Split activations too large for a microcontroller into blocks of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from ..quantization.editing import Editor, readers
from ..quantization.flatbuffer import op_name

LARGEST_ACTIVATION = 56_000
"""Bytes above which an activation is made in blocks; a convolution at full rate stays below."""
LARGEST_BLOCK = 28_000
_ROW_BY_ROW = frozenset(("TANH", "LOGISTIC", "FULLY_CONNECTED", "RELU"))
_ITEM_BYTES = {schema.TensorType.FLOAT32: 4, schema.TensorType.INT8: 1}


def tile(model: Any) -> int:
    """Rewrite, in place, each sum of all pairs of rows that is too large, and what follows it.

    Self-attention of every step to every step adds (steps, 1, units) and (1, steps, units). The
    sum, and what is done to each of its rows, is made block after block instead, until the result
    is small.

    Returns:
        How many chains of operators were rewritten.
    """
    graph = model.subgraphs[0]
    chains = [c for op in graph.operators if (c := _chain(model, graph, op))]
    for chain in chains:
        first = graph.operators.index(chain[0])
        blocks = _in_blocks(model, graph, chain)
        graph.operators[first : first + 1] = blocks
        graph.operators = [op for op in graph.operators if op not in chain[1:]]
    return len(chains)


def _chain(model: Any, graph: Any, operator: Any) -> list[Any] | None:
    """Operators from a sum of all pairs to the first small result, or None if this is no such."""
    if op_name(model, operator) != "ADD" or _size(graph, operator) <= LARGEST_ACTIVATION:
        return None
    query, key = (_shape(graph, int(tensor)) for tensor in operator.inputs)
    if len(query) != len(key) or len(query) < 3 or query[1] != 1 or key[0] != 1:
        return None
    read = readers(graph)
    chain = [operator]
    while _size(graph, chain[-1]) > LARGEST_BLOCK:
        following = read.get(int(chain[-1].outputs[0]), [])
        if len(following) != 1 or op_name(model, following[0][0]) not in _ROW_BY_ROW:
            return None
        chain.append(following[0][0])
        if _shape(graph, int(chain[-1].outputs[0]))[0] != query[0]:
            return None
    return chain


def _in_blocks(model: Any, graph: Any, chain: Sequence[Any]) -> list[Any]:
    edit = Editor(model, graph)
    query, key = (int(tensor) for tensor in chain[0].inputs)
    rows = _shape(graph, query)[0]
    result = int(chain[-1].outputs[0])
    step = max(1, rows * LARGEST_BLOCK // _size(graph, chain[0]))
    made, operators = [], []
    for first in range(0, rows, step):
        count = min(step, rows - first)
        operators.append(edit.rows(query, first, count))
        block = int(operators[-1].outputs[0])
        for position, operator in enumerate(chain):
            output = int(operator.outputs[0])
            shape = [count, *_shape(graph, output)[1:]]
            inputs = [block, *(int(tensor) for tensor in operator.inputs[1:])]
            block = edit.like(graph.tensors[output], shape)
            operators.append(
                edit.again(operator, inputs if position else [inputs[0], key], [block])
            )
        made.append(block)
    operators.append(edit.operator("CONCATENATION", made, [result], axis=0))
    return operators


def _shape(graph: Any, tensor: int) -> list[int]:
    shape = graph.tensors[tensor].shape
    return [] if shape is None else [int(n) for n in shape]


def _size(graph: Any, operator: Any) -> int:
    output = int(operator.outputs[0])
    return int(np.prod(_shape(graph, output))) * _ITEM_BYTES.get(graph.tensors[output].type, 1)
