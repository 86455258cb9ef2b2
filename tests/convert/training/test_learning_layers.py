"""What a network in training computes beside its answer."""

import numpy as np
import pytest
from eqedge.convert.training.learning_layers import Excess, wrapped
from eqedge.convert.training.student import build


@pytest.fixture(scope="module")
def network():
    """An untrained LEQNet-GRU."""
    return build("leqnet-gru", 0.0)


@pytest.fixture(scope="module")
def windows():
    """Two windows of noise."""
    return np.random.default_rng(0).standard_normal((2, 6000, 3)).astype(np.float32)


def test_the_wrapped_network_answers_the_same(network, windows):
    """It has no weight of its own; its heads are the network's, side by side."""
    model = wrapped(network, 6.0)
    assert model.count_params() == network.count_params() == 38720
    heads = np.concatenate([np.asarray(head) for head in network(windows, training=False)], axis=-1)
    answer, excess = model(windows, training=False)
    assert np.allclose(np.asarray(answer), heads, atol=1e-6)
    assert np.asarray(excess).shape == (2, 1)


def test_excess_is_what_lies_beyond():
    """Nothing below the limit; beyond it the mean square, each window for itself."""
    x = np.zeros((2, 10, 1), np.float32)
    x[1, :5] = -3.0
    assert np.ravel(Excess(1.0)([x, x])).tolist() == [0.0, 4.0]
