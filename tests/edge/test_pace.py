"""Which windows are scored where the machine cannot keep up; lag is given, no clock is read."""

from collections import deque

import numpy as np
import pytest
from eqedge.edge.pace import LoadShedder
from eqedge.edge.settings.node import WindowSettings
from eqedge.edge.settings.validation import SettingsError
from eqedge.edge.types import ClockState, Window
from eqedge.models.spec import ModelSpec, Thresholds

HOP, WIDEST, RATE, LIMIT = 10, 3000, 100.0, 2.0


def window(end, segment=1, closes=False):
    """Return a window that ends there."""
    samples = np.zeros((100, 3), dtype=np.float32)
    clock = ClockState("sim", True)
    return Window(end - 100, 0, samples, RATE, clock, segment=segment, closes_segment=closes)


def drive(cost_seconds, hops=60_000, pace=None):
    """Let scoring one window cost so long; return (ends of the scored ones, their lags, pace).

    Samples come at their time; a machine that is behind finds them waiting.
    """
    pace = pace or LoadShedder(LIMIT, HOP, WIDEST, RATE)
    free_at, scored, lags = 0.0, [], []
    for index in range(1, hops):
        end = index * HOP
        start = max(free_at, end / RATE)
        if pace.takes(window(end), start - end / RATE):
            free_at = start + cost_seconds
            scored.append(end)
            lags.append(free_at - end / RATE)
    return scored, lags, pace


def test_a_machine_that_keeps_up_scores_all():
    """Nothing is left out, the hop stays."""
    scored, _, pace = drive(0.09)
    assert len(scored) == 59_999
    assert (pace.counts.skipped, pace.counts.factor) == (0, 1)


@pytest.mark.parametrize("cost_seconds", [0.11, 0.25, 1.0, 9.0])
def test_lag_is_bounded_whatever_a_window_costs(cost_seconds):
    """The limit, one window's cost, and never growing; every window is scored or counted."""
    scored, lags, pace = drive(cost_seconds)
    assert max(lags) <= LIMIT + 2 * cost_seconds
    assert pace.counts.skipped == 59_999 - len(scored)
    assert max(np.diff(scored)) <= WIDEST


def test_what_is_scored_is_evenly_spread():
    """Once the hop has settled, windows lie a whole number of hops apart, not in bursts."""
    scored, _, _ = drive(0.35)
    steps = np.diff(scored[len(scored) // 2 :])
    assert np.mean(steps == np.median(steps)) > 0.9


def test_the_hop_narrows_again():
    """A load that passes leaves no trace."""
    _, _, pace = drive(0.5, 6000)
    assert pace.counts.factor > 1
    for index in range(6000, 60_000):
        pace.takes(window(index * HOP), 0.0)
    assert pace.counts.factor == 1


def test_the_ends_of_segments_are_always_scored():
    """However late: nothing would look at their last samples again."""
    pace = LoadShedder(LIMIT, HOP, WIDEST, RATE)
    assert pace.takes(window(1000), 99.0)
    assert not pace.takes(window(1010), 99.0)
    assert pace.takes(window(1017, closes=True), 99.0)
    assert pace.takes(window(9000, segment=2), 99.0)


def test_the_same_lags_leave_out_the_same_windows():
    """The rule reads no clock and draws no lots."""
    lags = deque(np.random.default_rng(22).uniform(0, 4, 3000))
    choices = []
    for _ in range(2):
        pace = LoadShedder(LIMIT, HOP, WIDEST, RATE)
        choices.append([pace.takes(window((i + 1) * HOP), lag) for i, lag in enumerate(lags)])
    assert choices[0] == choices[1]
    assert 0 < sum(choices[0]) < 3000


SPEC = ModelSpec("m", "leqnet-gru")


@pytest.mark.parametrize("cost_seconds", [0.11, 1.0, 9.0])
@pytest.mark.parametrize(("windows", "seconds"), [(1, 0.0), (2, 1.0), (4, 1.0), (2, 45.0)])
def test_every_pick_can_be_confirmed_however_late_the_machine(cost_seconds, windows, seconds):
    """Each sample is seen in as many windows as must see it, and by one that is late enough."""
    thresholds = Thresholds(confirm_windows=windows, confirm_seconds=seconds)
    settings = WindowSettings(hop_seconds=HOP / RATE, max_lag_seconds=LIMIT)
    pace = LoadShedder.of(settings, thresholds, SPEC, live=True)
    scored, _, _ = drive(cost_seconds, 20_000, pace)
    length = SPEC.window_samples
    for sample in range(length, scored[-1] - length, 137):
        ends = [end for end in scored if end - length <= sample < end]
        assert len(ends) >= windows
        assert ends[-1] - sample >= seconds * RATE


@pytest.mark.parametrize(
    ("hop", "thresholds", "message"),
    [
        (31.0, Thresholds(confirm_windows=2), "use a hop of at most 30 s"),
        (5.0, Thresholds(confirm_seconds=57.0), "use a hop of at most 3 s"),
        (1.0, Thresholds(confirm_seconds=70.0), "use a hop of at most 0 s, or less confirmation"),
    ],
)
def test_a_hop_that_confirms_nothing_is_refused(hop, thresholds, message):
    """Windows that overlap too little never see a pick as often or as long as is needed."""
    with pytest.raises(SettingsError, match=message):
        LoadShedder.of(WindowSettings(hop_seconds=hop), thresholds, SPEC, live=True)


def test_a_stream_that_waits_leaves_nothing_out():
    """A replay as fast as it is taken knows no lag."""
    pace = LoadShedder.of(WindowSettings(), Thresholds(), SPEC, live=False)
    assert all(pace.takes(window(index * 100), 1e9) for index in range(1, 100))
