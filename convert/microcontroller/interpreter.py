"""Run a prepared window through a microcontroller's interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...edge.detector import dequantized, quantized
from ...edge.runtime import stderr_silenced
from ...models.spec import HEADS
from ..quantization.flatbuffer import open_flatbuffer
from .installed import MicroError, find_micro

SMALLEST_ARENA = 1 << 14
"""Bytes; with a few dozen the interpreter crashes instead of refusing."""
LARGEST_ARENA = 1 << 24
ARENA_STEP = 16
"""Bytes; an arena's alignment."""


class MicroDetector:
    """One model in TensorFlow Lite for Microcontrollers, as built for this machine.

    Args:
        data: The flatbuffer.
        arena_bytes: Of the interpreter's only memory.

    Raises:
        MicroError: `tflite-micro` is not installed, the arena is too small, or the interpreter
            knows an operator not at all or not in this form.
    """

    def __init__(self, data: bytes, arena_bytes: int = LARGEST_ARENA) -> None:
        runtime = find_micro()
        try:
            with stderr_silenced():
                self._interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena_bytes)
        except RuntimeError as error:
            raise MicroError(
                f"tflite-micro does not take the model in {arena_bytes:,} bytes ({error}); "
                "convert to int8, or leave --target away"
            ) from error
        self._places = head_places(data)

    def __call__(self, prepared: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network.

        Args:
            prepared: (window_samples, 3), as `edge.prepare` makes it.

        Returns:
            (window_samples, 3) probabilities in the order of `models.spec.HEADS`; a new array.
        """
        window = quantized(prepared, _detail(self._interpreter.get_input_details(0)))
        self._interpreter.set_input(window[None], 0)
        self._interpreter.invoke()
        columns = []
        for place in self._places:
            detail = _detail(self._interpreter.get_output_details(place))
            columns.append(dequantized(self._interpreter.get_output(place).reshape(-1), detail))
        return np.stack(columns, axis=1)


def head_places(data: bytes) -> list[int]:
    """Return which of a model's outputs, by number, each head of `models.spec.HEADS` is."""
    model = open_flatbuffer(data)
    tensors = {
        entry.name.decode(): entry.tensorIndex
        for signature in model.signatureDefs or []
        for entry in signature.outputs
    }
    outputs = [int(tensor) for tensor in model.subgraphs[0].outputs]
    try:
        return [outputs.index(tensors[head]) for head in HEADS]
    except (KeyError, ValueError) as error:
        raise MicroError(
            f"outputs {sorted(tensors)}, expected {sorted(HEADS)}; convert with eqedge convert"
        ) from error


def smallest_arena(data: bytes) -> int:
    """Find by bisection the smallest arena, in bytes, that the interpreter allocates in.

    Pointers have 8 bytes on this machine and 4 on most microcontrollers, which need less.

    Raises:
        MicroError: None is large enough, or the interpreter does not take the model at all.
    """
    MicroDetector(data)
    low, high = SMALLEST_ARENA // ARENA_STEP, LARGEST_ARENA // ARENA_STEP
    while low < high:
        middle = (low + high) // 2
        try:
            MicroDetector(data, middle * ARENA_STEP)
        except MicroError:
            low = middle + 1
        else:
            high = middle
    return high * ARENA_STEP


def _detail(details: dict[str, Any]) -> dict[str, Any]:
    """Put a tensor's details as LiteRT has them."""
    table = details["quantization_parameters"]
    scales, zeros = table["scales"], table["zero_points"]
    pair = (float(scales[0]), int(zeros[0])) if len(scales) else (0.0, 0)
    return {"dtype": details["dtype"], "quantization": pair}
