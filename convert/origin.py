"""A weights file in, the device's contract and the origin for the card out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import EqedgeError
from ..models.spec import BandPass, ModelSpec, Preparation
from .conversion import ConvertSettings
from .graph.weights import LoadedNetwork

PUBLISHED_PREPARATION = Preparation("linear", BandPass(1.0, 45.0), "std")
"""What EQTransformer and LEQNet were trained on."""


def describe_weights(
    settings: ConvertSettings, loaded: LoadedNetwork
) -> tuple[ModelSpec, dict[str, Any]]:
    """Tell the device's contract and the origin of weights.

    Published weights were trained on detrended, band-passed, standardised windows. Our own say it
    in the training card beside them, or were trained on the defaults.
    """
    name = settings.name or base_name(settings.weights)
    origin: dict[str, Any] = {
        "weights": settings.weights.name,
        "sha256": hashlib.sha256(settings.weights.read_bytes()).hexdigest(),
        "layout": "eqedge" if loaded.own_layout else "published",
    }
    if not loaded.own_layout:
        return ModelSpec(name, loaded.architecture, preparation=PUBLISHED_PREPARATION), origin
    card_path = settings.weights.parent / f"{base_name(settings.weights)}.training.json"
    spec = ModelSpec(name, loaded.architecture)
    try:
        training = json.loads(card_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return spec, origin
    except (OSError, ValueError) as error:
        raise EqedgeError(
            f"training card {card_path}: not readable ({error}); repair or remove it"
        ) from error
    if training.get("sha256", origin["sha256"]) != origin["sha256"]:
        raise EqedgeError(
            f"training card {card_path}: speaks of other weights than {settings.weights.name}; "
            "put the card that belongs to them beside them, or remove it"
        )
    origin["training"] = training
    if "spec" in training:
        spec = replace(
            ModelSpec.from_json(training["spec"]), name=name, architecture=loaded.architecture
        )
    return spec, origin


def held_out_stations(origin: Mapping[str, Any]) -> list[str]:
    """Stations that the training card in an origin says were kept from training."""
    split = origin.get("training", {}).get("split", {})
    return list(split.get("held_out_stations", ()))


def base_name(weights: Path) -> str:
    """`leqnet_gru` for `leqnet_gru.weights.h5`."""
    return weights.name.split(".")[0]
