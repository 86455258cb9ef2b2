"""Cards as text: the same JSON, on few lines."""

import hashlib
import json

import pytest
from eqedge.convert.card_text import WIDTH, card_text
from eqedge.models.registry import shipped, weights_folder
from hypothesis import given, settings
from hypothesis import strategies as st

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    PLAIN | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=9), inner, max_size=12)
    ),
    max_leaves=30,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=9), VALUES, max_size=12))
def test_it_is_the_same_json(card):
    """Whatever a card holds is read again, in the same order."""
    assert list(json.loads(card_text(card)).items()) == list(card.items())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), max_size=200))
def test_lists_share_lines(values):
    """Numbers stand side by side, within the width."""
    text = card_text({"values": values})
    assert max(map(len, text.splitlines())) <= WIDTH
    assert len(text.splitlines()) <= 5 + len(values) / 3


def test_what_is_not_a_number_is_refused():
    """A card is JSON that everybody reads."""
    with pytest.raises(ValueError, match="JSON"):
        card_text({"loss": float("nan")})


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_card_fits_on_a_screen_and_names_its_training(name):
    """It names the training card by file and sha256, and that one those before it."""
    text = (weights_folder() / f"{name}.json").read_text()
    card = json.loads(text)
    assert text == card_text(card) and len(text.splitlines()) <= 110
    assert card["origin"]["layout"] == "eqedge"
    weights_sha256, named, trainings = card["origin"]["sha256"], card["origin"]["training"], 0
    while named:
        content = (weights_folder() / named["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == named["sha256"]
        training = json.loads(content)
        assert training["sha256"] == weights_sha256
        begun, trainings = training["initialisation"], trainings + 1
        if begun == "random":
            break
        weights_sha256, named = begun["sha256"], begun["training"]
    assert trainings == 2
