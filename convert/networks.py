"""An architecture's name and depth in, its Keras network out."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from ..models.architectures import architecture


@dataclass(frozen=True)
class Depth:
    """How deep a network is; the report's own depth is the default.

    Attributes:
        cnn_blocks: Residual blocks after the encoder.
        lstm_blocks: Bidirectional LSTM blocks after those.
    """

    cnn_blocks: int = 4
    lstm_blocks: int = 2

    def __str__(self) -> str:
        """Return the two numbers as the published code names them."""
        return f"cnn_blocks={self.cnn_blocks}, lstm_blocks={self.lstm_blocks}"


REPORT_DEPTH = Depth()


def build_network(name: str, depth: Depth = REPORT_DEPTH) -> Any:
    """Build the Keras network of that name with random weights.

    Raises:
        UnknownArchitecture: No such name.
    """
    entry = architecture(name)
    family = importlib.import_module(f"...models.{entry.family}", __name__)
    return family.build(entry.cell, depth.cnn_blocks, depth.lstm_blocks)
