import numpy as np
import pytest
from eqedge.convert.data.matching import Outcomes, judge, packed
from eqedge.convert.evaluation.intervals import (
    phase_intervals,
    rate_interval,
    resampled,
    share_intervals,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def outcomes(picks):
    """Windows with a label at 2000."""
    return Outcomes.of([True] * len(picks), [packed([judge(row, 2000)]) for row in picks], 1)


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=40))
def test_the_share_lies_within_its_interval(yes):
    """And the interval within 0 to 1."""
    units = [str(k) for k in range(len(yes))]
    ((low, high),) = share_intervals(units, np.array(yes)[:, None])
    assert 0 <= low <= np.mean(yes) <= high <= 1


def test_the_interval_is_as_wide_as_it_should_be():
    """Of 100 events half of which are found: about 10 % to either side."""
    made = outcomes([[2000] if k % 2 else [] for k in range(100)])
    low, high = phase_intervals([str(k) for k in range(100)], made, 0)["recall"]
    assert low == pytest.approx(0.40, abs=0.025) and high == pytest.approx(0.60, abs=0.025)


def test_more_windows_of_the_same_events_make_nothing_surer():
    """An event is drawn with all its windows: repeating them leaves the interval as it was."""
    picks = [[2000] if k % 3 else [2000, 4000] for k in range(30)]
    units = [str(k) for k in range(30)]
    once = phase_intervals(units, outcomes(picks), 0)
    five = phase_intervals(units * 5, outcomes(picks * 5), 0)
    assert once["precision"] == five["precision"]


def test_very_many_events_are_drawn_in_groups():
    """Ten thousand events, a tenth of them missed: the interval is that of the binomial."""
    made = outcomes([[] if k % 10 == 0 else [2000] for k in range(10_000)])
    low, high = phase_intervals([str(k) for k in range(10_000)], made, 0)["recall"]
    assert low == pytest.approx(0.9 - 1.96 * 0.003, abs=0.001)
    assert high == pytest.approx(0.9 + 1.96 * 0.003, abs=0.001)


def test_one_event_has_no_interval():
    """Nothing can be drawn anew."""
    assert resampled(["a", "a"], np.ones((2, 1))) is None
    assert phase_intervals(["a"], outcomes([[2000]]), 0)["f1"] is None


def test_no_false_pick_in_an_hour_is_not_none_ever():
    """The upper limit is Poisson's: 3.7 where none was counted."""
    quiet = rate_interval(("a", "b"), np.zeros(2, np.int32), np.full(2, 1800.0))
    assert quiet == [0.0, 3.689]


def test_rates_are_an_hour():
    """A pick in each of 60 windows of a minute is 60 an hour, without doubt."""
    units = [str(k) for k in range(60)]
    assert rate_interval(units, np.ones(60, np.int32), np.full(60, 60.0)) == [60.0, 60.0]
