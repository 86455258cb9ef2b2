"""Any network that picks: which output is which, how windows are prepared, one answer for all."""

import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from eqedge.convert.comparison.pickers import open_pickers
from eqedge.convert.data.label_track import label_track
from eqedge.convert.data.picker import KERAS_BATCH, PickerError, by_keras, open_picker
from eqedge.convert.graph.networks import Variant, build_network
from eqedge.convert.graph.stored import WeightsError
from eqedge.edge.detector import Detector
from eqedge.edge.prepare import prepare
from eqedge.edge.replay.stead import SteadFile
from eqedge.edge.replay.synthetic import earthquake
from eqedge.models.registry import ModelError, open_model, weights_folder


@pytest.fixture
def quake(rng):
    """(6000, 3) counts with a P and an S."""
    record = earthquake(rng, distance_km=30, magnitude=2.5, snr_db=40, p_arrival_sample=900)
    return record.waveform[:6000]


@pytest.mark.parametrize("name", ["leqnet_gru_float32", "leqnet_gru_int8"])
@pytest.mark.parametrize("is_carded", [True, False])
def test_a_converted_model_answers_as_on_a_node(quake, tmp_path, name, is_carded):
    """Heads by their names, int8 by its scale: the same as the detector's, card or not."""
    for suffix in (".tflite", ".json")[: 2 if is_carded else 1]:
        shutil.copy(weights_folder() / f"{name}{suffix}", tmp_path)
    picker, model = open_picker(tmp_path / f"{name}.tflite"), open_model(name)
    assert [view.preparation for view in picker.views] == [model.spec.preparation]
    assert bool(picker.presets) == is_carded
    expected = Detector(model)(prepare(quake, model.spec))
    assert expected.max(0).min() > 0.3
    assert np.array_equal(picker.answer([quake])[0], expected)


def test_a_converted_model_gets_the_components_its_card_orders(quake, tmp_path):
    """A card with ZNE: the network gets ZNE."""
    shutil.copy(weights_folder() / "leqnet_gru_float32.tflite", tmp_path)
    model = open_model("leqnet_gru_float32")
    card = json.loads((weights_folder() / "leqnet_gru_float32.json").read_text())
    path = tmp_path / "leqnet_gru_float32.json"
    path.write_text(json.dumps(card | {"spec": card["spec"] | {"component_order": "ZNE"}}))
    spec = replace(model.spec, component_order="ZNE")
    answer = open_picker(path.with_suffix(".tflite")).answer([quake])[0]
    assert np.array_equal(answer, Detector(replace(model, spec=spec))(prepare(quake, spec)))
    assert np.abs(answer - Detector(model)(prepare(quake, model.spec))).max() > 0.01


def test_a_converted_model_with_another_card_is_refused(tmp_path):
    """The card beside it is of other bytes, or of other windows."""
    shutil.copy(weights_folder() / "leqnet_gru_float32.tflite", tmp_path)
    path, card = tmp_path / "leqnet_gru_float32.tflite", tmp_path / "leqnet_gru_float32.json"
    shutil.copy(weights_folder() / "leqnet_gru_int8.json", card)
    with pytest.raises(ModelError, match="sha256"):
        open_picker(path)
    right = json.loads((weights_folder() / card.name).read_text())
    card.write_text(json.dumps(right | {"spec": right["spec"] | {"sampling_rate_hz": 50.0}}))
    with pytest.raises(PickerError, match="6000 samples at 50 Hz; expected 6000 at 100 Hz"):
        open_picker(path)


@pytest.mark.parametrize("name", ["absent.tflite", "text.tflite", "text.pt"])
def test_an_unreadable_file_is_named(tmp_path, name):
    """Absent, damaged and unknown files are one clear line each, for every command alike."""
    if name.startswith("text"):
        (tmp_path / name).write_text("no network")
    for opened in (open_picker, lambda path: open_pickers([str(path)], ())):
        with pytest.raises(PickerError, match=f"weights .*{name}"):
            opened(tmp_path / name)


def test_an_answer_is_the_mean_over_the_views(quake):
    """A network that is good on two preparations has one answer, whichever command uses it."""
    picker = open_picker("leqnet_gru_float32")
    linear = replace(picker.spec, preparation=replace(picker.spec.preparation, norm="peak"))
    both = replace(picker, views=(picker.spec, linear))
    one, other = picker.answer([quake]), replace(picker, views=(linear,)).answer([quake])
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_allclose(both.answer([quake]), (one + other) / 2, atol=1e-6)


def test_gates_of_another_slope_are_refused(tmp_path):
    """Keras 3's `hard_sigmoid` is not Keras 2's: such a file is not run with either's."""
    network = build_network("leqnet", Variant(cnn_blocks=1, lstm_blocks=1))
    for layer in network.layers:
        for part in (layer, getattr(layer, "forward_layer", None)):
            if hasattr(part, "cell"):
                part.cell.recurrent_activation = keras.activations.hard_sigmoid
    path = tmp_path / "keras3.h5"
    network.save(path)
    with pytest.raises(WeightsError, match=r"keras3.h5: gates are the hard_sigmoid of Keras 3"):
        open_picker(path)


@pytest.mark.shared
def test_red_pan_picks_phases_in_their_order(shared):
    """Its outputs are known by their widths: P before S, detection over both, in both views."""
    picker = open_picker(shared / "teachers" / "redpan_60s.tflite")
    assert len(picker.views) == 2
    with SteadFile(shared / "data" / "stead_109C_dev.hdf5") as records:
        trace = records.read(next(iter(records)))
    track = label_track(picker, trace.waveform, 500)
    p, s = (int(track[:, head].argmax()) for head in (1, 2))
    assert abs(p - trace.p_arrival_sample) < 50 and abs(s - trace.s_arrival_sample) < 50
    assert track[p:s, 0].mean() > 0.5


def test_keras_is_given_few_windows_at_a_time_and_answers_them_all(rng):
    """Memory does not grow with the number of windows; their order stays, heads are joined."""
    given = []

    class Network:
        def predict_on_batch(self, windows):
            given.append(len(windows))
            return [windows[:, :, head : head + 1] * (head + 1) for head in range(3)]

    windows = rng.normal(size=(KERAS_BATCH + 3, 10, 3)).astype(np.float32)
    answers = by_keras(Network())(windows)
    assert given == [KERAS_BATCH, 3]
    assert np.array_equal(answers, windows * np.float32([1, 2, 3]))
