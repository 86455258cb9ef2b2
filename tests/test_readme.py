"""README's figures are those on the cards, and its table is what the command prints."""

import json
import re

import pytest
from eqedge.models.shelf import DEFAULT_MODEL, open_model, weights_folder

from .conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_models_table_is_what_the_command_prints(eqedge):
    """`eqedge models` prints every line of README's table."""
    block = re.search(r"## Models\n\n```\n(.*?)```", README, re.S)
    assert block is not None
    assert block[1].rstrip() == eqedge("models").stdout.rstrip()


@pytest.mark.parametrize(
    ("row", "key"),
    [("picked by hand", "manually_picked"), ("set aside", "unlabelled_set_aside"),
     ("all 86, strictly", "pooled")],
)  # fmt: skip
def test_the_scores_are_the_training_cards(row, key):
    """The three rows of scores stand on the training card."""
    card = json.loads((weights_folder() / "leqnet_gru.training.json").read_text())
    scores = card["scores_on_held_out_stations"]["P 0.3, S 0.3"]
    line = next(line for line in README.splitlines() if line.startswith("|") and row in line)
    told = [cell.strip() for cell in line.split("|")[2:4]]
    assert [float(cell) for cell in told] == pytest.approx(
        [scores[phase][key]["f1"] for phase in "PS"], abs=0.00051
    )


def test_what_int8_keeps_is_the_models_card():
    """The picks that int8 keeps are those its own card counts."""
    heads = open_model(DEFAULT_MODEL).card["agreement"]["heads"]
    for phase in "PS":
        kept = heads[phase]["kept"]
        assert f"{kept} of {kept + heads[phase]['lost']}" in README.replace("\n", " ")
