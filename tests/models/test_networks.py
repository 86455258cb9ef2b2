"""The four Keras networks: counts, shapes, inference without dropout, saving."""

import keras
import numpy as np
import pytest
from eqedge.convert.graph.macs import count_macs
from eqedge.convert.graph.networks import Variant, build_network
from eqedge.models.architectures import ARCHITECTURES, UnknownArchitecture, architecture
from eqedge.models.layers import CUSTOM_OBJECTS


@pytest.fixture(scope="module")
def networks():
    """Build each network once."""
    keras.utils.set_random_seed(3)
    return {name: build_network(name) for name in ARCHITECTURES}


@pytest.fixture(scope="module")
def window():
    """Return one window of noise."""
    return np.random.default_rng(3).standard_normal((1, 6000, 3)).astype(np.float32)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_and_macs_are_those_stated(networks, name):
    """The figures of `eqedge models` are those that Keras counts."""
    entry = ARCHITECTURES[name]
    assert networks[name].count_params() == entry.parameters
    assert count_macs(networks[name]) == entry.macs


def test_the_report_s_counts():
    """The four parameter counts are the report's, and its GRU saves 1,056 of them."""
    counts = [entry.parameters for entry in ARCHITECTURES.values()]
    assert counts == [331_255, 330_199, 39_776, 38_720]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_three_heads_of_probabilities(networks, window, name):
    """Each head gives one probability a sample."""
    outputs = networks[name](window, training=False)
    assert [tuple(y.shape) for y in outputs] == [(1, 6000, 1)] * 3
    assert all(float(np.min(y)) >= 0 and float(np.max(y)) <= 1 for y in outputs)


@pytest.mark.parametrize("name", ["leqnet", "leqnet-gru"])
def test_dropout_is_inactive_at_inference(networks, window, name):
    """The same window gives the same answer twice, unlike while training."""
    network = networks[name]
    first, second = (np.asarray(network(window, training=False)[1]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    dropped, again = (np.asarray(network(window, training=True)[1]) for _ in range(2))
    assert np.abs(dropped - again).max() > 0


def test_gru_has_one_bias(networks):
    """The report's GRU is the `reset_after=False` kind."""
    assert [w.shape for w in networks["leqnet-gru"].get_layer("rnn_P").get_weights()] == [
        (16, 48),
        (16, 48),
        (48,),
    ]


def test_a_saved_network_answers_the_same(networks, window, tmp_path):
    """A .keras file brings the custom layers back with their settings."""
    network = networks["leqnet-gru"]
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras", custom_objects=CUSTOM_OBJECTS)
    for expected, found in zip(network(window), again(window), strict=True):
        np.testing.assert_array_equal(np.asarray(expected), np.asarray(found))


def test_depth_is_the_published_one(networks):
    """EQTransformer at the published variant of 5 and 3 has the published 378,311 parameters."""
    network = build_network("eqtransformer", Variant(5, 3))
    assert network.count_params() == 378_311


def test_an_unknown_architecture_is_named():
    """The message lists the architectures there are."""
    with pytest.raises(UnknownArchitecture, match=r"phasenet.*leqnet-gru"):
        architecture("phasenet")
