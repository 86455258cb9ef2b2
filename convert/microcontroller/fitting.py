"""Rewrite a model in operators that a microcontroller's interpreter has."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..quantization.editing import Editor, readers
from ..quantization.flatbuffer import op_name

MOST_CONCATENATED = 10
"""Inputs of one CONCATENATION that TensorFlow Lite for Microcontrollers takes."""
FEW_PARTS = 4
"""A SPLIT of which no more parts than this are read becomes that many slices."""


def fit(model: Any) -> None:
    """Rewrite a model's first graph in place; every value it computes stays the same."""
    graph = model.subgraphs[0]
    _slice_splits(model, graph)
    _branch_concatenations(model, graph)


def prune(model: Any) -> None:
    """Drop the tensors that no operator touches, in place."""
    for graph in model.subgraphs:
        used = {int(t) for op in graph.operators for t in (*op.inputs, *op.outputs) if t >= 0}
        used |= {int(tensor) for tensor in (*graph.inputs, *graph.outputs)}
        kept = sorted(used)
        moved = {old: new for new, old in enumerate(kept)} | {-1: -1}
        graph.tensors = [graph.tensors[index] for index in kept]
        for part in (graph, *graph.operators):
            part.inputs = np.array([moved[int(t)] for t in part.inputs], np.int32)
            part.outputs = np.array([moved[int(t)] for t in part.outputs], np.int32)
        if graph is model.subgraphs[0]:
            for signature in model.signatureDefs or []:
                for entry in (*signature.inputs, *signature.outputs):
                    entry.tensorIndex = moved[entry.tensorIndex]


def _slice_splits(model: Any, graph: Any) -> None:
    """Cut out the few parts that are read, in place of cutting into all."""
    read = readers(graph)
    edit = Editor(model, graph)
    operators = []
    for operator in graph.operators:
        parts = [int(tensor) for tensor in operator.outputs]
        needed = [part for part in parts if part in read or part in graph.outputs]
        few = len(needed) <= FEW_PARTS < len(parts)
        if op_name(model, operator) == "SPLIT" and few and _by_rows(model, graph, operator):
            rows = int(graph.tensors[parts[0]].shape[0])
            source = int(operator.inputs[1])
            operators += [edit.rows(source, rows * parts.index(p), rows, p) for p in needed]
        else:
            operators.append(operator)
    graph.operators = operators


def _by_rows(model: Any, graph: Any, split: Any) -> bool:
    """Whether a SPLIT cuts along the first axis."""
    axis = graph.tensors[int(split.inputs[0])]
    return not np.asarray(model.buffers[axis.buffer].data, np.uint8).any()


def _branch_concatenations(model: Any, graph: Any) -> None:
    """Put many inputs together in several steps: no kernel takes them all."""
    edit = Editor(model, graph)
    operators = []
    for operator in graph.operators:
        if op_name(model, operator) == "CONCATENATION":
            inputs = [int(tensor) for tensor in operator.inputs]
            axis = operator.builtinOptions.axis
            while len(inputs) > MOST_CONCATENATED:
                groups = [
                    inputs[at : at + MOST_CONCATENATED]
                    for at in range(0, len(inputs), MOST_CONCATENATED)
                ]
                inputs = []
                for group in groups:
                    shape = [int(n) for n in graph.tensors[group[0]].shape]
                    shape[axis] = sum(int(graph.tensors[t].shape[axis]) for t in group)
                    inputs.append(edit.like(graph.tensors[group[0]], shape))
                    operators.append(edit.operator("CONCATENATION", group, [inputs[-1]], axis=axis))
            operator.inputs = np.array(inputs, np.int32)
        operators.append(operator)
    graph.operators = operators
