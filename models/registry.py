"""Read models by name or path, and check them against their cards."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from .. import EqedgeError, first_line, reason_of
from .reading import CARD_BYTES, MODEL_BYTES, read_file
from .spec import ModelSpec, SpecError

DEFAULT_MODEL = "leqnet_gru_mixed"
"""The model a node uses when none is named: int8 but for encoder and residual stack. Full
int8 misses a part of `convert.verify`'s lossless limit; its card has `agreement.loss`."""
CARD_SCHEMA = 1
TFLITE_IDENTIFIER = b"TFL3"


class ModelError(EqedgeError):
    """A model file or its card cannot be used."""


@dataclass(frozen=True)
class Model:
    """A model ready for the interpreter.

    Attributes:
        name: File name without `.tflite`.
        data: The flatbuffer.
        sha256: Of `data`.
        spec: How to feed and read it.
        card: The whole card.
    """

    name: str
    data: bytes
    sha256: str
    spec: ModelSpec
    card: Mapping[str, Any]

    @classmethod
    def of(
        cls, name: str, data: bytes, spec: ModelSpec, card: Mapping[str, Any] | None = None
    ) -> Model:
        """Describe a flatbuffer that is not checked against a card."""
        return cls(name, data, hashlib.sha256(data).hexdigest(), spec, card or {})


def weights_folder() -> Path:
    """Folder of the models that ship with the package."""
    return Path(str(resources.files(__package__) / "weights"))


def shipped() -> list[str]:
    """Names of the shipped models, sorted."""
    return sorted(path.stem for path in weights_folder().glob("*.tflite"))


def open_model(name_or_path: str | Path) -> Model:
    """Read a shipped model by name, or any `.tflite` by path, and check it against its card.

    Raises:
        ModelError: There is no such model, the file is cut short or not TFLite, the card is
            missing or unreadable, or the card belongs to other bytes.
        SpecError: The card's spec is of another version.
    """
    path, data = read_flatbuffer(name_or_path)
    card = _read_card(path.with_suffix(".json"))
    sha256 = hashlib.sha256(data).hexdigest()
    if card.get("sha256") != sha256:
        size, whole = len(data), card.get("size_bytes")
        sizes = "" if size == whole else f" ({size} bytes, on the card {whole})"
        raise ModelError(
            f"model {path}: its sha256 {sha256[:12]}... is not the card's "
            f"{str(card.get('sha256'))[:12]}...{sizes}; copy both files again, or convert again"
        )
    try:
        spec = ModelSpec.from_json(card.get("spec", {}))
    except SpecError as error:
        raise SpecError(f"model {path}: {error}") from error
    return Model(path.stem, data, sha256, spec, card)


def require_model(name_or_path: str | Path) -> None:
    """Reject a name that is not a shipped model's and a path where there is no file.

    Raises:
        ModelError: As `open_model` does for it.
    """
    if str(name_or_path) not in shipped() and not os.path.lexists(name_or_path):
        read_flatbuffer(name_or_path)


def read_flatbuffer(name_or_path: str | Path) -> tuple[Path, bytes]:
    """Read a shipped model by name, or any `.tflite` by path, without its card.

    Returns:
        Its path and its bytes.

    Raises:
        ModelError: There is no such file, or it is not TFLite.
    """
    path = Path(name_or_path)
    if str(name_or_path) in shipped():
        path = weights_folder() / f"{name_or_path}.tflite"
    try:
        data = read_file(path, MODEL_BYTES)
    except OSError as error:
        known = ", ".join(shipped()) or "none"
        raise ModelError(
            f"model {name_or_path}: {reason_of(error)}; name a .tflite file or a shipped "
            f"model ({known})"
        ) from error
    if data[4:8] != TFLITE_IDENTIFIER:
        raise ModelError(f"model {path}: not a TensorFlow Lite file; make one with eqedge convert")
    return path, data


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(read_file(path, CARD_BYTES))
    except OSError as error:
        raise ModelError(
            f"model card {path}: {reason_of(error)}; the .json written by eqedge convert "
            "must lie beside the .tflite"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"model card {path}: not JSON ({first_line(error)}); copy it again"
        ) from error
    schema = card.get("schema") if isinstance(card, dict) else None
    if isinstance(schema, int) and schema > CARD_SCHEMA:
        raise ModelError(
            f"model card {path}: of schema {schema}, made by a newer eqedge; update this one, or "
            f"convert again with this one (schema {CARD_SCHEMA})"
        )
    if not isinstance(card, dict) or schema != CARD_SCHEMA:
        raise ModelError(f"model card {path}: not a card of schema {CARD_SCHEMA}; convert again")
    return card
