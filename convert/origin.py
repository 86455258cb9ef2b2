"""Read where weights come from: the device's contract, and the origin for a model's card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import EqedgeError
from ..edge.files import sha256_of
from ..models.spec import BandPass, ModelSpec, Preparation
from .graph.weights import LoadedNetwork

PUBLISHED_PREPARATION = Preparation("linear", BandPass(1.0, 45.0), "std")
"""What EQTransformer and LEQNet were trained on."""


@dataclass(frozen=True)
class Origin:
    """Where weights come from.

    Attributes:
        spec: The device's contract.
        summary: For a model's card: file, sha256 and layout of the weights, and, where there is
            one, file and sha256 of their training card.
        training_card: That card's file; None without one.
        training: Its content; empty without one.
    """

    spec: ModelSpec
    summary: dict[str, Any]
    training_card: Path | None = None
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def held_out_stations(self) -> list[str]:
        """Stations that the training did not use, by its card."""
        return list(self.training.get("split", {}).get("held_out_stations", ()))


def describe_weights(weights: Path, loaded: LoadedNetwork, name: str | None = None) -> Origin:
    """Find the device's contract and the origin of weights.

    Published weights were trained on detrended, band-passed, standardised windows. Our own have it
    in the training card beside them, or were trained on the defaults.

    Args:
        weights: Their file.
        loaded: What it holds.
        name: Of the model; None takes the file's.

    Raises:
        EqedgeError: The training card cannot be read, or is that of other weights.
    """
    name = name or base_name(weights)
    summary: dict[str, Any] = {
        "weights": weights.name,
        "sha256": sha256_of(weights),
        "layout": "eqedge" if loaded.own_layout else "published",
    }
    if not loaded.own_layout:
        spec = ModelSpec(name, loaded.architecture, preparation=PUBLISHED_PREPARATION)
        return Origin(spec, summary)
    path = weights.parent / f"{base_name(weights)}.training.json"
    spec = ModelSpec(name, loaded.architecture)
    try:
        content = path.read_bytes()
        training = json.loads(content)
    except FileNotFoundError:
        return Origin(spec, summary)
    except (OSError, ValueError) as error:
        raise EqedgeError(
            f"training card {path}: not readable ({error}); repair or remove it"
        ) from error
    if training.get("sha256", summary["sha256"]) != summary["sha256"]:
        raise EqedgeError(
            f"training card {path}: of other weights than {weights.name}; put the card "
            "that belongs to them beside them, or remove it"
        )
    summary["training"] = {"file": path.name, "sha256": hashlib.sha256(content).hexdigest()}
    if "spec" in training:
        own = ModelSpec.from_json(training["spec"])
        spec = replace(own, name=name, architecture=loaded.architecture)
    return Origin(spec, summary, path, training)


def base_name(weights: Path) -> str:
    """`leqnet_gru` for `leqnet_gru.weights.h5`."""
    return weights.name.split(".")[0]
