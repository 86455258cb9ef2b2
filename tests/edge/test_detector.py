"""The shipped network behind its runtime."""

from dataclasses import replace

import numpy as np
import pytest
from eqedge.edge.detector import Detector
from eqedge.edge.prepare import prepare
from eqedge.models.registry import ModelError, open_model


@pytest.fixture(scope="module")
def detector(model):
    """The shipped model's detector."""
    return Detector(model)


def window(stream):
    """Return the minute that holds the earthquake, and its P and S in it."""
    counts, p, s = stream
    return counts[6000:12000], p - 6000, s - 6000


def test_probabilities_are_probabilities(detector, model, stream):
    """One row a sample, one column a head, between zero and one."""
    values = detector(prepare(window(stream)[0], model.spec))
    assert values.shape == (model.spec.window_samples, 3)
    assert values.dtype == np.float32
    assert 0 <= values.min() <= values.max() <= 1


def test_the_heads_are_in_their_order(detector, model, stream):
    """Detection covers the event, P and S peak where the arrivals are."""
    counts, p, s = window(stream)
    values = detector(prepare(counts, model.spec))
    assert abs(int(values[:, 1].argmax()) - p) <= 50
    assert abs(int(values[:, 2].argmax()) - s) <= 50
    assert values[p:s, 0].mean() > 3 * values[: p - 300, 0].mean()


def test_a_call_leaves_nothing_behind(detector, model, stream, rng):
    """The same window gives the same values, whatever came between; results are not overwritten."""
    prepared = prepare(window(stream)[0], model.spec)
    first = detector(prepared)
    kept = first.copy()
    detector(prepare(rng.standard_normal((6000, 3)), model.spec))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(detector(prepared), kept)


@pytest.mark.parametrize("n", [1, 50, 3000])
def test_short_and_silent_windows(detector, model, n):
    """They give finite values."""
    assert np.isfinite(detector(prepare(np.zeros((n, 3)), model.spec))).all()


def test_what_is_beyond_the_input_is_clipped(rng):
    """A quantized input saturates; a cast alone would wrap around to the other sign."""
    quantized = open_model("leqnet_gru_int8")
    detector = Detector(quantized)
    signs = np.sign(rng.standard_normal((quantized.spec.window_samples, 3))).astype(np.float32)
    np.testing.assert_array_equal(detector(1e4 * signs), detector(1e6 * signs))


def test_a_card_for_another_window(model):
    """The model's own shape is held against its card."""
    other = replace(model, spec=replace(model.spec, window_samples=3000))
    with pytest.raises(ModelError, match=r"takes .*6000.*, its card has .*3000.*; use the card"):
        Detector(other)


def test_a_flatbuffer_that_does_not_load(model):
    """The runtime's own message is part of one line."""
    other = replace(model, data=model.data[:8] + bytes(1000))
    with pytest.raises(ModelError, match=r"cannot load it .*; convert again") as caught:
        Detector(other)
    assert "\n" not in str(caught.value)
