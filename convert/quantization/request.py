"""Describe one file to be made of a network's weights, for the child process that makes it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError
from ..graph.encoder import LayerWeights
from ..graph.networks import Variant

PRECISIONS = ("float32", "float16", "int8", "mixed")
RANGED_PRECISIONS = ("int8", "mixed")
"""Precisions whose activations need ranges, and ranges need calibration windows."""
RANGES = "ranges"
"""In place of a precision: the float file with the range of every activation in it."""
IO_TYPES = ("int8", "float32")

REQUEST, WEIGHTS, WINDOWS, RANGED, RESULT = (
    "request.json", "weights.npz", "windows.npy", "ranged.tflite", "model.tflite",
)  # fmt: skip
"""Files of the exchange with the child, in a folder of its own."""


class QuantizeError(EqedgeError):
    """A network cannot be converted to the file that is wanted."""


@dataclass(frozen=True, eq=False)
class QuantizationRequest:
    """One file to be made; the same request and windows give the same bytes.

    Attributes:
        arch: One of ARCHITECTURES.
        variant: As the weights have it.
        layers: Weights by layer name.
        precision: One of PRECISIONS, or RANGES.
        float_stages: Beginnings of the names of stages that stay float32, for `mixed`.
        tuning_steps: Gradient steps that fit the encoder to int8, see `tuning`; used where ranges
            are found.
        io: Type of the input and the outputs of `int8`; `float32` is for microcontroller code that
            prepares and reads floats. The other precisions take and give float32.
    """

    arch: str
    variant: Variant
    layers: LayerWeights
    precision: str
    float_stages: tuple[str, ...] = ()
    tuning_steps: int = 0
    io: str = "int8"

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.precision} of {self.arch}"

    def check(self) -> None:
        """Refuse options that do not fit together.

        Raises:
            QuantizeError: Names the option.
        """
        if self.precision not in (*PRECISIONS, RANGES):
            raise QuantizeError(f"precision {self.precision!r}; use one of {', '.join(PRECISIONS)}")
        if self.io not in IO_TYPES:
            raise QuantizeError(f"input and output type {self.io!r}; use {' or '.join(IO_TYPES)}")
        if bool(self.float_stages) != (self.precision == "mixed"):
            raise QuantizeError(
                f"precision {self.precision} with {len(self.float_stages)} float stages; "
                "--float-stage belongs to --precision mixed, which needs at least one"
            )

    def write(
        self, folder: Path, windows: NDArray[np.float32] | None, ranged: bytes | None
    ) -> None:
        """Write all that the child needs: plain JSON and arrays, nothing pickled.

        Args:
            folder: Of the exchange.
            windows: (n, window_samples, 3) prepared, where ranges are to be found.
            ranged: The file of a RANGES request, where they were found before.
        """
        arrays = {
            f"{name}/{i}": a for name, weights in self.layers.items() for i, a in enumerate(weights)
        }
        np.savez(folder / WEIGHTS, **arrays)  # type: ignore[arg-type]  # numpy's stub: allow_pickle
        if windows is not None:
            np.save(folder / WINDOWS, windows)
        if ranged is not None:
            (folder / RANGED).write_bytes(ranged)
        document = {
            "arch": self.arch,
            "variant": asdict(self.variant),
            "precision": self.precision,
            "float_stages": list(self.float_stages),
            "tuning_steps": self.tuning_steps,
            "io": self.io,
        }
        (folder / REQUEST).write_text(json.dumps(document))

    @classmethod
    def read(cls, folder: Path) -> QuantizationRequest:
        """Read what `write` wrote."""
        document = json.loads((folder / REQUEST).read_text())
        layers: dict[str, list[NDArray[np.float32]]] = {}
        with np.load(folder / WEIGHTS) as arrays:
            for key in arrays.files:
                layers.setdefault(key.rsplit("/", 1)[0], []).append(arrays[key])
        return cls(
            document["arch"],
            Variant(**document["variant"]),
            layers,
            document["precision"],
            tuple(document["float_stages"]),
            document["tuning_steps"],
            document["io"],
        )
