"""Count the multiply-accumulates of one window, on the Keras network."""

from __future__ import annotations

from math import prod
from typing import Any


def count_macs(network: Any) -> int:
    """Count the multiply-accumulates of one window.

    Convolutions, recurrences, dense layers and attention count, each use of a shared layer;
    additions, activations, pooling and normalisation do not.

    Args:
        network: keras.Model with a fixed input length.
    """
    return sum(
        _layer_macs(layer, tuple(node.input_tensors[0].shape), tuple(node.outputs[0].shape))
        for layer in network.layers
        for node in layer._inbound_nodes  # Keras names no public way to the uses of a layer
        if layer.weights and node in _nodes_of(network)
    )


def _nodes_of(network: Any) -> list[Any]:
    return [node for nodes in network._nodes_by_depth.values() for node in nodes]


def _layer_macs(layer: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
    steps = outputs[1]
    kind = type(layer).__name__
    if kind in ("BatchNormalization", "LayerNormalization"):
        return 0
    if kind == "SeqSelfAttention":
        features, units = inputs[2], layer.units
        # the published form scores every pair of steps and masks afterwards
        return int(steps * features * 2 * units + steps * steps * (units + features))
    # every matrix is applied once a step, a separable convolution's two and a cell's two alike
    matrices = [w for w in layer.weights if len(w.shape) > 1]
    return steps * sum(int(prod(w.shape)) for w in matrices)
