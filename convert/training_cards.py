"""Read what the cards of a network state about its training, and about those before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import EqedgeError
from ..edge.files import sha256_of
from ..models.reading import CARD_BYTES, read_file
from ..models.registry import shipped, weights_folder

SPLITS = ("station", "event")
"""What a training can hold out as a whole."""
LONGEST_CHAIN = 50
"""Trainings that began from one another; a longer chain is a circle."""


class TrainingCardError(EqedgeError):
    """A training card cannot be read, or belongs to other weights."""


@dataclass(frozen=True)
class TrainingCard:
    """The card that `eqedge train` writes beside weights.

    Attributes:
        path: Its file.
        sha256: Of its content.
        content: What it states.
    """

    path: Path
    sha256: str
    content: Mapping[str, Any]

    @property
    def split(self) -> str | None:
        """What the training held out, one of `SPLITS`; None where the card does not state it.

        Raises:
            TrainingCardError: It states something else.
        """
        split = self.content.get("split")
        by = split.get("by") if isinstance(split, dict) else None
        if by is None or by in SPLITS:
            return by
        raise TrainingCardError(
            f"training card {self.path}: split by {by!r}; expected {' or '.join(SPLITS)}, "
            "copy the card again"
        )

    def before(self) -> tuple[TrainingCard | None, bool]:
        """Return the card of the weights that the training began from, and whether it has none.

        The second is true where it began from random weights; where it is false and there is no
        card, nothing is known of what the first weights were trained on.
        """
        begun = self.content.get("initialisation", "random")
        if not isinstance(begun, dict):
            return None, begun == "random"
        named = begun.get("training")
        return (named_card(self.path.parent, named) if isinstance(named, dict) else None), False


@dataclass(frozen=True)
class Trained:
    """What is known of the records that a network was trained on.

    Attributes:
        network: As it was named.
        splits: What its trainings held out, the last one first, each once; empty where no card
            states it.
        cards: Names of the files that state it.
        complete: Whether every training of the network is known.
    """

    network: str
    splits: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()
    complete: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it for a report."""
        return {
            "held_out_by": list(self.splits),
            "cards": list(self.cards),
            "complete": self.complete,
        }


def read_card(path: Path) -> TrainingCard | None:
    """Read a training card; None where there is no such file.

    Raises:
        TrainingCardError: It cannot be read.
    """
    try:
        content = read_file(path, CARD_BYTES)
        card = json.loads(content)
        if not isinstance(card, dict):
            raise ValueError("not an object")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TrainingCardError(
            f"training card {path}: not readable ({error}); repair or remove it"
        ) from error
    return TrainingCard(path, hashlib.sha256(content).hexdigest(), card)


def card_of_weights(weights: Path) -> TrainingCard | None:
    """Read the card beside weights; None without one.

    Raises:
        TrainingCardError: It cannot be read, or is that of other weights.
    """
    card = read_card(weights.parent / f"{base_name(weights)}.training.json")
    if card is not None:
        own = sha256_of(weights)
        if card.content.get("sha256", own) != own:
            raise TrainingCardError(
                f"training card {card.path}: of other weights than {weights.name}; put the card "
                "that belongs to them beside them, or remove it"
            )
    return card


def named_card(folder: Path, named: Mapping[str, Any]) -> TrainingCard | None:
    """Read the card that another card names by file and sha256; None where it is not there.

    Raises:
        TrainingCardError: It cannot be read.
    """
    file, sha256 = named.get("file"), named.get("sha256")
    if not isinstance(file, str) or Path(file).name != file:
        return None
    card = read_card(folder / file)
    return card if card is not None and sha256 in (None, card.sha256) else None


def chain(card: TrainingCard) -> tuple[list[TrainingCard], bool]:
    """Return a card and those of the trainings before it, and whether the chain is complete."""
    cards, last = [card], card
    while len(cards) < LONGEST_CHAIN:
        earlier, begun = last.before()
        if earlier is None:
            return cards, begun
        cards.append(earlier)
        last = earlier
    return cards, False


def trained(network: str) -> Trained:
    """Find out what a network's trainings held out, from the cards that lie beside it.

    Args:
        network: A shipped model's name, a `.tflite`, or weights.

    Raises:
        TrainingCardError: A card cannot be read, or is that of other weights.
    """
    path = weights_folder() / f"{network}.tflite" if network in shipped() else Path(network)
    if not path.is_file():
        return Trained(network)  # named where the network is opened
    card = _of_model(path) if path.suffix == ".tflite" else card_of_weights(path)
    if card is None:
        return Trained(network)
    cards, complete = chain(card)
    splits = [one.split for one in cards]
    return Trained(
        network,
        tuple(dict.fromkeys(split for split in splits if split is not None)),
        tuple(one.path.name for one in cards),
        complete and None not in splits,
    )


def _of_model(path: Path) -> TrainingCard | None:
    """Read the training card that a converted model's card names."""
    try:
        card = json.loads(read_file(path.with_suffix(".json"), CARD_BYTES))
        named = card["origin"]["training"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a card that is damaged is named where the model is opened
    return named_card(path.parent, named) if isinstance(named, dict) else None


def base_name(weights: Path) -> str:
    """`leqnet_gru` for `leqnet_gru.weights.h5`."""
    return weights.name.split(".")[0]
