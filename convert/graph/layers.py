"""Write the networks' layers as static batch-1 operations that the int8 quantiser accepts.

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
from .polyphase import LowRateKernel, multi_output_kernel, phase_kernel, upsampling_kernel

Array = NDArray[np.float32]
Tensor = Any
OUTSIDE_BAND = -14.0
"""Score of a step outside the sequence: exp(-14) is under 1e-6, and -14 fits an int8 range."""
INPUT_PHASES = 2
"""Of the first convolution: 3 channels in and 8 out become 6 and 16."""
HEAD_OUTPUTS = 8
"""Samples of a head that are computed together."""
KEYS_TOGETHER = 4
"""Steps whose scores are computed in one row, where that divides the steps."""


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


def convolve_input(x: Tensor, convolution: Convolution) -> Tensor:
    """Convolve a signal of few channels over time, and ReLU: two steps at once.

    Args:
        x: (1, 1, steps, in), steps even.
        convolution: Its kernel and bias.

    Returns:
        (1, 1, steps, out).
    """
    steps, channels = x.shape[2:]
    pairs = tf.reshape(x, [1, 1, steps // INPUT_PHASES, INPUT_PHASES * channels])
    low = phase_kernel(convolution.kernel, INPUT_PHASES)
    y = low_rate(pairs, low, convolution.bias, INPUT_PHASES, relu=True)
    return tf.reshape(y, [1, 1, steps, len(convolution.bias)])


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
    """Additive self-attention of every step to every step.

    Several keys lie in one row, the query repeated beside itself: longer rows are added faster.
    """
    wt, wx, bh, wa, _ = weights  # a bias common to all scores does not alter their softmax
    steps, units = x.shape[2], wt.shape[1]
    keys = KEYS_TOGETHER if steps % KEYS_TOGETHER == 0 else 1
    query = tf.reshape(convolve(x, Convolution(wt[None], bh)), [steps, 1, units])
    query = tf.concat([query] * keys, axis=2) if keys > 1 else query
    key = tf.reshape(
        convolve(x, Convolution(wx[None], np.zeros(units, np.float32))),
        [1, steps // keys, keys * units],
    )
    hidden = tf.reshape(tf.tanh(query + key), [steps * steps // keys, keys * units])
    score = np.kron(np.eye(keys, dtype=np.float32), wa)
    scores = tf.reshape(tf.matmul(hidden, score), [1, 1, steps, steps])
    return tf.matmul(tf.nn.softmax(scores), x)


def band_attention(around: Tensor, weights: Sequence[Array]) -> Tensor:
    """Additive self-attention of every step to itself and its two neighbours.

    The band is laid out as a third axis with the missing neighbours of the first and the last step
    masked: slicing the scores apart instead would give one int8 tensor several ranges. The row
    guard of the published form is left out: see `models.layers.SeqSelfAttention`.

    Args:
        around: (steps, 3, channels), as `neighbours` gives them.
        weights: Wt, Wx, bh, Wa, ba.

    Returns:
        (1, 1, steps, channels).
    """
    wt, wx, bh, wa, _ = weights
    steps, _, channels = around.shape
    query = tf.matmul(around[:, 1], wt) + bh
    keys = tf.matmul(tf.reshape(around, [steps * 3, channels]), wx)
    hidden = tf.tanh(tf.reshape(query, [steps, 1, -1]) + tf.reshape(keys, [steps, 3, -1]))
    mask = np.zeros((steps, 3), dtype=np.float32)
    mask[0, 0] = mask[-1, 2] = OUTSIDE_BAND
    scores = tf.reshape(tf.matmul(tf.reshape(hidden, [steps * 3, -1]), wa), [steps, 3]) + mask
    mean = tf.matmul(tf.reshape(tf.nn.softmax(scores), [steps, 1, 3]), around)
    return tf.reshape(mean, [1, 1, steps, channels])


def neighbours(x: Tensor) -> Tensor:
    """(steps, 3, channels): each step's predecessor, itself, its successor."""
    steps, channels = x.shape
    before = tf.concat([x[:1], x[:-1]], axis=0)
    after = tf.concat([x[1:], x[-1:]], axis=0)
    return tf.reshape(tf.concat([before, x, after], axis=1), [steps, 3, channels])


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
    filters = kernel.shape[2]
    steps = x.shape[2]
    phases = low_rate(x, upsampling_kernel(kernel, factor), bias, factor, relu=True)
    y = tf.reshape(phases, [1, 1, steps * factor, filters])
    if not any(cropping):
        return y
    # a cropped sample is zero to the outputs whose taps reach it: these few are made at full rate
    reach = kernel.shape[0] // 2
    left, right = cropping
    pieces = [y[:, :, left + reach * bool(left) : steps * factor - right - reach * bool(right)]]
    seen = 2 * reach
    if left:
        low = x[:, :, : -(-(left + seen) // factor)]
        high = _repeated(low, factor)[:, :, left : left + seen]
        pieces.insert(0, convolve(high, convolution, relu=True, padding=(reach, 0)))
    if right:
        low = x[:, :, steps - -(-(right + seen) // factor) :]
        end = low.shape[2] * factor - right
        high = _repeated(low, factor)[:, :, end - seen : end]
        pieces.append(convolve(high, convolution, relu=True, padding=(0, reach)))
    return tf.concat(pieces, axis=2)


def _repeated(x: Tensor, factor: int) -> Tensor:
    """Each sample `factor` times."""
    steps, channels = x.shape[2:]
    return tf.reshape(tf.concat([x] * factor, axis=3), [1, 1, steps * factor, channels])


def upsampled_head(x: Tensor, last: Convolution, head: Convolution, factor: int) -> Tensor:
    """Last decoder stage as phases and the head's convolution: (1, steps * factor, 1)."""
    y = low_rate(x, upsampling_kernel(last.kernel, factor), last.bias, factor, relu=True)
    y = tf.reshape(y, [1, 1, -1, len(last.bias)])
    wide = multi_output_kernel(head.kernel, HEAD_OUTPUTS)[None]
    logits = tf.nn.bias_add(
        tf.nn.conv2d(y, wide, [1, HEAD_OUTPUTS], "SAME"),
        np.tile(head.bias, HEAD_OUTPUTS).astype(np.float32),
    )
    return tf.reshape(tf.sigmoid(logits), [1, -1, 1])
