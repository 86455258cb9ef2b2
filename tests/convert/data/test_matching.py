import numpy as np
import pytest
from eqedge.convert.data.matching import NOTHING, Outcomes, judge, packed, verdicts_of
from hypothesis import given, settings
from hypothesis import strategies as st

SAMPLES = st.lists(st.integers(0, 5999), max_size=6, unique=True)


@settings(deadline=None)
@given(picks=SAMPLES, label=st.integers(0, 5999), unknown=SAMPLES)
def test_every_pick_is_right_or_false(picks, label, unknown):
    """No pick is lost or counted twice, at most one is right, and setting aside only forgives."""
    verdict = judge(picks, label, np.array(unknown, np.int64))
    assert verdict.hit + verdict.false == len(picks)
    assert verdict.hit == any(abs(k - label) <= 50 for k in picks)
    assert 0 <= verdict.false_set_aside <= verdict.false
    assert abs(verdict.residual) <= 50


def test_the_nearest_pick_is_the_right_one():
    """Two picks within half a second: the nearer one's residual, the other is false."""
    verdict = judge([1960, 2020], 2000)
    assert (verdict.residual, verdict.false) == (20, 1)


def test_without_a_label_there_is_no_verdict():
    """Without a label there may be an S."""
    assert judge([100, 200], None) == NOTHING
    answer = verdicts_of(np.ones(6000, np.float32), (0.3, 0.6), None)
    assert np.array_equal(answer, packed([NOTHING] * 2)) and not answer.any()


def test_thresholds_are_judged_one_by_one():
    """A peak of .5 is found at .3 and missed at .6; the mean residual is that of the found."""
    curve = np.zeros(6000, np.float32)
    curve[2010] = 0.5
    outcomes = Outcomes.of([True], [verdicts_of(curve, (0.3, 0.6), 2000)], 2)
    low, high = outcomes.score(0), outcomes.score(1)
    assert (low.found, low.missed, low.mean_absolute_s) == (1, 0, pytest.approx(0.1))
    assert (high.found, high.missed, high.mean_absolute_s) == (0, 1, None)


def test_no_window_at_all():
    """Of nothing the scores are zero."""
    score = Outcomes.of([], [], 3).score(2)
    assert (score.found, score.missed, score.false, score.f1) == (0, 0, 0, 0.0)
