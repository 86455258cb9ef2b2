"""Build one static batch-1 TensorFlow function that equals a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ...models import eqtransformer, leqnet
from ...models.architectures import architecture
from ...models.spec import HEADS, WINDOW_SAMPLES
from . import layers as ops
from .encoder import (
    Convolution,
    Encoder,
    LayerWeights,
    ResidualUnit,
    batch_norm,
    dense,
    fold_encoder,
)
from .networks import Variant
from .recurrence import gru_pair, lstm_pair

Tensor = Any


@dataclass(frozen=True)
class DecoderStage:
    """One stage of a decoder.

    Attributes:
        layer: Number in the convolution's name; shared stages bear the number of the first.
        factor: Of the upsampling.
        cropping: Samples cut off at either end after it.
    """

    layer: int
    factor: int
    cropping: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """What distinguishes one family of networks from the other.

    Attributes:
        encoder: (number in the convolution's name, pooling) of each stage.
        residual: Layers of each residual unit: pairs of batch normalisation and convolution.
        decoder: Its stages.
    """

    encoder: tuple[tuple[int, int], ...]
    residual: tuple[tuple[tuple[str, str], ...], ...]
    decoder: tuple[DecoderStage, ...]


def plan(family: str, variant: Variant) -> Plan:
    """Lay out one variant of a family."""
    if family == "leqnet":
        shared = leqnet.SHARED_STAGE
        numbers = [n - 1 if n == shared else n for n in range(len(leqnet.ENCODER))]
        encoder = tuple((n, e[2]) for n, e in zip(numbers, leqnet.ENCODER, strict=True))
        decoder = tuple(
            DecoderStage(n, d[2], d[3]) for n, d in zip(numbers, leqnet.DECODER, strict=True)
        )
        units, convolutions = variant.cnn_blocks, 3
    else:
        encoder = tuple((n, 2) for n in range(len(eqtransformer.FILTERS)))
        decoder = tuple(
            DecoderStage(n, 2, (1, 1) if n == eqtransformer.CROPPED_STAGE else (0, 0))
            for n in range(len(eqtransformer.FILTERS))
        )
        units, convolutions = len(eqtransformer.residual_kernels(variant.cnn_blocks)), 2
    residual = tuple(
        tuple((f"residual_{u}_{c}_bn", f"residual_{u}_{c}_conv") for c in range(convolutions))
        for u in range(units)
    )
    return Plan(encoder, residual, decoder)


def folded(arch: str, variant: Variant, layers: LayerWeights) -> Encoder:
    """Fold the encoder of a network."""
    layout = plan(architecture(arch).family, variant)
    return fold_encoder(layout.encoder, layout.residual, layers)


def static_module(
    arch: str, variant: Variant, layers: LayerWeights, encoder: Encoder | None = None
) -> Any:
    """Build a tf.Module whose `window` function takes (1, 6000, 3) and returns the three heads.

    Args:
        arch: One of ARCHITECTURES.
        variant: As the weights have it.
        layers: Weights by layer name.
        encoder: In place of the one in `layers`.

    Returns:
        A tf.Module; `module.window` is a tf.function that gives {head: (1, 6000, 1)}.
    """
    entry = architecture(arch)
    layout = plan(entry.family, variant)
    front = encoder or folded(arch, variant, layers)

    class StaticNetwork(tf.Module):  # type: ignore[misc]  # tensorflow carries no types
        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec([1, WINDOW_SAMPLES, 3], tf.float32, name="window")],
            autograph=False,  # loops and conditions are Python's own; rewriting them takes seconds
        )
        def window(self, window: Tensor) -> dict[str, Tensor]:
            encoded = _encode(window, front, variant, layers)
            with tf.name_scope("recurrence"):
                sequences = _pickers(encoded, entry.cell, variant, layers)
            outputs = {}
            for head, layer in zip(HEADS, ("detector", "picker_P", "picker_S"), strict=True):
                x = encoded
                if head != "detection":
                    with tf.name_scope(f"attention_{head}"):
                        x = ops.band_attention(sequences[head], layers[f"attention{head}"])
                with tf.name_scope(f"decoder_{head}"):
                    outputs[head] = tf.identity(_decode(x, layer, layout, layers), name=head)
            return outputs

    return StaticNetwork()


def _encode(window: Tensor, encoder: Encoder, variant: Variant, layers: LayerWeights) -> Tensor:
    x = tf.reshape(window, [1, 1, WINDOW_SAMPLES, 3])
    for number, stage in enumerate(encoder.stages):
        with tf.name_scope(f"encoder_{number}"):
            convolved = (
                ops.convolve(x, stage.convolution, relu=True)
                if number
                else ops.convolve_input(x, stage.convolution)
            )
            x = ops.pool(convolved, stage.pool)
    for number, unit in enumerate(encoder.units):
        with tf.name_scope(f"residual_{number}"):
            x = x + _residual(x, unit)
    for block in range(variant.lstm_blocks):
        with tf.name_scope(f"bilstm_{block}"):
            x = _bilstm(x, f"bilstm_{block}", variant, layers)
    for block, name in enumerate(("attentionD0", "attentionD")):
        prefix = f"transformer_{block}"
        with tf.name_scope(prefix):
            norms = (layers[f"{prefix}_norm_0"], layers[f"{prefix}_norm_1"])
            x = ops.transformer(x, layers[name], norms, layers[f"{prefix}_ff"])
    return x


def _residual(x: Tensor, unit: ResidualUnit) -> Tensor:
    x = ops.scale_and_shift(x, unit.scale, unit.shift, relu=True)
    for convolution in unit.convolutions[:-1]:
        x = ops.convolve(x, convolution, relu=True)
    return ops.convolve(x, unit.convolutions[-1])


def _bilstm(x: Tensor, name: str, variant: Variant, layers: LayerWeights) -> Tensor:
    steps, channels = x.shape[2:]
    weights = layers[name]
    forward = tf.reshape(x, [steps, channels])
    inputs = (forward, tf.reverse(forward, [0]))
    both = lstm_pair(inputs, (weights[:3], weights[3:]), hard=variant.hard_gates)
    units = both.shape[1] // 2
    states = tf.concat([both[:, :units], tf.reverse(both[:, units:], [0])], axis=1)
    kernel, bias = layers[f"{name}_conv"]
    scale, shift = batch_norm(layers[f"{name}_bn"])
    states = tf.reshape(states, [1, 1, steps, 2 * units])
    return ops.convolve(states, Convolution(kernel * scale, bias * scale + shift))


def _pickers(
    encoded: Tensor, cell: str, variant: Variant, layers: LayerWeights
) -> dict[str, Tensor]:
    """States of the P and S recurrences with their neighbours', (steps, 3, units) each."""
    x = tf.reshape(encoded, encoded.shape[2:])
    cells = (layers["rnn_P"], layers["rnn_S"])
    hard = variant.hard_gates
    both = lstm_pair((x, x), cells, hard=hard) if cell == "lstm" else gru_pair(x, cells, hard=hard)
    around, units = ops.neighbours(both), both.shape[1] // 2
    return {"P": around[:, :, :units], "S": around[:, :, units:]}


def _decode(x: Tensor, layer: str, layout: Plan, layers: LayerWeights) -> Tensor:
    for stage in layout.decoder[:-1]:
        convolution = dense(layers[f"decoder_{layer}_{stage.layer}"])
        x = ops.upsampled_convolution(x, convolution, stage.factor, stage.cropping)
    last = layout.decoder[-1]
    convolution = dense(layers[f"decoder_{layer}_{last.layer}"])
    return ops.upsampled_head(x, convolution, dense(layers[layer]), last.factor)
