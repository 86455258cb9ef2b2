"""The encoder fitted to its own rounding."""

import numpy as np
import pytest
import tensorflow as tf
from eqedge.convert.graph.encoder import Convolution, Encoder, EncoderStage, ResidualUnit
from eqedge.convert.quantization.tuning import encoder_points, tune_encoder


@pytest.fixture(scope="module")
def encoder():
    """Return an encoder of two stages and a residual unit, whose signals neither fade nor grow."""
    rng = np.random.default_rng(8)

    def convolution(taps, inputs, outputs):
        kernel = rng.normal(0, np.sqrt(2 / (taps * inputs)), (taps, inputs, outputs))
        bias = rng.normal(0, 0.1, outputs)
        return Convolution(kernel.astype(np.float32), bias.astype(np.float32))

    unit = ResidualUnit(
        rng.uniform(0.5, 1.5, 16).astype(np.float32),
        rng.normal(0, 0.2, 16).astype(np.float32),
        (convolution(1, 16, 8), convolution(3, 8, 16)),
    )
    stages = (EncoderStage(convolution(11, 3, 8), 3), EncoderStage(convolution(9, 8, 16), 3))
    return Encoder(stages, (unit,))


@pytest.fixture(scope="module")
def ranges(encoder):
    """Return ranges that are too wide."""
    return dict.fromkeys(encoder_points(encoder), (-60.0, 60.0))


def tuned(encoder, ranges, windows, steps=30):
    """Tune with a projection that reads every feature."""
    tf.keras.utils.set_random_seed(0)
    return tune_encoder(encoder, np.eye(16, dtype=np.float32), ranges, windows, steps=steps)


def test_points_are_the_graph_s(encoder):
    """Every rounding has a name: the input, the stages, and what a unit computes."""
    assert encoder_points(encoder) == [
        "window",
        "encoder_0",
        "encoder_1",
        "residual_0/Relu",
        "residual_0/Relu_1",
        "residual_0/BiasAdd_2",
        "residual_0/add",
    ]


def test_tuning_lessens_the_error(encoder, ranges, windows):
    """After a few steps the rounded encoder answers more like the float one."""
    found = tuned(encoder, ranges, windows)
    assert found.error_after < 0.9 * found.error_before
    assert all(low <= 0 <= high for low, high in found.ranges.values())


def test_tuning_can_be_repeated(encoder, ranges, windows):
    """The same start and seed end at the same weights."""
    first, second = (tuned(encoder, ranges, windows, steps=3) for _ in range(2))
    np.testing.assert_array_equal(
        first.encoder.stages[0].convolution.kernel, second.encoder.stages[0].convolution.kernel
    )
    assert first.ranges == second.ranges


def test_no_steps_change_nothing(encoder, ranges, windows):
    """What is not better is not taken."""
    found = tuned(encoder, ranges, windows, steps=0)
    assert found.encoder is encoder and found.ranges == ranges
