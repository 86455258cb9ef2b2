"""Turn the encoder and residual stack into plain convolutions, with all that folds folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
LayerWeights = Mapping[str, Sequence[Array]]
"""Weights by layer name, in Keras's order."""
BATCH_NORM_EPSILON = 1e-3
"""Keras's default, which the networks use."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """A dense convolution.

    Attributes:
        kernel: (taps, in, out).
        bias: (out,).
    """

    kernel: Array
    bias: Array


@dataclass(frozen=True, eq=False)
class EncoderStage:
    """Convolution, ReLU, pooling.

    Attributes:
        convolution: Of the stage alone: what the network shares between stages is copied.
        pool: Steps of which the largest is kept.
    """

    convolution: Convolution
    pool: int


@dataclass(frozen=True, eq=False)
class ResidualUnit:
    """Scale and shift, ReLU, convolutions with ReLU between them, added to the input.

    Attributes:
        scale: (channels,) of the first batch normalisation.
        shift: (channels,) of the first batch normalisation.
        convolutions: The other normalisations folded in.
    """

    scale: Array
    shift: Array
    convolutions: tuple[Convolution, ...]


@dataclass(frozen=True, eq=False)
class Encoder:
    """Window to features.

    Attributes:
        stages: From 6000 steps down.
        units: On the last stage's features.
    """

    stages: tuple[EncoderStage, ...]
    units: tuple[ResidualUnit, ...]


def fold_encoder(
    stages: Sequence[tuple[int, int]],
    units: Sequence[Sequence[tuple[str, str]]],
    layers: LayerWeights,
) -> Encoder:
    """Merge separable kernels and batch normalisations into dense convolutions.

    Args:
        stages: (number in the layer's name, pooling) of each stage.
        units: (normalisation, convolution) layer names of each unit.
        layers: Weights by layer name.
    """
    return Encoder(
        tuple(EncoderStage(dense(layers[f"encoder_{number}"]), pool) for number, pool in stages),
        tuple(_folded_unit(unit, layers) for unit in units),
    )


def dense(weights: Sequence[Array]) -> Convolution:
    """Merge depthwise and pointwise kernels; a plain convolution stays as it is."""
    if len(weights) == 2:
        return Convolution(weights[0], weights[1])
    depthwise, pointwise, bias = weights
    return Convolution(np.einsum("tcm,co->tco", depthwise, pointwise[0]), bias)


def batch_norm(weights: Sequence[Array]) -> tuple[Array, Array]:
    """Scale and shift of a batch normalisation at inference."""
    gamma, beta, mean, variance = weights
    scale = (gamma / np.sqrt(variance + BATCH_NORM_EPSILON)).astype(np.float32)
    return scale, beta - mean * scale


def _folded_unit(unit: Sequence[tuple[str, str]], layers: LayerWeights) -> ResidualUnit:
    """Each normalisation but the first folds into the convolution before it."""
    norms = [batch_norm(layers[norm]) for norm, _ in unit]
    convolutions = []
    for (_, name), following in zip(unit, [*norms[1:], None], strict=True):
        kernel, bias = layers[name]
        if following is not None:
            kernel, bias = kernel * following[0], bias * following[0] + following[1]
        convolutions.append(Convolution(kernel, bias))
    return ResidualUnit(*norms[0], tuple(convolutions))
