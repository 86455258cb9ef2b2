"""Find the range of every activation of a float model, on representative windows.

An int8 tensor has 256 steps: its range decides what is clipped and how coarse the rest is. The
range taken is the one with the least squared error on what was seen, not the extremes: a
seismogram's extremes are a hundred times its noise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema

from ...edge.runtime import open_interpreter
from ..progress import OnProgress
from .flatbuffer import is_constant, op_name, open_flatbuffer, pack_flatbuffer, stage_of

SAMPLES_PER_WINDOW = 512
"""Values kept of a tensor a window, evenly spaced."""
SAMPLES_PER_RANGE = 50_000
CLIP_FRACTIONS = np.linspace(0.2, 1.0, 25)
"""Tried ends of a range, as fractions of the extremes."""
STEPS = 255
_SAME_SCALE = frozenset(
    ("RESHAPE", "STRIDED_SLICE", "SPLIT", "CONCATENATION", "PACK", "REVERSE_V2", "MAX_POOL_2D",
     "PAD", "PADV2")
)  # fmt: skip
"""Operations that move values without computing: int8 gives their tensors one scale."""
INPUT_POINT = "window"
INPUT_NAME = re.compile(r"^(serving_default_)?window(:0)?$")
_UNROLLED = re.compile(r"/(gates|memory|state|candidate)(_\d+)?/")


class _Groups:
    """Union-find over tensors that share one range."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def of(self, tensor: int) -> int:
        parent = self._parent.setdefault(tensor, tensor)
        if parent != tensor:
            self._parent[tensor] = parent = self.of(parent)
        return parent

    def join(self, tensors: Sequence[int]) -> None:
        for tensor in tensors[1:]:
            self._parent[self.of(tensor)] = self.of(tensors[0])


def with_ranges(
    data: bytes,
    windows: NDArray[np.float32],
    known: Mapping[str, tuple[float, float]] | None = None,
    progress: OnProgress | None = None,
) -> bytes:
    """Run the windows through a float model and write each activation's range into it.

    Args:
        data: Float flatbuffer with one input of one window.
        windows: (n, window_samples, 3), prepared.
        known: Ranges that are known already, by `point_of` the tensor.
        progress: Called with what is done, how much of it, and of how much.

    Returns:
        The same flatbuffer with `min` and `max` set, as the quantiser wants it.
    """
    model = open_flatbuffer(data)
    graph = model.subgraphs[0]
    activations = [
        index
        for index, tensor in enumerate(graph.tensors)
        if tensor.type == schema.TensorType.FLOAT32 and not is_constant(model, tensor)
    ]
    seen = _observe(data, windows, activations, progress)
    groups = _grouped(model, activations)
    pooled = _pooled(model)
    known = known or {}
    if lost := set(known) - {point_of(graph.tensors[index]) for index in activations}:
        raise ValueError(f"no activation is called {', '.join(sorted(lost))}")
    members: dict[int, list[int]] = {}
    for index in activations:
        members.setdefault(groups.of(index), []).append(index)
    for group in members.values():
        deciding = [index for index in group if index not in pooled] or group
        points = [point for index in group if (point := point_of(graph.tensors[index])) in known]
        low, high = (
            known[points[0]]
            if points
            else best_range(np.concatenate([seen[index] for index in deciding]))
        )
        for index in group:
            table = schema.QuantizationParametersT()
            table.min, table.max = [low], [high]
            graph.tensors[index].quantization = table
    return pack_flatbuffer(model)


def _pooled(model: Any) -> set[int]:
    """Tensors of which only what a pooling keeps matters."""
    graph = model.subgraphs[0]
    pooled: set[int] = set()
    for operator in reversed(graph.operators):
        name = op_name(model, operator)
        if name == "MAX_POOL_2D" or (name == "RESHAPE" and int(operator.outputs[0]) in pooled):
            pooled.add(int(operator.inputs[0]))
    return pooled


def ranges_in(data: bytes) -> dict[str, tuple[float, float]]:
    """Ranges that `with_ranges` wrote, by `point_of` each tensor."""
    return {
        point_of(tensor): (float(tensor.quantization.min[0]), float(tensor.quantization.max[0]))
        for tensor in open_flatbuffer(data).subgraphs[0].tensors
        if tensor.quantization is not None
        and tensor.quantization.min is not None
        and len(tensor.quantization.min)
    }


def point_of(tensor: Any) -> str:
    """Name of a place in the graph: `window`, a stage of the encoder, or stage and operation."""
    name = tensor.name.decode().split(";")[0]
    stage = stage_of(tensor)
    if stage.startswith("encoder_"):
        return stage
    return INPUT_POINT if INPUT_NAME.search(name) else name


def best_range(values: NDArray[np.float32]) -> tuple[float, float]:
    """Find the range, zero in it, whose 255 steps represent `values` with the least squared error.

    Both ends shrink alike from the extremes: what lies outside is clipped, what lies inside gets
    finer steps.
    """
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    if high - low == 0.0:
        return 0.0, 1.0
    stride = max(1, len(values) // SAMPLES_PER_RANGE)
    sample = values[::stride].astype(np.float64)
    errors = []
    for fraction in CLIP_FRACTIONS:
        step = fraction * (high - low) / STEPS
        steps = np.clip(np.rint(sample / step), np.rint(fraction * low / step),
                        np.rint(fraction * high / step))  # fmt: skip
        errors.append(float(np.square(steps * step - sample).mean()))
    best = float(CLIP_FRACTIONS[int(np.argmin(errors))])
    return best * low, best * high


def _observe(
    data: bytes,
    windows: NDArray[np.float32],
    activations: Sequence[int],
    progress: OnProgress | None,
) -> dict[int, NDArray[np.float32]]:
    """Evenly spaced values of each activation in every window."""
    interpreter = open_interpreter(data, keep_tensors=True)
    entry = interpreter.get_input_details()[0]["index"]
    seen: dict[int, list[NDArray[np.float32]]] = {index: [] for index in activations}
    for number, window in enumerate(windows):
        interpreter.set_tensor(entry, window[None])
        interpreter.invoke()
        for index in activations:
            values = interpreter.get_tensor(index).reshape(-1)
            stride = max(1, len(values) // SAMPLES_PER_WINDOW)
            # another phase each window, or a stride that divides the channels sees one channel
            seen[index].append(values[(number * 7) % stride :: stride].copy())
        if progress is not None:
            progress("calibrating", number + 1, len(windows))
    return {index: np.concatenate(parts) for index, parts in seen.items()}


def _grouped(model: Any, activations: Sequence[int]) -> _Groups:
    """Join tensors that only move values, and those of the same operation at each step of time."""
    graph = model.subgraphs[0]
    allowed = set(activations)
    groups = _Groups()
    by_name: dict[str, int] = {}
    for operator in graph.operators:
        tensors = [int(t) for t in (*operator.inputs, *operator.outputs) if int(t) in allowed]
        if op_name(model, operator) in _SAME_SCALE:
            groups.join(tensors)
        for tensor in map(int, operator.outputs):
            name = graph.tensors[tensor].name.decode().split(";")[0]
            stepless = _UNROLLED.sub(r"/\1/", name)
            if tensor in allowed and stepless != name.replace("//", "/"):
                groups.join([by_name.setdefault(stepless, tensor), tensor])
    return groups
