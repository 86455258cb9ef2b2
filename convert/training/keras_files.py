"""Weight files -> one of our networks, whichever the file fits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py

from ...models import eqtransformer, leqnet
from ...models.architectures import ARCHITECTURES

_KINDS = ("conv1d", "batch_normalization", "bidirectional", "layer_normalization", "feed_forward")
_SIDES = ("forward_layer", "backward_layer")
_DECODERS = ("decoder_detector", "decoder_picker_P", "decoder_picker_S")


def build(architecture: str, drop_rate: float) -> Any:
    """The network of a name of `models.architectures`, untrained."""
    entry = ARCHITECTURES[architecture]
    family = {"leqnet": leqnet, "eqtransformer": eqtransformer}[entry.family]
    return family.build(entry.cell, drop_rate=drop_rate)


def load_any(path: Path) -> Any:
    """Read a weight file into the network it fits.

    Raises:
        ValueError: It fits none of them.
    """
    with h5py.File(path, "r") as file:
        if "model_weights" in file:
            model = _published_eqtransformer(file["model_weights"])
            if "hard_sigmoid" in _text(file.attrs.get("model_config", "")):
                _use_hard_gates(model)
            return model
    for name in ARCHITECTURES:
        model = build(name, drop_rate=0.0)
        try:
            model.load_weights(path)
        except (ValueError, KeyError):
            continue
        return model
    raise ValueError("the weights fit none of our networks")


def _published_eqtransformer(group: Any) -> Any:
    """EQTransformer of any published depth, from Keras 2's layers in their numbered order."""
    stored: dict[str, list[tuple[int, list[Any]]]] = {}
    for raw in group.attrs["layer_names"]:
        name = _text(raw)
        arrays = [group[name][_text(weight)][()] for weight in group[name].attrs["weight_names"]]
        if arrays:
            kind, number = re.fullmatch(r"(.*?)_?(\d*)", name).groups()  # type: ignore[union-attr]
            kind = kind if kind in (*_KINDS, "lstm") else name
            stored.setdefault(kind, []).append((int(number or 0), arrays))
    ordered = {kind: [arrays for _, arrays in sorted(v, key=lambda p: p[0])]
               for kind, v in stored.items()}
    lstm_blocks = len(ordered.get("bidirectional", []))
    residuals = (len(ordered.get("batch_normalization", [])) - lstm_blocks) // 2
    depths = [b for b in range(1, 9) if len(eqtransformer.residual_kernels(b)) == residuals]
    if not depths or "lstm" not in ordered:
        raise ValueError("not a published EQTransformer: its layers are other ones")
    model = eqtransformer.build("lstm", depths[0], lstm_blocks, drop_rate=0.0)
    for kind, layers in _by_kind(model, residuals, lstm_blocks).items():
        if len(layers) != len(ordered.get(kind, [])):
            raise ValueError(f"{kind}: {len(ordered.get(kind, []))} layers, expected {len(layers)}")
        for layer, arrays in zip(layers, ordered[kind], strict=True):
            model.get_layer(layer).set_weights(arrays)
    return model


def _use_hard_gates(model: Any) -> None:
    """Give the LSTMs the gates they were trained with, whose slope Keras 3's own no longer has."""
    from keras import ops

    for layer in model.layers:
        for recurrent in (layer, *(getattr(layer, side, None) for side in _SIDES)):
            if hasattr(recurrent, "cell"):
                recurrent.cell.recurrent_activation = lambda x: ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _by_kind(model: Any, residuals: int, lstm_blocks: int) -> dict[str, list[str]]:
    """Our layers under Keras 2's kinds, in the order in which the authors' code makes them."""
    stages = range(len(eqtransformer.FILTERS))
    halves = [f"residual_{block}_{index}" for block in range(residuals) for index in range(2)]
    blocks = range(lstm_blocks)
    return {
        "conv1d": [f"encoder_{stage}" for stage in stages]
        + [f"{half}_conv" for half in halves]
        + [f"bilstm_{block}_conv" for block in blocks]
        + [f"{decoder}_{stage}" for decoder in _DECODERS for stage in stages],
        "batch_normalization": [f"{half}_bn" for half in halves]
        + [f"bilstm_{block}_bn" for block in blocks],
        "bidirectional": [f"bilstm_{block}" for block in blocks],
        "layer_normalization": [
            f"transformer_{block}_norm_{index}" for block in range(2) for index in range(2)
        ],
        "feed_forward": [f"transformer_{block}_ff" for block in range(2)],
        "lstm": ["rnn_P", "rnn_S"],
        **{name: [name] for name in ("attentionD0", "attentionD", "attentionP", "attentionS")},
        **{name: [name] for name in ("detector", "picker_P", "picker_S")},
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
