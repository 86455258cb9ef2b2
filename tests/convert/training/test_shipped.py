import hashlib
import json
from pathlib import Path

import eqedge
import numpy as np
import pytest
from eqedge.convert.data.picker import by_keras
from eqedge.convert.data.records import held_out
from eqedge.convert.training.card import initialisation
from eqedge.convert.training.score import EventWindow, Trial, score
from eqedge.convert.training.student import build
from eqedge.edge.prepare import prepare
from eqedge.edge.replay.synthetic import earthquake, noise
from eqedge.models.spec import ModelSpec

WEIGHTS = Path(eqedge.__file__).parent / "models" / "weights" / "leqnet_gru.weights.h5"
CARD = json.loads(WEIGHTS.with_name("leqnet_gru.training.json").read_text())
SPEC = ModelSpec("leqnet_gru", "leqnet-gru")


@pytest.fixture(scope="module")
def predict():
    """The shipped network."""
    network = build("leqnet-gru", drop_rate=0.0)
    network.load_weights(WEIGHTS)
    assert network.count_params() == 38_720
    return by_keras(network)


def test_card_is_of_these_weights():
    """The card beside the weights carries their sha256."""
    assert CARD["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()


def test_card_names_teachers_licences_and_a_split_that_holds():
    """Every teacher has a licence, and the held-out stations are those of the rule."""
    assert all(teacher["licence"] == "MIT" for teacher in CARD["teachers"])
    assert CARD["split"]["held_out_stations"]
    assert all(held_out(station) for station in CARD["split"]["held_out_stations"])


def test_training_began_at_random():
    """The chain of trainings ends in random numbers, and no link of it is unknown."""
    begun, links = CARD["initialisation"], 0
    while begun != "random":
        training = json.loads((WEIGHTS.parent / begun["training"]["file"]).read_text())
        assert training["sha256"] == begun["sha256"]
        assert training["architecture"] == "leqnet-gru"
        begun, links = training["initialisation"], links + 1
    assert links == 1


def test_a_training_that_continues_takes_the_cards_along(tmp_path):
    """The card of the weights it began from, and those before, are copied under their own names."""
    begun = initialisation(WEIGHTS, tmp_path)
    names = [begun["training"]["file"], CARD["initialisation"]["training"]["file"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    content = (tmp_path / names[0]).read_bytes()
    assert json.loads(content) == CARD and begun["sha256"] == CARD["sha256"]
    assert hashlib.sha256(content).hexdigest() == begun["training"]["sha256"]
    assert (tmp_path / names[1]).read_bytes() == (WEIGHTS.parent / names[1]).read_bytes()


@pytest.mark.parametrize("phase", ["P", "S"])
@pytest.mark.parametrize("rows", ["manually_picked", "unlabelled_set_aside"])
def test_card_reports_what_was_demanded(phase, rows):
    """F1 of at least .85 at the shipped threshold on stations that training never saw."""
    assert CARD["scores_on_held_out_stations"]["P 0.3, S 0.3"][phase][rows]["f1"] >= 0.85


def test_weights_pick_synthetic_earthquakes(predict):
    """On synthetic records, noise included, hardly a pick is missed or invented."""
    rng = np.random.default_rng(12)
    events = []
    for _ in range(40):
        record = earthquake(rng, distance_km=float(rng.uniform(8, 60)), snr_db=40)
        window = prepare(record.waveform, SPEC)
        events.append(EventWindow(window, "x", record.inside(0, 6000)))
    quiet = [prepare(noise(rng).waveform, SPEC) for _ in range(30)]
    result = score(predict, Trial(events, quiet))
    assert result["P"]["pooled"]["f1"] > 0.93
    assert result["S"]["pooled"]["f1"] > 0.93
    assert result["noise"]["false_p_per_hour"] <= 4
