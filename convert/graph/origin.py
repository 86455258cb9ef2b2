"""Read where weights come from: the device's contract, and the origin for a model's card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...edge.files import sha256_of
from ...models.spec import BandPass, ModelSpec, Preparation
from ..training_cards import TrainingCard, base_name, card_of_weights, chain
from .weights import LoadedNetwork

PUBLISHED_PREPARATION = Preparation("linear", BandPass(1.0, 45.0), "std")
"""What EQTransformer and LEQNet were trained on."""


@dataclass(frozen=True)
class Origin:
    """Where weights come from.

    Attributes:
        spec: The device's contract.
        summary: For a model's card: file, sha256 and layout of the weights, and, where there is
            one, file and sha256 of their training card.
        training_card: That card; None without one.
    """

    spec: ModelSpec
    summary: dict[str, Any]
    training_card: TrainingCard | None = None

    @property
    def training(self) -> Mapping[str, Any]:
        """What the training card states; empty without one."""
        return self.training_card.content if self.training_card else {}

    @property
    def held_out_stations(self) -> list[str]:
        """Stations that the training did not use, by its card."""
        return list(self.training.get("split", {}).get("held_out_stations", ()))

    def cards(self) -> list[TrainingCard]:
        """Return the training's card and those of the trainings before it."""
        return chain(self.training_card)[0] if self.training_card else []


def describe_weights(weights: Path, loaded: LoadedNetwork, name: str | None = None) -> Origin:
    """Find the device's contract and the origin of weights.

    Published weights were trained on detrended, band-passed, standardised windows. Our own have it
    in the training card beside them, or were trained on the defaults.

    Args:
        weights: Their file.
        loaded: What it holds.
        name: Of the model; None takes the file's.

    Raises:
        TrainingCardError: The training card cannot be read, or is that of other weights.
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
    spec = ModelSpec(name, loaded.architecture)
    card = card_of_weights(weights)
    if card is None:
        return Origin(spec, summary)
    summary["training"] = {"file": card.path.name, "sha256": card.sha256}
    training = card.content
    if "spec" in training:
        own = ModelSpec.from_json(training["spec"])
        spec = replace(own, name=name, architecture=loaded.architecture)
    return Origin(spec, summary, card)
