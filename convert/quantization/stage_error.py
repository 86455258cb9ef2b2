"""Compare the outputs of each stage of two files of one network."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from ...edge.detector import dequantized, quantized
from ...edge.runtime import open_interpreter
from .flatbuffer import open_flatbuffer, stage_of

_STAGE = re.compile(r"[a-z]\w*")
"""Our name scopes; what the converter names itself has capitals or a colon."""


def stages(data: bytes) -> dict[str, int]:
    """Name the stages of a file in the order they are computed.

    Returns:
        Index of the tensor that each one's last operation makes.
    """
    graph = open_flatbuffer(data).subgraphs[0]
    found: dict[str, int] = {}
    for operator in graph.operators:
        for tensor in operator.outputs:
            stage = stage_of(graph.tensors[tensor])
            if _STAGE.fullmatch(stage):
                found.pop(stage, None)  # so that the order is that of their ends
                found[stage] = int(tensor)
    return found


def stage_errors(
    reference: bytes, other: bytes, windows: NDArray[np.float32]
) -> dict[str, float | None]:
    """Measure how far a quantised network has gone astray after each stage.

    Errors of earlier stages are in those of later ones: what matters is where the ratio falls.

    Args:
        reference: The float32 file.
        other: Of the same network.
        windows: (n, window_samples, 3), prepared.

    Returns:
        Signal over noise in decibels by stage, the float output being the signal and its
        difference the noise; None where both are equal.
    """
    here, there = stages(reference), stages(other)
    common = [name for name in here if name in there]
    expected = _outputs(reference, {name: here[name] for name in common}, windows)
    found = _outputs(other, {name: there[name] for name in common}, windows)
    return {
        name: _decibels(expected[name], found[name])
        for name in common
        if expected[name].shape == found[name].shape
    }


def _outputs(
    data: bytes, indices: dict[str, int], windows: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Run every window; return the output tensors of the stages, given by name and index."""
    interpreter = open_interpreter(data, keep_tensors=True)
    details = {int(detail["index"]): detail for detail in interpreter.get_tensor_details()}
    entry = interpreter.get_input_details()[0]
    made: dict[str, list[NDArray[np.float32]]] = {name: [] for name in indices}
    for window in windows:
        interpreter.set_tensor(entry["index"], quantized(window, entry)[None])
        interpreter.invoke()
        for name, index in indices.items():
            made[name].append(dequantized(interpreter.get_tensor(index), details[index]))
    return {name: np.stack(parts) for name, parts in made.items()}


def _decibels(signal: NDArray[np.float32], found: NDArray[np.float32]) -> float | None:
    noise = float(np.square(found - signal, dtype=np.float64).sum())
    if noise == 0.0:
        return None
    power = float(np.square(signal, dtype=np.float64).sum())
    return round(10.0 * float(np.log10(max(power, 1e-30) / noise)), 1)
