"""A window becomes what the network was trained on, whatever units and offsets it came in."""

import numpy as np
import pytest
from eqedge.edge.prepare import prepare
from eqedge.models.spec import BandPass, ModelSpec, Preparation
from hypothesis import given, settings
from hypothesis import strategies as st

BAND = BandPass(1.0, 45.0)


def spec(window_samples=600, order="ENZ", **steps):
    """Return a contract with these steps."""
    return ModelSpec(
        "t",
        "leqnet",
        window_samples=window_samples,
        component_order=order,
        preparation=Preparation(**steps),
    )


STEPS = [
    {},
    {"norm": "peak"},
    {"detrend": "linear"},
    {"filter": BAND},
    {"detrend": "linear", "filter": BAND, "norm": "peak"},
]


@pytest.mark.parametrize("steps", STEPS)
@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(1, 600),
    gain=st.sampled_from([1e-9, 1e-3, 1.0, 4096.0, 1e6]),
    seed=st.integers(0, 99),
)
def test_gain_does_not_matter(steps, n, gain, seed):
    """Counts, volts or metres a second: the input is the same, finite, and of the model's shape."""
    x = np.random.default_rng(seed).standard_normal((n, 3))
    prepared = prepare(x, spec(**steps))
    assert prepared.shape == (600, 3)
    assert prepared.dtype == np.float32
    assert np.isfinite(prepared).all()
    np.testing.assert_allclose(prepare(gain * x, spec(**steps)), prepared, atol=1e-4)


@pytest.mark.parametrize("steps", STEPS)
def test_an_offset_does_not_matter(steps, rng):
    """A digitiser's zero point is taken away."""
    x = rng.standard_normal((600, 3))
    offset = np.array([1e6, -1e6, 0.0])
    np.testing.assert_allclose(
        prepare(x + offset, spec(**steps)), prepare(x, spec(**steps)), atol=1e-4
    )


def test_norms(rng):
    """`std` gives unit deviation, `peak` a peak of one, each component by itself."""
    x = rng.standard_normal((600, 3)) * [1, 10, 100]
    np.testing.assert_allclose(prepare(x, spec()).std(axis=0), 1, rtol=1e-3)
    np.testing.assert_allclose(np.abs(prepare(x, spec(norm="peak"))).max(axis=0), 1, rtol=1e-6)


def test_a_short_window_stands_at_the_end(rng):
    """What was never recorded is the mirror image of what was, back and forth: no onset."""
    prepared = prepare(rng.standard_normal((100, 3)), spec())
    assert prepared.shape == (600, 3)
    alone = prepared[500:]
    np.testing.assert_allclose(alone.std(axis=0), 1, rtol=1e-3)
    np.testing.assert_array_equal(prepared[401:501], alone[::-1])
    np.testing.assert_array_equal(prepared[302:402], alone)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("level", [0.0, 1.0, 8_388_607.0, 1e-7])
def test_a_dead_component_is_zero(steps, level, rng):
    """A constant channel gives no rounding noise blown up to full scale."""
    x = rng.standard_normal((600, 3))
    x[:, 1] = level
    prepared = prepare(x, spec(**steps))
    assert (prepared[:, 1] == 0).all()
    assert (np.abs(prepared[:, 0]).max()) > 0


def test_components_come_in_the_models_order(rng):
    """The device's E, N, Z are put into the order on the card."""
    x = rng.standard_normal((600, 3))
    straight, turned = prepare(x, spec()), prepare(x, spec(order="ZNE"))
    np.testing.assert_array_equal(turned, straight[:, ::-1])


def test_a_line_is_taken_away(rng):
    """`linear` leaves nothing of a drift."""
    x = rng.standard_normal((600, 3))
    drift = np.linspace(-500, 500, 600)[:, None]
    steps = {"detrend": "linear"}
    np.testing.assert_allclose(
        prepare(x + drift, spec(**steps)), prepare(x, spec(**steps)), atol=1e-4
    )


def test_the_filter_is_a_zero_phase_butterworth():
    """Run both ways its gain at the corners is one half, and no phase is shifted."""
    t = np.arange(6000) / 100.0
    within = np.sin(2 * np.pi * 8.0 * t)
    for hz, expected in ((0.05, 0.0), (1.0, 0.5), (8.0, 1.0), (45.0, 0.5)):
        x = np.stack([within, np.sin(2 * np.pi * hz * t), within], axis=1)
        x[:, 2] += 1e-9
        out = prepare(x, spec(6000, filter=BAND, norm="peak"))[1000:5000]
        both = x[:, :1] + x[:, 1:2]
        mixed = prepare(np.repeat(both, 3, axis=1), spec(6000, filter=BAND, norm="std"))
        share = mixed[1000:5000, 0] @ x[1000:5000, 1] / (mixed[1000:5000, 0] @ within[1000:5000])
        if hz != 8.0:
            assert share == pytest.approx(expected, abs=0.02)
        correlation = np.corrcoef(out[:, 0], within[1000:5000])[0, 1]
        assert correlation > 0.9999


def test_the_input_is_not_changed(rng):
    """It is a view into the ring buffer."""
    x = rng.standard_normal((600, 3)).astype(np.float32)
    before = x.copy()
    prepare(x, spec(filter=BAND, detrend="linear"))
    np.testing.assert_array_equal(x, before)
