"""The networks' layers as static batch-1 TensorFlow operations that survive the int8 quantiser.

Between layers a signal is (1, 1, steps, channels): convolutions, dense layers and scalings are then
all convolutions with a bias of 32 bits, which is where int8 is precise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .encoder import Convolution
from .polyphase import LowRateKernel, behind_upsampling, between_phases, edge_matrix, mirrored

Array = NDArray[np.float32]
Tensor = Any
OUTSIDE_BAND = -14.0
"""Score of a step outside the sequence: exp(-14) is under 1e-6, and -14 fits an int8 range."""


def convolve(
    x: Tensor,
    convolution: Convolution,
    *,
    relu: bool = False,
    padding: tuple[int, int] | None = None,
) -> Tensor:
    """Convolve over time.

    Args:
        x: (1, 1, steps, in).
        convolution: Its kernel and bias.
        relu: Whether negative results become zero.
        padding: Zeros before and after; None as `same`.
    """
    weights = convolution.kernel[None].astype(np.float32)
    if padding is None:
        y = tf.nn.conv2d(x, weights, 1, "SAME")
    else:
        padded = tf.pad(x, [[0, 0], [0, 0], list(padding), [0, 0]]) if any(padding) else x
        y = tf.nn.conv2d(padded, weights, 1, "VALID")
    y = tf.nn.bias_add(y, convolution.bias.astype(np.float32))
    return tf.nn.relu(y) if relu else y


def low_rate(x: Tensor, low: LowRateKernel, bias: Array, phases: int, relu: bool) -> Tensor:
    """Convolve with a kernel of phases; `bias` is that of one phase."""
    first, last = low.padding
    # a symmetric reach is `same`, and needs no operation for its zeros
    padding = None if first == last else low.padding
    return convolve(x, Convolution(low.kernel, np.tile(bias, phases)), relu=relu, padding=padding)


def pool(x: Tensor, size: int) -> Tensor:
    """Largest of each `size` steps; the last group may be shorter."""
    return tf.nn.max_pool2d(x, [1, size], [1, size], "SAME")


def scale_and_shift(x: Tensor, scale: Array, shift: Array, *, relu: bool = False) -> Tensor:
    """Multiply and add channel by channel, as a depthwise convolution of one tap."""
    kernel = scale.astype(np.float32)[None, None, :, None]
    y = tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "VALID")
    y = tf.nn.bias_add(y, shift.astype(np.float32))
    return tf.nn.relu(y) if relu else y


def layer_norm(x: Tensor, weights: Sequence[Array]) -> Tensor:
    """Normalise over channels: centring is a convolution, the rest is L2_NORMALIZATION.

    The plain form needs SQUARED_DIFFERENCE and RSQRT, which int8 does badly.
    """
    gamma, beta = weights
    channels = len(gamma)
    centring = (np.eye(channels) - 1.0 / channels).astype(np.float32)
    centred = tf.nn.conv2d(x, centring[None, None], 1, "VALID")
    unit = tf.nn.l2_normalize(centred, axis=-1, epsilon=1e-12)
    return scale_and_shift(unit, gamma * np.sqrt(np.float32(channels)), beta)


def attention(x: Tensor, weights: Sequence[Array]) -> Tensor:
    """Additive self-attention of every step to every step."""
    wt, wx, bh, wa, _ = weights  # a bias common to all scores does not alter their softmax
    steps, units = x.shape[2], wt.shape[1]
    query = tf.reshape(convolve(x, Convolution(wt[None], bh)), [steps, 1, units])
    key = tf.reshape(
        convolve(x, Convolution(wx[None], np.zeros(units, np.float32))), [1, steps, units]
    )
    hidden = tf.reshape(tf.tanh(query + key), [steps * steps, units])
    scores = tf.reshape(tf.matmul(hidden, wa), [1, 1, steps, steps])
    return tf.matmul(tf.nn.softmax(scores), x)


def band_attention(x: Tensor, weights: Sequence[Array]) -> Tensor:
    """Additive self-attention of every step to itself and its two neighbours.

    The band is laid out as a third axis with the missing neighbours of the first and the last step
    masked: slicing the scores apart instead would give one int8 tensor several ranges. The row
    guard of the published form is left out: see `models.layers.SeqSelfAttention`.

    Args:
        x: (steps, channels).
        weights: Wt, Wx, bh, Wa, ba.

    Returns:
        (1, 1, steps, channels).
    """
    wt, wx, bh, wa, _ = weights
    steps, channels = x.shape
    query = tf.matmul(x, wt) + bh
    hidden = tf.tanh(query[:, None] + _neighbours(tf.matmul(x, wx)))
    mask = np.zeros((steps, 3), dtype=np.float32)
    mask[0, 0] = mask[-1, 2] = OUTSIDE_BAND
    scores = tf.reshape(tf.matmul(tf.reshape(hidden, [steps * 3, -1]), wa), [steps, 3]) + mask
    mean = tf.matmul(tf.nn.softmax(scores)[:, None], _neighbours(x))
    return tf.reshape(mean, [1, 1, steps, channels])


def _neighbours(x: Tensor) -> Tensor:
    """(steps, 3, channels): each step's predecessor, itself, its successor."""
    before = tf.concat([x[:1], x[:-1]], axis=0)
    after = tf.concat([x[1:], x[-1:]], axis=0)
    return tf.stack([before, x, after], axis=1)


def transformer(
    x: Tensor,
    attention_weights: Sequence[Array],
    norms: tuple[Sequence[Array], Sequence[Array]],
    feed_forward: Sequence[Array],
) -> Tensor:
    """Attention and feed-forward, each added to its input and normalised."""
    w1, b1, w2, b2 = feed_forward
    x = layer_norm(x + attention(x, attention_weights), norms[0])
    hidden = convolve(x, Convolution(w1[None], b1), relu=True)
    return layer_norm(x + convolve(hidden, Convolution(w2[None], b2)), norms[1])


def upsampled_convolution(
    x: Tensor, convolution: Convolution, factor: int, cropping: tuple[int, int]
) -> Tensor:
    """Repeat each sample, crop, convolve, ReLU; done at the low rate, edges mended exactly."""
    kernel, bias = convolution.kernel, convolution.bias
    channels, filters = kernel.shape[1:]
    steps = x.shape[2]
    phases = low_rate(x, behind_upsampling(kernel, factor), bias, factor, relu=True)
    y = tf.reshape(phases, [1, 1, steps * factor, filters])
    if not any(cropping):
        return y
    mended = kernel.shape[0] // 2
    left, right = cropping
    pieces = [y[:, :, left + mended * bool(left) : steps * factor - right - mended * bool(right)]]
    if left:
        matrix = edge_matrix(kernel, factor, left)
        pieces.insert(0, _edge(x[:, :, : len(matrix) // channels], matrix, bias))
    if right:
        matrix = mirrored(edge_matrix(kernel[::-1], factor, right), channels, filters)
        pieces.append(_edge(x[:, :, steps - len(matrix) // channels :], matrix, bias))
    return tf.concat(pieces, axis=2)


def _edge(samples: Tensor, matrix: Array, bias: Array) -> Tensor:
    outputs = matrix.shape[1] // len(bias)
    flat = tf.reshape(samples, [1, 1, 1, matrix.shape[0]])
    y = convolve(flat, Convolution(matrix[None], np.tile(bias, outputs)), relu=True)
    return tf.reshape(y, [1, 1, outputs, len(bias)])


def upsampled_head(x: Tensor, last: Convolution, head: Convolution, factor: int) -> Tensor:
    """Last decoder stage and the head's convolution, both as phases: (1, steps * factor, 1)."""
    y = low_rate(x, behind_upsampling(last.kernel, factor), last.bias, factor, relu=True)
    logits = low_rate(y, between_phases(head.kernel, factor), head.bias, factor, relu=False)
    return tf.reshape(tf.sigmoid(logits), [1, -1, 1])
