"""Load published or own weights into one of the report's networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.architectures import ARCHITECTURES, architecture
from .networks import Variant, build_network
from .stored import StoredLayer, StoredNetwork, WeightsError, read_network

_KIND_OF_CLASS = {
    "SeparableConv1D": "separable_conv1d",
    "Conv1D": "conv1d",
    "BatchNormalization": "batch_normalization",
    "Bidirectional": "bidirectional",
    "LayerNormalization": "layer_normalization",
    "FeedForward": "feed_forward",
    "SeqSelfAttention": "seq_self_attention",
    "LSTM": "lstm",
    "GRU": "gru",
}
_PUBLISHED_NAMES = (
    "attentionD0", "attentionD", "attentionP", "attentionS", "detector", "picker_P", "picker_S",
)  # fmt: skip
"""Layers that the published code names; the rest carry Keras's running numbers."""
_CREATION_ORDER = (
    "encoder_", "residual_", "bilstm_", "attentionD0", "transformer_0", "attentionD",
    "transformer_1", "decoder_detector_", "detector", "rnn_P", "attentionP", "decoder_picker_P_",
    "picker_P", "rnn_S", "attentionS", "decoder_picker_S_", "picker_S",
)  # fmt: skip
"""Beginnings of our layers' names, in the order the published code creates those layers."""


@dataclass(frozen=True)
class LoadedNetwork:
    """A Keras network with weights from a file.

    Attributes:
        network: The keras.Model.
        architecture: Its name.
        variant: Depth and gates, read from the file.
        own_layout: Whether the file names layers as this package does, that is, was saved by it.
    """

    network: Any
    architecture: str
    variant: Variant
    own_layout: bool

    @property
    def layers(self) -> dict[str, list[NDArray[np.float32]]]:
        """Weights of each layer that has any, by its name."""
        return {layer.name: layer.get_weights() for layer in self.network.layers if layer.weights}


def load_network(path: Path, arch: str | None = None) -> LoadedNetwork:
    """Build the network a file holds and give it the file's weights.

    Args:
        path: `.h5` (Keras 2, model or weights only), `.weights.h5` or `.keras` (Keras 3).
        arch: One of ARCHITECTURES to insist on; None takes what the file holds.

    Raises:
        WeightsError: The file is not readable, holds another network than `arch`, or one whose
            first layer that differs is named with both shapes.
        UnknownArchitecture: No architecture of that name.
    """
    if arch is not None:
        architecture(arch)
    held = read_network(path)
    stored = held.layers
    found, variant = recognise(held, path)
    if arch not in (None, found):
        raise WeightsError(
            f"weights {path}: this file holds {ARCHITECTURES[found].title}; use --arch {found}"
        )
    network = build_network(found, variant)
    ours = [layer for layer in _in_creation_order(network.layers) if layer.weights]
    own_layout = {layer.name for layer in stored} >= {"encoder_0", "rnn_P"}
    if own_layout:
        by_name = {layer.name: layer for layer in stored}
        pairs = [(layer, by_name.get(layer.name)) for layer in ours]
    else:
        pairs = _paired_by_kind(ours, stored)
    for name in () if own_layout else ("attentionP", "attentionS"):
        network.get_layer(name).row_guard = True
    for layer, source in pairs:
        expected = [tuple(weight.shape) for weight in layer.weights]
        if source is None or source.shapes != expected:
            has = "nothing" if source is None else f"{source.name} {_listed(source.shapes)}"
            raise WeightsError(
                f"weights {path}: layer {layer.name} does not match: the file has {has}, "
                f"{ARCHITECTURES[found].title} ({variant}) needs {_listed(expected)}; give weights "
                f"of one of {', '.join(ARCHITECTURES)} on 6000-sample windows"
            )
        layer.set_weights(list(source.weights))
    return LoadedNetwork(network, found, variant, own_layout)


def recognise(stored: StoredNetwork, path: Path) -> tuple[str, Variant]:
    """Return architecture and variant from what a file holds.

    Raises:
        WeightsError: A layer is of a kind none of the networks has, or what makes a network out
            is missing.
    """
    counts: Counter[str] = Counter()
    known = {*_KIND_OF_CLASS.values(), *_PUBLISHED_NAMES}
    for layer in stored.layers:
        if layer.kind not in known and not layer.name.startswith(_CREATION_ORDER):
            raise WeightsError(
                f"weights {path}: layer {layer.name} {_listed(layer.shapes)} is of a kind that "
                "neither EQTransformer nor LEQNet has; convert handles these two families only"
            )
        counts[_own_kind(layer)] += 1
    family = "leqnet" if counts["separable_conv1d"] else "eqtransformer"
    cells = [cell for cell in ("lstm", "gru") if counts[cell]]
    lstm_blocks = counts["bidirectional"]
    residual_norms = counts["batch_normalization"] - lstm_blocks
    if family == "leqnet":
        cnn_blocks, odd = divmod(residual_norms, 3)
    else:
        # two norms a unit; from the fourth block on each block is two units
        units, odd = divmod(residual_norms, 2)
        if units > 3:
            odd += (units - 3) % 2
            units = 3 + (units - 3) // 2
        cnn_blocks = units
    if len(cells) != 1 or odd or cnn_blocks < 1 or lstm_blocks < 1:
        census = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
        raise WeightsError(
            f"weights {path}: neither EQTransformer nor LEQNet ({census}); give weights of one "
            f"of {', '.join(ARCHITECTURES)}"
        )
    name = next(
        entry.name
        for entry in ARCHITECTURES.values()
        if (entry.family, entry.cell) == (family, cells[0])
    )
    return name, Variant(cnn_blocks, lstm_blocks, stored.hard_gates)


def _own_kind(layer: StoredLayer) -> str:
    """Kind of a stored layer; in an .h5 of our own network, by name and number of weights."""
    if layer.kind in _KIND_OF_CLASS.values():
        return layer.kind
    if layer.name.startswith("rnn_"):
        return "gru" if layer.shapes[0][-1] % 48 == 0 else "lstm"
    if layer.name.startswith(("encoder_", "decoder_")):
        return "separable_conv1d" if len(layer.weights) == 3 else "conv1d"
    if layer.name.startswith("bilstm_") and len(layer.weights) == 6:
        return "bidirectional"
    if layer.name.endswith("_bn"):
        return "batch_normalization"
    return layer.kind


def _in_creation_order(layers: Iterable[Any]) -> list[Any]:
    def rank(layer: Any) -> int:
        prefixes = [p for p in _CREATION_ORDER if layer.name.startswith(p)]
        return _CREATION_ORDER.index(max(prefixes, key=len)) if prefixes else -1

    return sorted(layers, key=rank)  # stable: within one stage Keras's own order holds


def _paired_by_kind(
    ours: Iterable[Any], stored: Iterable[StoredLayer]
) -> list[tuple[Any, StoredLayer | None]]:
    """Pair layers that the published code names by name, the others by kind and creation order."""
    by_name = {layer.name: layer for layer in stored}
    queues: dict[str, list[StoredLayer]] = {}
    for layer in sorted(stored, key=lambda layer: layer.order):
        if layer.name not in _PUBLISHED_NAMES:
            queues.setdefault(layer.kind, []).append(layer)
    pairs = []
    for layer in ours:
        if layer.name in _PUBLISHED_NAMES:
            pairs.append((layer, by_name.get(layer.name)))
        else:
            queue = queues.get(_KIND_OF_CLASS[type(layer).__name__], [])
            pairs.append((layer, queue.pop(0) if queue else None))
    return pairs


def _listed(shapes: Iterable[tuple[int, ...]]) -> str:
    return " ".join("(" + ",".join(map(str, shape)) + ")" for shape in shapes)
