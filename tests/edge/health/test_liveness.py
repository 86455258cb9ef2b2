"""Liveness as a pure function of time."""

import pytest
from eqedge.edge.health.liveness import Liveness, Progress, Pulse, State, liveness
from eqedge.edge.settings.node import HealthSettings, SettingsError
from hypothesis import given
from hypothesis import strategies as st

SETTINGS = HealthSettings()
WELL = Liveness(State.HEALTHY, State.HEALTHY, State.HEALTHY, 0)


def judge(now, samples=0.0, flowing_since=0.0, inference=0.0, output=0.0):
    """Judge with the defaults: 30 s for samples, 120 s for the others, 3 attempts 10 s apart."""
    return liveness(now, Progress(samples, flowing_since, inference, output), SETTINGS)


@pytest.mark.parametrize(
    ("silence", "state", "attempt", "fed"),
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
def test_a_frozen_source_is_alarmed_recovered_escalated(silence, state, attempt, fed):
    """Silence alone decides: alarm, three attempts, then the watchdog starves."""
    seen = judge(
        1000 + silence, samples=1000, flowing_since=500, inference=1000, output=1000 + silence
    )
    assert (seen.samples, seen.attempt, seen.feeds_watchdog) == (state, attempt, fed)
    assert seen.inference is State.HEALTHY  # nothing to score is no fault of the scoring
    assert seen.worst is state


def test_a_stuck_inference_is_found_while_samples_flow():
    """Samples come, no window is scored: the inference is what is stuck."""
    seen = judge(1000, samples=1000, inference=800, output=1000)
    assert (seen.samples, seen.inference) == (State.HEALTHY, State.ESCALATED)
    assert not seen.feeds_watchdog


def test_a_window_has_time_to_fill_after_a_silence():
    """After an hour without a sensor the first window takes its 60 s without an alarm."""
    seen = judge(5000, samples=5000, flowing_since=4930, inference=1000, output=5000)
    assert seen.worst is State.HEALTHY


def test_a_stuck_output_is_found():
    """Samples and windows go on, a sink does not return: the output is what is stuck."""
    seen = judge(1000, samples=1000, inference=1000, output=700)
    assert seen.output is State.FAILED and seen.samples is State.HEALTHY
    assert not seen.feeds_watchdog


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


def test_the_pulse_knows_when_samples_began_to_flow_again():
    """A silence longer than the limit starts the time for the first window anew."""
    pulse = Pulse(100, SETTINGS)
    assert liveness(130, pulse.progress, SETTINGS) == WELL
    pulse.sampled(110)
    pulse.inferred(111)
    pulse.sampled(5000)
    pulse.put_out(5001)
    assert pulse.progress == Progress(5000, 5000, 111, 5001)
    pulse.sampled(5001)
    assert pulse.progress.flowing_since == 5000
    assert liveness(5002, pulse.progress, SETTINGS) == WELL


@pytest.mark.parametrize(
    "wrong",
    [{"http_port": 0}, {"retries": -1}, {"interval_seconds": 0}, {"samples_silence_seconds": 1e9}],
)
def test_settings_out_of_range(wrong):
    """Each is refused when the settings are made."""
    with pytest.raises(SettingsError):
        HealthSettings(**wrong)
