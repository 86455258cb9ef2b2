"""Read the layers of a weights file: Keras 2 `.h5`, Keras 3 `.weights.h5` and `.keras`."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError, first_line

_SUFFIX = re.compile(r"^(.*?)_?(\d+)$")
_KERAS3_WEIGHTS, _METADATA = "model.weights.h5", "metadata.json"


class WeightsError(EqedgeError):
    """A weights file cannot be read, or does not hold the network that is wanted."""


@dataclass(frozen=True)
class StoredLayer:
    """One layer that has weights, as a file holds it.

    Attributes:
        name: Its name in the file.
        kind: Class in snake case, e.g. `separable_conv1d`, or its name where that is all there is.
        order: Number at the end of its name: layers of one kind were created in this order.
        weights: In the order Keras lists them.
    """

    name: str
    kind: str
    order: int
    weights: tuple[NDArray[np.float32], ...]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shape of each weight."""
        return [array.shape for array in self.weights]


@dataclass(frozen=True)
class StoredNetwork:
    """What a weights file holds.

    Attributes:
        layers: Every layer that has weights, in the file's own order.
        hard_gates: Whether its recurrences were built with Keras 2's `hard_sigmoid`.
    """

    layers: tuple[StoredLayer, ...]
    hard_gates: bool


def read_network(path: Path) -> StoredNetwork:
    """Read a weights file.

    Raises:
        WeightsError: The file is missing, cut short, of no known layout, or holds NaN.
    """
    try:
        stored = _from_keras(path) if zipfile.is_zipfile(path) else _from_hdf5(path, path)
    except FileNotFoundError:
        raise WeightsError(f"weights {path}: no such file") from None
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"weights {path}: not readable as .h5, .weights.h5 or .keras ({first_line(error)}); "
            "is it complete? copy it again"
        ) from error
    if not stored.layers:
        raise WeightsError(f"weights {path}: holds no layer with weights; save the model again")
    for layer in stored.layers:
        if not all(np.isfinite(array).all() for array in layer.weights):
            raise WeightsError(
                f"weights {path}: layer {layer.name} holds NaN or infinite values; use an earlier "
                "checkpoint"
            )
    return stored


def _from_keras(path: Path) -> StoredNetwork:
    with zipfile.ZipFile(path) as archive:
        if _KERAS3_WEIGHTS not in archive.namelist():
            raise WeightsError(
                f"weights {path}: a zip without {_KERAS3_WEIGHTS}; save the model with Keras 3, or "
                "give its .weights.h5"
            )
        version = _keras_version(archive)
        if not version.startswith("3."):
            raise WeightsError(
                f"weights {path}: a .keras of Keras {version}; load it there and save it as .h5 "
                "(Keras 2), or as .weights.h5 (Keras 3.8 or later)"
            )
        return _from_hdf5(io.BytesIO(archive.read(_KERAS3_WEIGHTS)), path)


def _keras_version(archive: zipfile.ZipFile) -> str:
    """Version that wrote a .keras: only those of Keras 3 name their layers as we read them."""
    try:
        metadata = json.loads(archive.read(_METADATA))
        return _text(metadata["keras_version"])
    except (KeyError, TypeError, ValueError):
        return "unknown version"


def _from_hdf5(source: Path | io.BytesIO, path: Path) -> StoredNetwork:
    with h5py.File(source, "r") as file:
        root = file.get("model_weights", file)
        if "layer_names" in root.attrs:
            return StoredNetwork(tuple(_keras2_layers(root)), _has_hard_gates(file.attrs, path))
        if "layers" in file:
            return StoredNetwork(tuple(_keras3_layers(file["layers"], path)), hard_gates=False)
    raise WeightsError(
        f"weights {path}: an HDF5 file, but not of Keras; give a model or weights saved by Keras"
    )


def _keras2_layers(root: Any) -> list[StoredLayer]:
    layers = []
    for name in map(_text, root.attrs["layer_names"]):
        group = root[name]
        arrays = tuple(_array(group[_text(key)]) for key in group.attrs["weight_names"])
        if arrays:
            layers.append(StoredLayer(name, *_kind_and_order(name), arrays))
    return layers


def _has_hard_gates(attributes: Any, path: Path) -> bool:
    """Decide by the model's own description, or by the default of the Keras that saved it."""
    version = _text(attributes.get("keras_version", ""))
    if "model_config" in attributes:
        hard = '"recurrent_activation": "hard_sigmoid"' in _text(attributes["model_config"])
        if hard and version.startswith("3"):
            # its hard_sigmoid has another slope than Keras 2's, and no network of ours has it
            raise WeightsError(
                f"weights {path}: gates are the hard_sigmoid of Keras {version}, which no network "
                "here has; train with sigmoid gates"
            )
        return hard
    # sigmoid became the default in Keras 2.3 and in every tf.keras ("-tf") of TensorFlow 2
    return version.startswith(("1.", "2.0", "2.1", "2.2")) and not version.endswith("-tf")


def _keras3_layers(root: Any, path: Path) -> list[StoredLayer]:
    layers = []
    for key, group in root.items():
        arrays: list[NDArray[np.float32]] = []
        # cells before the layer's own: Bidirectional lists forward before backward
        for part in ("forward_layer/cell/vars", "backward_layer/cell/vars", "cell/vars", "vars"):
            held = group.get(part, {})
            arrays += [_array(held[index]) for index in sorted(held, key=int)]
        if not arrays:
            continue
        if "name" not in group["vars"].attrs:
            raise WeightsError(
                f"weights {path}: layer {key} has no name (saved by an early Keras 3); load it "
                "and save it again with Keras 3.8 or later"
            )
        kind, order = _kind_and_order(key)
        layers.append(StoredLayer(_text(group["vars"].attrs["name"]), kind, order, tuple(arrays)))
    return layers


def _kind_and_order(name: str) -> tuple[str, int]:
    """`conv1d_12` is the kind `conv1d` and the number 12; `conv1d` is its number 0."""
    match = _SUFFIX.match(name)
    if match is None or not name.endswith(f"_{match[2]}"):
        return name, 0
    return match[1], int(match[2])


def _array(dataset: Any) -> NDArray[np.float32]:
    return np.asarray(dataset[()], dtype=np.float32)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
