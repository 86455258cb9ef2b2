"""Published and converted `.tflite` files as teachers: which output is which, and what is fed."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from eqedge.convert.training.teachers import TeacherError, label_track, open_teacher
from eqedge.edge.detector import Detector
from eqedge.edge.prepare import prepare
from eqedge.edge.replay.stead import SteadFile
from eqedge.edge.replay.synthetic import earthquake
from eqedge.models.shelf import ModelError, open_model, weights_folder


@pytest.fixture
def quake(rng):
    """(6000, 3) counts with a P and an S."""
    record = earthquake(rng, distance_km=30, magnitude=2.5, snr_db=40, p_arrival_sample=900)
    return record.waveform[:6000]


@pytest.mark.parametrize("name", ["leqnet_gru_float32", "leqnet_gru_int8"])
@pytest.mark.parametrize("carded", [True, False])
def test_a_converted_model_teaches_what_a_node_hears(quake, tmp_path, name, carded):
    """Heads by their names, int8 by its scale: the same as the detector's, card or not."""
    for suffix in (".tflite", ".json")[: 2 if carded else 1]:
        shutil.copy(weights_folder() / f"{name}{suffix}", tmp_path)
    teacher, model = open_teacher(tmp_path / f"{name}.tflite"), open_model(name)
    assert teacher.views == (model.spec.preparation,)
    window = prepare(quake, model.spec)
    heard = Detector(model)(window)
    assert heard.max(0).min() > 0.3
    assert np.abs(teacher.predict(window[None])[0] - heard).max() < 1e-5


def test_a_converted_model_gets_the_components_its_card_orders(quake, tmp_path):
    """A card that says ZNE: the network gets ZNE, whatever order windows come in."""
    shutil.copy(weights_folder() / "leqnet_gru_float32.tflite", tmp_path)
    model = open_model("leqnet_gru_float32")
    card = json.loads((weights_folder() / "leqnet_gru_float32.json").read_text())
    path = tmp_path / "leqnet_gru_float32.json"
    path.write_text(json.dumps(card | {"spec": card["spec"] | {"component_order": "ZNE"}}))
    window = prepare(quake, model.spec)
    turned = replace(model, spec=replace(model.spec, component_order="ZNE"))
    taught = open_teacher(path.with_suffix(".tflite")).predict(window[None])[0]
    assert np.abs(taught - Detector(turned)(window[:, ::-1])).max() < 1e-5
    assert np.abs(taught - Detector(model)(window)).max() > 0.01


def test_a_converted_model_with_another_card_is_refused(tmp_path):
    """The card beside it speaks of other bytes, or of other windows."""
    shutil.copy(weights_folder() / "leqnet_gru_float32.tflite", tmp_path)
    path, card = tmp_path / "leqnet_gru_float32.tflite", tmp_path / "leqnet_gru_float32.json"
    shutil.copy(weights_folder() / "leqnet_gru_int8.json", card)
    with pytest.raises(ModelError, match="sha256"):
        open_teacher(path)
    right = json.loads((weights_folder() / card.name).read_text())
    card.write_text(json.dumps(right | {"spec": right["spec"] | {"sampling_rate_hz": 50.0}}))
    with pytest.raises(TeacherError, match="6000 samples at 50 Hz; expected 6000 at 100 Hz"):
        open_teacher(path)


@pytest.mark.shared
def test_red_pan_hears_phases_in_their_order(shared):
    """Its outputs are known by their widths: P before S, detection over both, in both views."""
    teacher = open_teacher(shared / "teachers" / "redpan_60s.tflite")
    assert len(teacher.views) == 2
    with SteadFile(shared / "data" / "stead_109C_dev.hdf5") as records:
        trace = records.read(next(iter(records)))
    track = label_track(teacher, trace.waveform, 500)
    p, s = (int(track[:, head].argmax()) for head in (1, 2))
    assert abs(p - trace.p_arrival_sample) < 50 and abs(s - trace.s_arrival_sample) < 50
    assert track[p:s, 0].mean() > 0.5
