"""Layers that limit activations in training, for int8's sake; nothing of them ships."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

WIDE = (layers.MaxPooling1D, layers.Add)
"""Behind these int8 has to hold the widest activations."""


def wrapped(network: Any, tame_above: float) -> Any:
    """The same layers in a model that also returns how large its activations are.

    Args:
        network: One of the report's networks, three outputs.
        tame_above: Activations beyond this count as excess.

    Returns:
        A model of (batch, 6000, 3) heads and (batch, 1) excess, on the network's own weights.
    """
    wide: list[Any] = []

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(layer, layers.UpSampling1D):
            wide.append(arguments[0])
        output = layer(*arguments, **options)
        if isinstance(layer, WIDE):
            wide.append(output)
        return output

    whole = keras.models.clone_model(
        network, clone_function=lambda layer: layer, call_function=call
    )
    joined = layers.Concatenate(name="heads")(whole.outputs)
    excess = Excess(tame_above, name="excess")(wide)
    return keras.Model(whole.inputs, [joined, excess])


class Excess(layers.Layer):  # type: ignore[misc]  # keras is untyped
    """How far activations lie beyond a limit: mean squared excess of each window."""

    def __init__(self, limit: float, **kwargs: Any) -> None:
        """Keep the limit; the rest is Keras's."""
        super().__init__(**kwargs)
        self.limit = limit

    def call(self, tensors: list[Any]) -> Any:
        """Return (batch, 1)."""
        total: Any = 0.0
        for tensor in tensors:
            beyond = ops.relu(ops.abs(tensor) - self.limit)
            total = total + ops.mean(ops.square(beyond), axis=(1, 2))
        return ops.expand_dims(total, -1)

    def compute_output_shape(self, shapes: list[Any]) -> tuple[int | None, int]:
        """Return one number a window."""
        return (shapes[0][0], 1)
