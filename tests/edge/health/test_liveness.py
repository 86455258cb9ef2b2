"""Liveness as a pure function of time."""

import pytest
from eqedge.edge.health.liveness import Liveness, Progress, State, liveness
from eqedge.edge.settings.health import HealthSettings
from eqedge.edge.settings.validation import SettingsError
from hypothesis import given
from hypothesis import strategies as st

SETTINGS = HealthSettings()
WELL = Liveness(State.HEALTHY, State.HEALTHY, State.HEALTHY, 0)


def judge(now, samples=0.0, flowing_since=0.0, inference=0.0, output=0.0):
    """Judge with the defaults: 30 s for samples, 120 s for the others, 3 attempts 10 s apart."""
    return liveness(now, Progress(samples, flowing_since, inference, output), SETTINGS)


@pytest.mark.parametrize(
    ("silence", "state", "attempt", "pinged"),
    [
        (0, State.HEALTHY, 0, True),
        (30, State.HEALTHY, 0, True),
        (30.1, State.ALARMED, 0, True),
        (40.1, State.RECOVERING, 1, True),
        (50.1, State.RECOVERING, 2, True),
        (60.1, State.RECOVERING, 3, True),
        (70.1, State.ESCALATED, 3, False),
        (190, State.ESCALATED, 3, False),
        (190.1, State.FAILED, 3, False),
        (1e9, State.FAILED, 3, False),
    ],
)
def test_a_frozen_source_is_alarmed_recovered_escalated(silence, state, attempt, pinged):
    """Silence alone decides: alarm, three attempts, then no more pings for the watchdog."""
    seen = judge(
        1000 + silence, samples=1000, flowing_since=500, inference=1000, output=1000 + silence
    )
    assert (seen.samples, seen.attempt, seen.pings_watchdog) == (state, attempt, pinged)
    assert seen.inference is State.HEALTHY  # without samples there is nothing to score
    assert seen.worst is state


def test_a_stuck_inference_is_found_while_samples_flow():
    """Samples come, no window is scored: the inference is stuck."""
    seen = judge(1000, samples=1000, inference=800, output=1000)
    assert (seen.samples, seen.inference) == (State.HEALTHY, State.ESCALATED)
    assert not seen.pings_watchdog


def test_a_window_has_time_to_fill_after_a_silence():
    """After an hour without a sensor the first window takes its 60 s without an alarm."""
    seen = judge(5000, samples=5000, flowing_since=4930, inference=1000, output=5000)
    assert seen.worst is State.HEALTHY


def test_a_stuck_output_is_found():
    """Samples and windows go on, a sink does not return: the output is stuck."""
    seen = judge(1000, samples=1000, inference=1000, output=700)
    assert seen.output is State.FAILED and seen.samples is State.HEALTHY
    assert not seen.pings_watchdog


@given(
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(0, 400),
    st.floats(0, 400),
)
def test_more_silence_is_never_healthier(start, silence, more, output):
    """States and attempts only grow with silence, at any time of the clock."""
    early = judge(start + silence, start, start, start, start + silence - min(silence, output))
    late = judge(start + silence + more, start, start, start, start)
    assert late.samples >= early.samples and late.output >= early.output
    assert late.attempt >= early.attempt


def test_the_first_window_after_a_silence_has_its_full_time():
    """A silence longer than the limit starts the time for the first window anew."""
    progress = Progress.starting(100)
    assert liveness(130, progress, SETTINGS) == WELL
    progress.sampled(110, SETTINGS)
    progress.inference = 111
    progress.sampled(5000, SETTINGS)
    progress.output = 5001
    assert progress == Progress(5000, 5000, 111, 5001)
    progress.sampled(5001, SETTINGS)
    assert progress.flowing_since == 5000
    assert liveness(5002, progress, SETTINGS) == WELL


@pytest.mark.parametrize(
    "wrong",
    [{"http_port": 0}, {"retries": -1}, {"interval_seconds": 0}, {"samples_silence_seconds": 1e9}],
)
def test_settings_out_of_range(wrong):
    """Each is rejected when the settings are made."""
    with pytest.raises(SettingsError):
        HealthSettings(**wrong)
