"""Run the network on a prepared window: three probabilities a sample, by TensorFlow Lite."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import first_line
from ..models.registry import Model, ModelError
from ..models.spec import HEADS
from .runtime import find_runtime, open_interpreter


class Detector:
    """One interpreter with its buffers; not to be shared between threads.

    Args:
        model: From `models.registry.open_model`.
        threads: Threads of the interpreter. One is the default: a window every second needs no
            more, and a second one costs power.

    Raises:
        ModelError: The flatbuffer does not load, or its inputs and outputs are not the spec's.
        RuntimeMissing: No interpreter is installed.
    """

    def __init__(self, model: Model, threads: int = 1) -> None:
        self.model = model
        try:
            self._interpreter = open_interpreter(model.data, threads)
        except (ValueError, RuntimeError) as error:
            runtime = find_runtime()
            raise ModelError(
                f"model {model.name}: {runtime.name} {runtime.version} cannot load it "
                f"({first_line(error)}); convert again"
            ) from error
        self._input = self._checked_input()
        self._outputs = self._checked_outputs()
        self._check_types()

    def __call__(self, prepared: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network.

        Args:
            prepared: (window_samples, 3), as `prepare` makes it.

        Returns:
            (window_samples, 3) probabilities in the order of `models.spec.HEADS`; a new array.
        """
        self._interpreter.set_tensor(self._input["index"], quantized(prepared, self._input)[None])
        self._interpreter.invoke()
        values = np.empty((self.model.spec.window_samples, len(HEADS)), dtype=np.float32)
        for column, detail in enumerate(self._outputs):
            raw = self._interpreter.get_tensor(detail["index"])
            values[:, column] = dequantized(raw.reshape(-1), detail)
        return values

    def _checked_input(self) -> dict[str, Any]:
        details = self._interpreter.get_input_details()
        expected = (1, self.model.spec.window_samples, 3)
        found = [tuple(int(n) for n in detail["shape"]) for detail in details]
        if found != [expected]:
            raise ModelError(
                f"model {self.model.name}: takes {found}, its card has [{expected}]; "
                "use the card that belongs to it"
            )
        return dict(details[0])

    def _checked_outputs(self) -> list[dict[str, Any]]:
        """Output details in the order of HEADS, by the names in the model's signature."""
        by_name = {}
        for signature in self._interpreter.get_signature_list():
            runner = self._interpreter.get_signature_runner(signature)
            by_name.update(runner.get_output_details())
        if sorted(by_name) != sorted(HEADS):
            raise ModelError(
                f"model {self.model.name}: outputs {sorted(by_name)}, expected {sorted(HEADS)}; "
                "convert it with eqedge convert"
            )
        details = [by_name[head] for head in HEADS]
        sizes = [int(np.prod(detail["shape"])) for detail in details]
        if sizes != [self.model.spec.window_samples] * len(HEADS):
            raise ModelError(
                f"model {self.model.name}: outputs of {sizes} samples, expected "
                f"{self.model.spec.window_samples} each; convert again"
            )
        return details

    def _check_types(self) -> None:
        """Reject a card that describes another quantisation than the model's."""
        written = self.model.card.get("io")
        found = sorted({np.dtype(one["dtype"]).name for one in (self._input, *self._outputs)})
        if written is not None and found != [written]:
            raise ModelError(
                f"model {self.model.name}: its input and outputs are {', '.join(found)}, its card "
                f"has {written}; use the card that belongs to it"
            )


def quantized(values: NDArray[np.float32], detail: dict[str, Any]) -> NDArray[Any]:
    """Round to the tensor's own grid, and clip: a cast alone would wrap around."""
    dtype = np.dtype(detail["dtype"])
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(dtype)
    steps = np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max)
    return np.asarray(steps, dtype=dtype)


def dequantized(raw: NDArray[Any], detail: dict[str, Any]) -> NDArray[np.float32]:
    """Turn a tensor's integers into the numbers they stand for."""
    if raw.dtype.kind == "f":
        return raw.astype(np.float32, copy=False)
    scale, zero_point = detail["quantization"]
    return np.asarray((raw.astype(np.float32) - zero_point) * scale, dtype=np.float32)
