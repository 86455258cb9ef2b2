"""Build the Keras network of an architecture's name and depth."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from ...models.architectures import architecture

_WAYS = ("forward", "backward")


@dataclass(frozen=True)
class Variant:
    """What published networks of one architecture differ in; the report's is the default.

    Attributes:
        cnn_blocks: Residual blocks after the encoder.
        lstm_blocks: Bidirectional LSTM blocks after those.
        hard_gates: Whether the recurrences' gates are `hard_sigmoid` as Keras 2 defines it:
            0.2 x + 0.5, clipped to 0 and 1. So are EQTransformer's original weights.
    """

    cnn_blocks: int = 4
    lstm_blocks: int = 2
    hard_gates: bool = False

    def __str__(self) -> str:
        """Return the two numbers as the published code names them."""
        gates = ", hard gates" if self.hard_gates else ""
        return f"cnn_blocks={self.cnn_blocks}, lstm_blocks={self.lstm_blocks}{gates}"


REPORT_VARIANT = Variant()


def build_network(name: str, variant: Variant = REPORT_VARIANT) -> Any:
    """Build the Keras network of that name with random weights.

    Raises:
        UnknownArchitecture: No such name.
    """
    entry = architecture(name)
    family = importlib.import_module(f"....models.{entry.family}", __name__)
    network = family.build(entry.cell, variant.cnn_blocks, variant.lstm_blocks)
    if variant.hard_gates:
        for layer in network.layers:
            for part in (layer, *(getattr(layer, f"{way}_layer", None) for way in _WAYS)):
                if hasattr(part, "cell"):
                    part.cell.recurrent_activation = _hard_sigmoid
    return network


def _hard_sigmoid(x: Any) -> Any:
    """Keras 3 gives this name to another slope."""
    from keras import ops

    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)
