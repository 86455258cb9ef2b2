"""What a network in training computes beside its answer, for int8's sake: nothing of it ships."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...models.layers import FeedForward, LayerNormalization, SeqSelfAttention

STEPS = 255
HEADS = ("detector", "picker_P", "picker_S")
WIDE = (layers.MaxPooling1D, layers.Add)
"""Behind these int8 has to hold the widest activations."""
HELD = (
    layers.MaxPooling1D,
    layers.Add,
    layers.Activation,
    layers.Conv1D,
    layers.Bidirectional,
    layers.GRU,
    layers.LSTM,
    LayerNormalization,
    SeqSelfAttention,
    FeedForward,
)
"""Layers whose output an int8 graph holds."""


def wrapped(network: Any, tame_above: float, rounded: bool) -> Any:
    """The same layers in a model that also tells how far its activations go.

    Args:
        network: One of the report's networks, three outputs.
        tame_above: Activations beyond this count as excess.
        rounded: Whether activations are rounded to int8's steps on the way.

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
        if rounded and _is_held(layer):
            output = Rounding(name=f"{layer.name}_rounded_{len(wide)}")(output)
        return output

    whole = keras.models.clone_model(
        network, clone_function=lambda layer: layer, call_function=call
    )
    joined = layers.Concatenate(name="heads")(whole.outputs)
    excess = Excess(tame_above, name="excess")(wide)
    return keras.Model(whole.inputs, [joined, excess])


def _is_held(layer: Any) -> bool:
    if layer.name in HEADS:
        return False
    # a separable convolution's output behind a pooling is held after the pooling
    decoding = isinstance(layer, layers.SeparableConv1D) and layer.name.startswith("decoder_")
    return decoding or isinstance(layer, HELD)


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


class Rounding(layers.Layer):  # type: ignore[misc]  # keras is untyped
    """Rounds to 256 steps over the range that a batch's windows have on average.

    Forwards what int8 does, a window beyond the usual range clipped; backwards as if only the
    clipping had been done.
    """

    def call(self, x: Any, training: bool | None = None) -> Any:
        """(batch, time, features) unchanged in shape; exact when not training."""
        if not training:
            return x
        held = ops.stop_gradient(x)
        low = ops.minimum(ops.mean(ops.min(held, axis=(1, 2))), 0.0)
        high = ops.maximum(ops.mean(ops.max(held, axis=(1, 2))), 0.0)
        step = (high - low) / STEPS + 1e-9
        first = ops.round(low / step)
        steps = ops.clip(x / step, first, first + STEPS)
        return (steps + ops.stop_gradient(ops.round(steps) - steps)) * step

    def compute_output_shape(self, shape: Any) -> Any:
        """Return the input's own shape."""
        return shape
