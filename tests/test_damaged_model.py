"""A node in the field whose model is damaged picks with a packaged one, and publishes that."""

import hashlib
import json
import os
import random
import signal

import numpy as np
import pytest
from eqedge.edge import fallback
from eqedge.edge.fallback import choose_model
from eqedge.edge.settings.node import Settings
from eqedge.models import registry
from eqedge.models.registry import DEFAULT_MODEL, open_model, shipped, weights_folder

from tests.support.broker import PATIENCE_SECONDS, wait_until
from tests.support.node import health, live_config, log_of
from tests.support.sensor import Sensor

pytestmark = pytest.mark.slow  # nodes that run for seconds

OTHER = "leqnet_gru_int8"


def one_bit(data, card):
    """Flip one bit at random."""
    damaged, at = bytearray(data), random.Random(11).randrange(len(data))
    damaged[at] ^= 1 << at % 8
    return bytes(damaged), card


def one_bit_with_its_hash(data, card):
    """Damage it where no runtime can read it, with a card that has the hash of that."""
    damaged = data[:8] + bytes(len(data) - 8)
    return damaged, {**card, "sha256": hashlib.sha256(damaged).hexdigest()}


def truncated(data, card):
    """Keep the first part, as a copy that broke off."""
    return data[: len(data) // 3], card


def empty(data, card):
    """Keep nothing, as a file system does after a power cut."""
    return b"", card


def card_of_another(data, card):
    """Put the card of another model beside it."""
    return data, dict(open_model("leqnet_gru_float32").card)


def other_quantisation(data, card):
    """Put a card beside it that has its hash, and other types of input and output."""
    return data, {**card, "io": "float32"}


def other_shape(data, card):
    """Put a card beside it that has its hash, and another length of window."""
    return data, {**card, "spec": {**card["spec"], "window_samples": 3000}}


def no_card(data, card):
    """Leave the card behind."""
    return data, None


def newer_card(data, card):
    """Put the card of a later version beside it."""
    return data, {**card, "schema": 2}


def no_model(data, card):
    """Leave the model behind; only a config can name it then."""
    return None, card


DAMAGES = [
    (one_bit, "is not the card's"),
    (one_bit_with_its_hash, "cannot load it"),
    (truncated, "bytes, on the card"),
    (empty, "not a TensorFlow Lite file"),
    (card_of_another, "is not the card's"),
    (other_quantisation, "its input and outputs are int8, its card has float32"),
    (other_shape, "use the card that belongs to it"),
    (no_card, "must lie beside the .tflite"),
    (newer_card, "made by a newer eqedge"),
    (no_model, "No such file"),
]


@pytest.fixture
def damaged(tmp_path):
    """Write a copy of a shipped model with this damage; return its path."""

    def write(damage):
        path = tmp_path / "own.tflite"
        good = weights_folder() / f"{OTHER}.tflite"
        data, card = damage(good.read_bytes(), dict(open_model(OTHER).card))
        if data is not None:
            path.write_bytes(data)
        if card is not None:
            path.with_suffix(".json").write_text(json.dumps(card))
        return path

    return write


@pytest.mark.parametrize(("damage", "reason"), DAMAGES, ids=[d.__name__ for d, _ in DAMAGES])
def test_a_node_picks_with_a_packaged_model(node, tmp_path, damaged, damage, reason):
    """Windows are scored; the log names both models and the reason, the health record both."""
    path = damaged(damage)
    with Sensor() as sensor:
        node(f'model = "{path}"\n' + live_config(tmp_path, sensor))
        wait_until(lambda: health(tmp_path).get("windows_total", 0) > 0, "a window is scored")
    record = health(tmp_path)
    assert (record["model"], record["model_refused"]) == (DEFAULT_MODEL, str(path))
    assert record["state"] == "degraded"
    names = f"{DEFAULT_MODEL} picks in place of {path}: "
    assert any(one.startswith(names) and reason in one for one in record["reasons"])
    (line,) = [one for one in log_of(tmp_path).splitlines() if "packaged model" in one]
    assert line.startswith("eqedge: error: ") and reason in line
    assert str(path) in line and DEFAULT_MODEL in line


def test_the_broker_has_it_in_info(node, tmp_path, damaged, broker):
    """The retained `info` names the model that picks, the one that cannot, and why."""
    path = damaged(truncated)
    with Sensor() as sensor, broker.listen("eqedge/#") as listener:
        config = f'model = "{path}"\n' + live_config(tmp_path, sensor)
        node(config, "--mqtt", broker.url)
        listener.wait_for(lambda received: received.json("info"))
    (info, *_) = listener.json("info")
    assert info["model"]["name"] == DEFAULT_MODEL
    assert info["model"]["sha256"] == open_model(DEFAULT_MODEL).sha256
    assert info["model_fallback"]["wanted"] == str(path)
    assert "is not the card's" in info["model_fallback"]["reason"]


def test_a_setting_forbids_it(node, tmp_path, damaged):
    """Then the node ends with exit code 2 and one line, as the tools of the workstation do."""
    path = damaged(one_bit)
    with Sensor() as sensor:
        process = node(
            f'model = "{path}"\nmodel_fallback = false\n' + live_config(tmp_path, sensor)
        )
        assert process.wait(PATIENCE_SECONDS) == 2
    assert "is not the card's" in log_of(tmp_path) and "packaged" not in log_of(tmp_path)


def test_a_name_typed_at_the_command_line_is_corrected_there(node, tmp_path):
    """`--model` with a file that is not there, or a model that nobody ships, is exit code 2."""
    with Sensor() as sensor:
        for name in (tmp_path / "nope.tflite", "leqnet"):
            process = node(live_config(tmp_path, sensor), "--model", name)
            assert process.wait(PATIENCE_SECONDS) == 2
            assert f"model {name}: No such file" in log_of(tmp_path)


def test_a_damaged_file_at_the_command_line_is_replaced_too(node, tmp_path, damaged):
    """A unit may name its model there; that the file exists shows that the name is meant."""
    path = damaged(truncated)
    with Sensor() as sensor:
        node(live_config(tmp_path, sensor), "--model", path)
        wait_until(lambda: health(tmp_path).get("model_refused"), "the node runs all the same")
    assert health(tmp_path)["model"] == DEFAULT_MODEL


def test_settings_of_the_refused_model_do_not_end_the_node(node, tmp_path, damaged):
    """A preset that only its card has, and a buffer too short for the packaged model's window."""
    path = damaged(lambda data, card: (data[:-1], card))
    config = f'model = "{path}"\n' + live_config(tmp_path, sensor := Sensor())
    with sensor:
        node(config + '[trigger]\npreset = "hill"\n[window]\nbuffer_seconds = 40.0\n')
        wait_until(lambda: health(tmp_path).get("windows_total", 0) > 0, "a window is scored")
    assert "has no preset hill; default is used" in log_of(tmp_path)


def test_a_good_model_is_used_and_nothing_logged(node, tmp_path, damaged):
    """Neither log nor health has a word of it."""
    path = damaged(lambda data, card: (data, card))
    with Sensor() as sensor:
        node(f'model = "{path}"\n' + live_config(tmp_path, sensor))
        wait_until(lambda: health(tmp_path).get("windows_total", 0) > 0, "a window is scored")
    assert (health(tmp_path)["model"], health(tmp_path)["model_refused"]) == ("own", None)
    assert "packaged" not in log_of(tmp_path)


def end_it():
    """End the process as a fault inside the runtime does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def fail():
    """Raise what the runtime raises."""
    raise RuntimeError("node 7 failed to invoke")


@pytest.mark.parametrize(
    ("load", "run", "reason"),
    [
        (end_it, None, "ends the runtime (SIGSEGV)"),
        (None, end_it, "ends the runtime (SIGSEGV)"),
        (None, fail, "no probabilities"),
        (None, lambda: np.nan, "no probabilities"),
        (None, lambda: 1e6, "no probabilities"),
    ],
)
def test_a_model_that_would_end_the_node_is_refused(monkeypatch, damaged, load, run, reason):
    """It is loaded and run in a child process first; a fault there costs that process only."""
    path = damaged(lambda data, card: (data, card))
    assert choose_model(Settings(model=str(path)), attended=False).model.name == "own"

    class Faulty(fallback.Detector):
        def __init__(self, model):
            if load and model.name == "own":
                load()
            super().__init__(model)

        def __call__(self, prepared):
            values = super().__call__(prepared)
            return values * run() if run and self.model.name == "own" else values

    monkeypatch.setattr(fallback, "Detector", Faulty)
    choice = choose_model(Settings(model=str(path)), attended=False)
    assert choice.model.name == DEFAULT_MODEL
    assert reason in choice.use.reason


def test_a_damaged_default_leads_to_another_packaged_one(monkeypatch, tmp_path, caplog):
    """Where even the packaged default is damaged, the next one that can be run picks."""
    names = shipped()
    for name in names:
        for suffix in (".tflite", ".json"):
            data = (weights_folder() / f"{name}{suffix}").read_bytes()
            cut = len(data) // 2 if name == DEFAULT_MODEL and suffix == ".tflite" else len(data)
            (tmp_path / f"{name}{suffix}").write_bytes(data[:cut])
    monkeypatch.setattr(registry, "weights_folder", lambda: tmp_path)
    choice = choose_model(Settings(), attended=False)
    assert choice.model.name in set(names) - {DEFAULT_MODEL}
    assert choice.use.refused == DEFAULT_MODEL
    (tmp_path / f"{OTHER}.tflite").write_bytes(b"")
    for name in names:
        (tmp_path / f"{name}.tflite").write_bytes(b"")
    with pytest.raises(registry.ModelError, match=DEFAULT_MODEL):
        choose_model(Settings(), attended=False)
