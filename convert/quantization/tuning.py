"""Fit an encoder and its ranges so that its int8 form answers most like the float one.

Weights that were never trained to be rounded lose most in the encoder and the residual stack: two
dozen roundings in a row. Here those are rounded as int8 will round them, and weights, biases and
ranges are moved by gradient descent until the features are again those of the float encoder. No
labels are used, and nothing behind the encoder changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..graph.encoder import Convolution, Encoder, EncoderStage, ResidualUnit
from ..progress import OnProgress

Array = NDArray[np.float32]
Range = tuple[float, float]
Tensor = Any
BATCH = 16
STEPS_PER_WINDOW = 4
"""Gradient steps for each window there is: few windows must not be learned by heart."""
WEIGHT_RATE = 2e-3
RANGE_RATE = 1e-2
"""Learning rates at the start; both fall to zero along a cosine."""
FEATURE_SHARE = 0.3
"""Weight of the features' own error beside that of what the next layer makes of them."""
INPUT = "window"


@dataclass(frozen=True, eq=False)
class Tuned:
    """What tuning found.

    Attributes:
        encoder: With weights that expect to be rounded.
        ranges: By point of the graph: `window`, `encoder_0`, `residual_0/Relu`, ...
        error_before: Mean squared error of the next layer's input, relative to its variance.
        error_after: The same after tuning.
    """

    encoder: Encoder
    ranges: dict[str, Range]
    error_before: float
    error_after: float


def tune_encoder(
    encoder: Encoder,
    projection: Array,
    ranges: dict[str, Range],
    windows: Array,
    *,
    steps: int,
    seed: int = 0,
    progress: OnProgress | None = None,
) -> Tuned:
    """Move weights and ranges until the rounded encoder answers as the float one.

    Args:
        encoder: The float encoder.
        projection: (features, k), what the layer behind the encoder multiplies its features by.
        ranges: To begin with, by point of the graph.
        windows: (n, window_samples, 3), prepared.
        steps: Gradient steps, at most STEPS_PER_WINDOW a window.
        seed: Of the order of windows.
        progress: Called with what is done, how much of it, and of how much.

    Returns:
        What was found, or what was given where that was better.
    """
    steps = min(steps, STEPS_PER_WINDOW * len(windows))
    rounded = _RoundedEncoder(encoder, ranges)
    batches = [slice(start, start + BATCH) for start in range(0, len(windows), BATCH)]
    exact = _RoundedEncoder(encoder, {})
    run_exact = tf.function(exact.__call__, autograph=False)
    run_rounded = tf.function(rounded.__call__, autograph=False)
    target = np.concatenate([run_exact(windows[batch]).numpy() for batch in batches])
    spread = (target @ projection).std(axis=(0, 1))
    # what hardly varies must not weigh more than what does
    behind = tf.constant(projection / np.maximum(spread, 0.05 * spread.mean()))
    power = float(np.square(target).mean())

    def consumed_error() -> float:
        errors = [
            np.square((run_rounded(windows[batch]).numpy() - target[batch]) @ behind.numpy()).mean()
            for batch in batches
        ]
        return float(np.mean(errors))

    before = consumed_error()
    weights, ends = rounded.weights, rounded.range_ends
    weight_steps, range_steps = tf.keras.optimizers.Adam(), tf.keras.optimizers.Adam()

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step(batch: Tensor, wanted: Tensor) -> None:
        with tf.GradientTape() as tape:
            error = rounded(batch) - wanted
            loss = tf.reduce_mean(tf.square(tf.matmul(error, behind)))
            loss += FEATURE_SHARE * tf.reduce_mean(tf.square(error)) / power
        gradients = tape.gradient(loss, weights + ends, unconnected_gradients="zero")
        weight_steps.apply_gradients(zip(gradients[: len(weights)], weights, strict=True))
        # a range's end moves in proportion to itself: ranges differ a hundredfold
        scaled = [g * tf.abs(v) for g, v in zip(gradients[len(weights) :], ends, strict=True)]
        range_steps.apply_gradients(zip(scaled, ends, strict=True))

    rng = np.random.default_rng(seed)
    for number in range(steps):
        fall = 0.5 * (1.0 + np.cos(np.pi * number / steps))
        weight_steps.learning_rate.assign(WEIGHT_RATE * fall)
        range_steps.learning_rate.assign(RANGE_RATE * fall)
        chosen = rng.integers(0, len(windows), BATCH)
        step(windows[chosen], target[chosen])
        if progress is not None:
            progress("tuning", number + 1, steps)
    after = consumed_error()
    if not after < before:
        return Tuned(encoder, ranges, before, before)
    return Tuned(rounded.encoder(), rounded.ranges(), before, after)


def encoder_points(encoder: Encoder) -> list[str]:
    """Name every place where an encoder's activations are rounded."""
    points = [INPUT, *(f"encoder_{number}" for number in range(len(encoder.stages)))]
    for number, unit in enumerate(encoder.units):
        last = len(unit.convolutions)
        inner = ["Relu", *(f"Relu_{index}" for index in range(1, last))]
        points += [f"residual_{number}/{name}" for name in (*inner, f"BiasAdd_{last}", "add")]
    return points


class _RoundedEncoder(tf.Module):  # type: ignore[misc]  # tensorflow carries no types
    """The encoder with its weights and activations rounded as int8 rounds them.

    Args:
        encoder: Initial weights.
        ranges: Initial ranges; none at all computes in float.
    """

    def __init__(self, encoder: Encoder, ranges: dict[str, Range]) -> None:
        super().__init__()
        self._stages = [(_variables(stage.convolution), stage.pool) for stage in encoder.stages]
        self._units = [
            (
                tf.Variable(unit.scale),
                tf.Variable(unit.shift),
                [_variables(convolution) for convolution in unit.convolutions],
            )
            for unit in encoder.units
        ]
        self._ends = {
            point: (tf.Variable(np.float32(low)), tf.Variable(np.float32(high)))
            for point, (low, high) in ranges.items()
        }

    @property
    def weights(self) -> list[Any]:
        """Every variable that is a weight."""
        ends = {id(variable) for variable in self.range_ends}
        return [variable for variable in self.trainable_variables if id(variable) not in ends]

    @property
    def range_ends(self) -> list[Any]:
        """Both ends of every range."""
        return [end for ends in self._ends.values() for end in ends]

    def ranges(self) -> dict[str, Range]:
        """Ranges as they are now, zero in each."""
        return {
            point: (min(float(low), 0.0), max(float(high), 0.0))
            for point, (low, high) in self._ends.items()
        }

    def encoder(self) -> Encoder:
        """Weights as they are now."""
        return Encoder(
            tuple(EncoderStage(_constants(pair), pool) for pair, pool in self._stages),
            tuple(
                ResidualUnit(scale.numpy(), shift.numpy(), tuple(map(_constants, pairs)))
                for scale, shift, pairs in self._units
            ),
        )

    def __call__(self, windows: Tensor) -> Tensor:
        """(n, window_samples, 3) -> (n, steps, features)."""
        x = self._rounded(INPUT, tf.convert_to_tensor(windows))
        for number, (pair, size) in enumerate(self._stages):
            x = tf.nn.relu(self._convolved(x, pair))
            x = self._rounded(f"encoder_{number}", tf.nn.max_pool1d(x, size, size, "SAME"))
        for number, (scale, shift, pairs) in enumerate(self._units):
            unit = f"residual_{number}"
            y = self._rounded(f"{unit}/Relu", tf.nn.relu(x * scale + shift))
            for index, pair in enumerate(pairs, start=1):
                y = self._convolved(y, pair)
                if index < len(pairs):
                    y = self._rounded(f"{unit}/Relu_{index}", tf.nn.relu(y))
            y = self._rounded(f"{unit}/BiasAdd_{len(pairs)}", y)
            x = self._rounded(f"{unit}/add", x + y)
        return x

    def _convolved(self, x: Tensor, pair: tuple[Any, Any]) -> Tensor:
        kernel, bias = pair
        return tf.nn.conv1d(x, _rounded_kernel(kernel) if self._ends else kernel, 1, "SAME") + bias

    def _rounded(self, point: str, x: Tensor) -> Tensor:
        if not self._ends:
            return x
        low, high = self._ends[point]
        step = (high - low) / 255.0
        # int8 must hold zero exactly; the ends shift by less than a step for it
        first = tf.stop_gradient(tf.round(low / step))
        steps = tf.clip_by_value(x / step, first, first + 255.0)
        return _round(steps) * step


def _rounded_kernel(kernel: Tensor) -> Tensor:
    """Symmetric, one step size an output channel, as TensorFlow Lite has it."""
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), axis=(0, 1), keepdims=True))
    step = largest / 127.0 + 1e-12
    return _round(kernel / step) * step


def _round(x: Tensor) -> Tensor:
    """Round forwards; backwards as if nothing had been done."""
    return x + tf.stop_gradient(tf.round(x) - x)


def _variables(convolution: Convolution) -> tuple[Any, Any]:
    return tf.Variable(convolution.kernel), tf.Variable(convolution.bias)


def _constants(pair: tuple[Any, Any]) -> Convolution:
    return Convolution(pair[0].numpy(), pair[1].numpy())
