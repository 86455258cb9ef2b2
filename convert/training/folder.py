"""Claim a training's folder, and check what a training begins from, without TensorFlow."""

from __future__ import annotations

from pathlib import Path

from ... import EqedgeError, reason_of
from ..data.records import Split
from ..graph.stored import read_network
from ..inputs import can_be_made
from ..pictures.learning import HISTORY
from ..training_cards import trained


class TrainingFolderError(EqedgeError):
    """The output folder cannot be made or written to, or holds another training."""


def check_folder(output: Path, resume: bool) -> None:
    """Refuse a folder that cannot be written to or holds another training; nothing is made.

    Raises:
        TrainingFolderError: It cannot be used.
    """
    checkpoint = output / "checkpoint.npz"
    if resume and not checkpoint.exists():
        raise TrainingFolderError(f"{checkpoint}: no checkpoint; leave out --resume to start")
    if not resume and checkpoint.exists():
        raise TrainingFolderError(
            f"{output}: holds the checkpoint of a training; give --resume to go on with it, "
            "or another --output"
        )
    if not can_be_made(output):
        raise TrainingFolderError(f"{output}: cannot be written; name another --output")


def check_initial(weights: Path, split: Split) -> None:
    """Refuse weights to begin from that cannot be read, or whose training had another split.

    What that training learned from would be scored as held out.

    Raises:
        WeightsError: They cannot be read.
        TrainingFolderError: They were trained with another split, by their card.
    """
    read_network(weights)
    before = trained(str(weights))
    other = [one for one in before.splits if one != split]
    if other:
        raise TrainingFolderError(
            f"--initial {weights}: {before.cards[0]} states that it was trained with --split "
            f"{other[0]}, so it has learned from records that --split {split} holds out for "
            f"scores; give --split {other[0]}"
        )


def claim(output: Path, resume: bool) -> None:
    """Make the folder; refuse one that holds a training that is not resumed."""
    check_folder(output, resume)
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / HISTORY).touch()
    except OSError as error:
        raise TrainingFolderError(f"{output}: cannot be written ({reason_of(error)})") from error
