"""Weights of every layout into the networks, and files that do not fit."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from eqedge.convert.graph.networks import Variant
from eqedge.convert.graph.stored import WeightsError
from eqedge.convert.graph.weights import load_network
from eqedge.edge.prepare import prepare
from eqedge.edge.replay.stead import SteadFile
from eqedge.models.architectures import ARCHITECTURES
from eqedge.models.spec import BandPass, ModelSpec, Preparation

PUBLISHED = {
    "eqtransformer_conservative.h5": ("eqtransformer", Variant(5, 3, hard_gates=True)),
    "leqnet_lstm_reference.h5": ("leqnet", Variant(4, 2)),
}


def assert_same_weights(expected, found):
    """Compare two networks weight by weight."""
    assert [layer.name for layer in expected.layers if layer.weights] == [
        layer.name for layer in found.layers if layer.weights
    ]
    for a, b in zip(expected.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
@pytest.mark.parametrize("name", ["eqtransformer", "leqnet-gru"])
def test_our_own_files_come_back(built, tmp_path, name, suffix):
    """Weights, whole model and the older HDF5 layout give network, variant and weights back."""
    original = built(name)
    path = tmp_path / f"model{suffix}"
    save = original.network.save_weights if suffix == ".weights.h5" else original.network.save
    save(path)
    loaded = load_network(path)
    assert (loaded.architecture, loaded.variant, loaded.own_layout) == (
        name,
        original.variant,
        True,
    )
    assert_same_weights(original.network, loaded.network)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_recognised(built, tmp_path, name):
    """The architecture follows from the file alone, at a depth that is not the default."""
    path = tmp_path / "some.weights.h5"
    built(name).network.save_weights(path)
    loaded = load_network(path)
    assert (loaded.architecture, loaded.variant) == (name, Variant(1, 1))


def write_published(path, network, prefix="", *, root="model_weights"):
    """Write a network as Keras 2 would: running numbers for names, in order of creation."""
    kinds = {
        "SeparableConv1D": "separable_conv1d",
        "Conv1D": "conv1d",
        "LSTM": "lstm",
        "BatchNormalization": "batch_normalization",
        "Bidirectional": "bidirectional",
        "LayerNormalization": "layer_normalization",
        "FeedForward": "feed_forward",
    }
    stages = "encoder residual bilstm transformer_0 transformer_1 decoder_detector rnn_P"
    stages = [*stages.split(), "decoder_picker_P", "rnn_S", "decoder_picker_S"]
    numbers: dict[str, int] = {}
    names = []
    with h5py.File(path, "w") as file:
        group = file.create_group(root) if root else file
        weighted = [layer for layer in network.layers if layer.weights]
        fixed = [x for x in weighted if x.name.startswith(("attention", "detector", "picker"))]
        numbered = [
            x for stage in stages for x in weighted if x.name.startswith(stage) and x not in fixed
        ]
        for layer in [*fixed, *numbered]:
            name = layer.name
            if layer in numbered:
                kind = kinds[type(layer).__name__]
                numbers[kind] = numbers.get(kind, 0) + 1
                name = f"{prefix}{kind}_{numbers[kind]}"
            names.append(name)
            held = group.create_group(name)
            for index, weight in enumerate(layer.get_weights()):
                held.create_dataset(f"{name}/w{index}:0", data=weight)
            count = len(layer.get_weights())
            held.attrs["weight_names"] = [f"{name}/w{i}:0".encode() for i in range(count)]
        # the order in the file is not the order of creation: numbers distinguish the kinds
        group.attrs["layer_names"] = [name.encode() for name in sorted(names)]
    return path


@pytest.mark.parametrize("root", ["model_weights", ""])
@pytest.mark.parametrize("name", ["eqtransformer", "leqnet"])
def test_the_published_layout_comes_back(built, tmp_path, name, root):
    """A Keras 2 file, whole model or weights only, is matched by kind, order and shape."""
    original = built(name, Variant(4, 2))
    loaded = load_network(write_published(tmp_path / "p.h5", original.network, root=root))
    assert (loaded.architecture, loaded.variant) == (name, Variant(4, 2))
    assert not loaded.own_layout
    assert_same_weights(original.network, loaded.network)


def test_another_architecture_is_named(built, tmp_path):
    """The error names what the file holds and the remedy."""
    path = write_published(tmp_path / "e.h5", built("eqtransformer").network)
    with pytest.raises(WeightsError, match=r"holds EQTransformer.*--arch eqtransformer$"):
        load_network(path, "leqnet")


def test_the_first_layer_that_differs_is_named(built, tmp_path):
    """A wider convolution is named with the file's shape and the network's."""
    path = write_published(tmp_path / "w.h5", built("eqtransformer").network)
    with h5py.File(path, "a") as file:
        group = file["model_weights/conv1d_2/conv1d_2"]
        del group["w0:0"]
        group.create_dataset("w0:0", data=np.zeros((9, 8, 24), np.float32))
    with pytest.raises(
        WeightsError, match=r"layer encoder_1 does not match.*conv1d_2 \(9,8,24\).*\(9,8,16\)"
    ):
        load_network(path)


def test_a_gru_of_the_other_kind_is_named(built, tmp_path):
    """Keras's default GRU has two biases and another formula; it is refused by its shape."""
    path = tmp_path / "g.weights.h5"
    built("leqnet-gru").network.save_weights(path)
    with h5py.File(path, "a") as file:
        del file["layers/gru/cell/vars/2"]
        file["layers/gru/cell/vars"].create_dataset("2", data=np.zeros((2, 48), np.float32))
    with pytest.raises(WeightsError, match=r"layer rnn_P .*\(2,48\).*\(48\)"):
        load_network(path)


def test_a_layer_of_an_unknown_kind_is_named(built, tmp_path):
    """A custom layer that neither network has is named with its shapes."""
    path = write_published(tmp_path / "c.h5", built("leqnet").network)
    with h5py.File(path, "a") as file:
        group = file["model_weights"]
        held = group.create_group("wavelet_7")
        held.create_dataset("k:0", data=np.zeros((5, 2), np.float32))
        held.attrs["weight_names"] = [b"k:0"]
        names = [*(str(n).encode() for n in group.attrs["layer_names"].astype(str)), b"wavelet_7"]
        group.attrs["layer_names"] = names
    with pytest.raises(WeightsError, match=r"layer wavelet_7 \(5,2\)"):
        load_network(path)


def test_nan_weights_are_refused(built, tmp_path):
    """A diverged training is named by its layer."""
    network = built("leqnet").network
    path = write_published(tmp_path / "n.h5", network)
    with h5py.File(path, "a") as file:
        file["model_weights/conv1d_1/conv1d_1/w0:0"][0, 0, 0] = np.nan
    with pytest.raises(WeightsError, match="layer conv1d_1 holds NaN"):
        load_network(path)


def damaged(path: Path, built, kind: str) -> Path:
    """Write a file that is not weights, each in its own way."""
    if kind == "text":
        path.write_text("weights")
    elif kind == "truncated":
        whole = path.with_name("whole.weights.h5")
        built("leqnet-gru").network.save_weights(whole)
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    elif kind == "truncated zip":
        whole = path.with_name("whole.keras")
        built("leqnet-gru").network.save(whole)
        path.write_bytes(whole.read_bytes()[:5000])
    elif kind == "records":
        with h5py.File(path, "w") as file:
            file.create_group("data")
    elif kind == "no layers":
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = np.array([], dtype="S1")
    return path


@pytest.mark.parametrize(
    "kind", ["missing", "text", "truncated", "truncated zip", "records", "no layers"]
)
def test_a_file_without_weights_is_one_line(built, tmp_path, kind):
    """Whatever is wrong with the file, the message is one line with its path."""
    path = damaged(tmp_path / "bad.h5", built, kind)
    with pytest.raises(WeightsError) as caught:
        load_network(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.shared
@pytest.mark.parametrize("file", PUBLISHED)
def test_published_weights_answer_as_they_did(shared, tmp_path, file):
    """On real windows our network answers as the original loader's does, within 1e-4."""
    pytest.importorskip("tf_keras")
    spec = ModelSpec("x", "x", preparation=Preparation("linear", BandPass(1.0, 45.0), "std"))
    with SteadFile(shared / "data" / "stead_109C_dev.hdf5") as records:
        waveforms = [records.read(name).waveform for name in list(records)[:4]]
    windows = np.stack([prepare(waveform, spec) for waveform in waveforms])
    np.save(tmp_path / "windows.npy", windows)
    subprocess.run(
        [sys.executable, Path(__file__).with_name("original_loader.py"), shared / "teachers",
         shared / "teachers" / file, tmp_path / "windows.npy", tmp_path / "answers.npy"],
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1"},
        check=True,
        capture_output=True,
    )  # fmt: skip
    loaded = load_network(shared / "teachers" / file)
    assert (loaded.architecture, loaded.variant) == PUBLISHED[file]
    found = np.concatenate([np.asarray(y) for y in loaded.network(windows, training=False)], axis=2)
    expected = np.load(tmp_path / "answers.npy")
    assert expected.max() > 0.5, "the windows hold events, or the comparison is empty"
    np.testing.assert_allclose(found, expected, atol=1e-4)
