"""Windows normalised by an earlier window."""

import numpy as np
from eqedge.convert.streaming import compare_ages, prepared_by
from eqedge.edge.detector import Detector
from eqedge.edge.prepare import prepare
from eqedge.edge.replay.synthetic import earthquake
from eqedge.models.shelf import DEFAULT_MODEL, open_model
from eqedge.models.spec import ModelSpec


def test_a_window_by_itself_is_prepared_as_on_the_node():
    """With its own mean and deviation the study's windows are the node's."""
    rng = np.random.default_rng(2)
    window = rng.normal(40, 300, (6000, 3))
    expected = prepare(window, ModelSpec("m", "leqnet-gru"))
    np.testing.assert_allclose(prepared_by(window, window), expected, atol=1e-5)


def test_a_component_that_stood_still_stays_zero():
    """Nothing is divided by zero."""
    window = np.ones((100, 3))
    assert not prepared_by(window * 7, window).any()


def test_an_arrival_that_the_older_window_lacks_changes_the_picks():
    """Steady noise may be normalised by the past; an earthquake that has just come may not."""
    detector = Detector(open_model(DEFAULT_MODEL))
    rng = np.random.default_rng(4)
    quiet = rng.normal(0, 100, (9000, 3))
    records = []
    for _ in range(6):
        shaking = earthquake(rng)
        before = shaking.waveform[: shaking.p_arrival_sample - 50]
        records.append(np.concatenate([np.resize(before, (6000, 3)), shaking.waveform]))

    def changed(waveforms):
        found = compare_ages(waveforms, detector, ages=(30,))[30]
        return sum(kept.lost + kept.added for kept in found.values())

    assert changed([quiet]) == 0
    assert changed(records) > 0
