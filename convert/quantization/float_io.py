"""Give a file of int8 input and outputs float32 ones."""

from __future__ import annotations

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from .editing import Editor
from .flatbuffer import open_flatbuffer, pack_flatbuffer


def with_float_io(data: bytes) -> bytes:
    """Put a QUANTIZE before and DEQUANTIZEs behind a network; nothing between them changes.

    The quantiser's own way to float input and outputs leaves it free to keep other things in float
    too, and it does.

    Args:
        data: Flatbuffer of one graph.
    """
    model = open_flatbuffer(data)
    graph = model.subgraphs[0]
    edit = Editor(model, graph)
    outer: dict[int, int] = {}
    for index in map(int, (*graph.inputs, *graph.outputs)):
        tensor = graph.tensors[index]
        outer[index] = edit.plain(schema.TensorType.FLOAT32, [int(n) for n in tensor.shape])
        graph.tensors[outer[index]].name = tensor.name
    first = [edit.operator("QUANTIZE", [outer[int(k)]], [int(k)]) for k in graph.inputs]
    last = [edit.operator("DEQUANTIZE", [int(k)], [outer[int(k)]]) for k in graph.outputs]
    graph.operators = [*first, *graph.operators, *last]
    graph.inputs = np.array([outer[int(k)] for k in graph.inputs], np.int32)
    graph.outputs = np.array([outer[int(k)] for k in graph.outputs], np.int32)
    for signature in model.signatureDefs or []:
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = outer[int(entry.tensorIndex)]
    return pack_flatbuffer(model)
