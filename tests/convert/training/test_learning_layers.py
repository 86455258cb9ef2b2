"""What a network in training computes beside its answer."""

import numpy as np
import pytest
import tensorflow as tf
from eqedge.convert.training.learning_layers import Excess, Rounding, wrapped
from eqedge.convert.training.student import build
from keras import ops


@pytest.fixture(scope="module")
def network():
    """An untrained LEQNet-GRU."""
    return build("leqnet-gru", 0.0)


@pytest.fixture(scope="module")
def windows():
    """Two windows of noise."""
    return np.random.default_rng(0).standard_normal((2, 6000, 3)).astype(np.float32)


def test_learning_rounds_on_the_way(network, windows):
    """It has no weight of its own; in training it answers near to the network, and not the same."""
    model = wrapped(network, 6.0, rounded=True)
    assert model.count_params() == network.count_params() == 38720
    heads = np.concatenate([np.asarray(head) for head in network(windows, training=False)], axis=-1)
    answer, excess = model(windows, training=False)
    assert np.allclose(np.asarray(answer), heads, atol=1e-6)
    assert np.asarray(excess).shape == (2, 1)
    learning, _ = model(windows, training=True)
    assert 1e-5 < np.abs(np.asarray(learning) - heads).max() < 0.2


def test_excess_is_what_lies_beyond():
    """Nothing below the limit; beyond it the mean square, each window for itself."""
    x = np.zeros((2, 10, 1), np.float32)
    x[1, :5] = -3.0
    assert np.ravel(Excess(1.0)([x, x])).tolist() == [0.0, 4.0]


def test_rounding_has_256_steps_and_holds_zero():
    """Inside the range the error is half a step at most; zero stays zero; beyond is clipped."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 500, 8)).astype(np.float32)
    x[:, ::7] = 0.0
    x[3] *= 0.1
    answer = np.asarray(Rounding()(x, training=True))
    low = x.min(axis=(1, 2)).mean()
    high = x.max(axis=(1, 2)).mean()
    step = (high - low) / 255
    inside = (x > low + step) & (x < high - step)
    assert np.abs(answer - x)[inside].max() <= 0.51 * step
    assert (answer[:, ::7] == 0).all()
    assert answer.max() <= high + step and answer.min() >= low - step
    assert len(np.unique(answer)) <= 256


def test_gradients_pass_where_nothing_is_clipped():
    """Backwards the rounding is not there; what was clipped is not pulled."""
    usual = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 32, 2)
    x = tf.constant(np.concatenate([usual, usual, usual, 100 * usual]))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = ops.sum(Rounding()(x, training=True))
    gradient = np.asarray(tape.gradient(total, x))
    assert np.allclose(gradient[:3], 1.0, atol=1e-4)
    assert np.allclose(gradient[3, [0, -1]], 0.0, atol=1e-4)
