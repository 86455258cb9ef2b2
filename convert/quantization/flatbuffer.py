"""Open a TensorFlow Lite file, list its contents, write it as small as possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema

IDENTIFIER = b"TFL3"
_TYPE_NAMES = {value: name.lower() for name, value in vars(schema.TensorType).items()
               if isinstance(value, int)}  # fmt: skip
_OP_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items()
             if isinstance(value, int)}  # fmt: skip
_KEPT_METADATA = b"min_runtime_version"


@dataclass(frozen=True)
class Contents:
    """What a file holds, for the report.

    Attributes:
        operations: How many of each builtin operation.
        custom: Names of operations that are not builtin.
        float_tensors: Name of each stage with float32 activations, and how many; the model's own
            input and outputs aside.
        size_bytes: Of the file.
    """

    operations: dict[str, int]
    custom: tuple[str, ...]
    float_tensors: dict[str, int]
    size_bytes: int


def open_flatbuffer(data: bytes) -> Any:
    """Unpack a file into the schema's mutable objects."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def pack_flatbuffer(model: Any) -> bytes:
    """Write the schema's objects as a file."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def op_name(model: Any, operator: Any) -> str:
    """Name of an operation as TensorFlow Lite spells it."""
    code = model.operatorCodes[operator.opcodeIndex]
    return str(_OP_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)])


def is_constant(model: Any, tensor: Any) -> bool:
    """Whether a tensor's values are in the file."""
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def stage_of(tensor: Any) -> str:
    """Name scope that made a tensor: the part of its name before the first slash."""
    return str((tensor.name or b"").decode().split(";")[0].split("/")[0])


def contents(data: bytes) -> Contents:
    """List a file's operations and what is left in float."""
    model = open_flatbuffer(data)
    custom = [code.customCode.decode() for code in model.operatorCodes if code.customCode]
    operations: Counter[str] = Counter()
    floats: Counter[str] = Counter()
    for graph in model.subgraphs:
        outside = {*graph.inputs, *graph.outputs}
        operations.update(op_name(model, operator) for operator in graph.operators)
        for index, tensor in enumerate(graph.tensors):
            is_float = _TYPE_NAMES[tensor.type] == "float32"
            if is_float and index not in outside and not is_constant(model, tensor):
                floats[stage_of(tensor)] += 1
    return Contents(
        dict(sorted(operations.items())), tuple(custom), dict(sorted(floats.items())), len(data)
    )


def compact(data: bytes) -> bytes:
    """Write a file again without what no interpreter reads.

    A recurrence unrolled over time is thousands of small tensors: their descriptions, names,
    calibration ranges and empty buffers outweigh the weights. Names shrink to their stage's,
    constants lose theirs, all tensors without values share the empty buffer, and what is equal is
    written once: descriptions of tensors, quantisation and option tables, shapes, names.
    """
    model = open_flatbuffer(data)
    _merge_buffers(model)
    memo: dict[Hashable, Any] = {}
    for graph in model.subgraphs:
        outside = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in outside:
                tensor.name = b"" if tensor.buffer else stage_of(tensor).encode()
            # the schema's default: the static shape is the same
            tensor.hasRank = False
            tensor.quantization = _shared_quantization(tensor.quantization, memo)
        graph.tensors = [_shared_tensor(tensor, memo) for tensor in graph.tensors]
        for operator in graph.operators:
            if _says_nothing(operator.builtinOptions):
                operator.builtinOptions = None
                operator.builtinOptionsType = schema.BuiltinOptions.NONE
            if operator.builtinOptions is not None:
                key = (type(operator.builtinOptions), repr(_plain(operator.builtinOptions)))
                shared = _WrittenOnce(operator.builtinOptions)
                operator.builtinOptions = memo.setdefault(key, shared)
    builder = _SharingBuilder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


class _WrittenOnce:
    """Stands for a table: the first Pack writes it, the others point to it."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._offset: int | None = None

    def Pack(self, builder: Any) -> int:
        if self._offset is None:
            self._offset = int(self._table.Pack(builder))
        return self._offset


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]  # flatbuffers carries no types
    """A builder that writes equal strings and equal numeric vectors once."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._vectors: dict[Hashable, int] = {}

    def CreateString(self, s: bytes | str, *args: Any, **kwargs: Any) -> int:
        key = ("string", bytes(s.encode() if isinstance(s, str) else s))
        if key not in self._vectors:
            self._vectors[key] = super().CreateString(s, *args, **kwargs)
        return self._vectors[key]

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        # bytes are values of tensors: the schema aligns them so that any processor can read them
        return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:
        key = (x.dtype.str, x.tobytes())
        if key not in self._vectors:
            self._vectors[key] = super().CreateNumpyVector(x)
        return self._vectors[key]


def _merge_buffers(model: Any) -> None:
    """Keep the empty buffer and one of each distinct content, in order of first use."""
    kept = [schema.BufferT()]
    index_of: dict[bytes, int] = {b"": 0}

    def moved(index: int) -> int:
        buffer = model.buffers[index]
        content = b"" if buffer.data is None else bytes(bytearray(buffer.data))
        if content not in index_of:
            index_of[content] = len(kept)
            kept.append(buffer)
        return index_of[content]

    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = moved(tensor.buffer)
    model.metadata = [m for m in model.metadata or [] if m.name == _KEPT_METADATA]
    for entry in model.metadata:
        entry.buffer = moved(entry.buffer)
    model.metadataBuffer = None
    model.buffers = kept


def _shared_quantization(table: Any, memo: dict[Hashable, Any]) -> Any:
    if table is None or table.scale is None or len(table.scale) == 0:
        return None
    table.min = table.max = None
    scale, zero = np.asarray(table.scale, np.float32), np.asarray(table.zeroPoint, np.int64)
    key = (scale.tobytes(), zero.tobytes(), table.quantizedDimension)
    return memo.setdefault(key, _WrittenOnce(table))


def _says_nothing(options: Any) -> bool:
    """Whether a table has nothing but what the interpreter assumes without it.

    Of the other operations' tables not every default is what an interpreter assumes.
    """
    none = schema.ActivationFunctionType.NONE
    return isinstance(options, schema.MulOptionsT) and options.fusedActivationFunction == none


def _shared_tensor(tensor: Any, memo: dict[Hashable, Any]) -> Any:
    shape, signature = (
        None if sizes is None else tuple(int(size) for size in sizes)
        for sizes in (tensor.shape, tensor.shapeSignature)
    )
    quantization = None if tensor.quantization is None else id(tensor.quantization)
    key = (shape, signature, tensor.type, tensor.buffer, tensor.name, quantization)
    if tensor.isVariable or tensor.sparsity is not None or tensor.variantTensors is not None:
        return tensor
    return memo.setdefault(key, _WrittenOnce(tensor))


def _plain(options: Any) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in sorted(vars(options).items())
    }
