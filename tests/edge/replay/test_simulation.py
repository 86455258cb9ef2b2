"""A STEAD file as a live station."""

import threading

import numpy as np
import pytest
from eqedge.edge.gaps import StreamCounts
from eqedge.edge.replay.request import Replay
from eqedge.edge.replay.simulation import DEFAULT_START_NS, LEAD_SECONDS, Simulation
from eqedge.edge.replay.stead import SteadError
from eqedge.edge.replay.values import parse_time
from eqedge.edge.run_counts import RunCounts
from eqedge.firmware_bridge.packets import Hello

HELLO = Hello("s", "f", 100.0, ("HHE", "HHN", "HHZ"))


@pytest.fixture
def wave(rng):
    """A trace of noise."""
    return rng.standard_normal((6000, 3))


def simulation(path, rate_hz=100.0, **more):
    """Open a simulation of a file."""
    return Simulation(Replay(path, **more), rate_hz, threading.Event())


def start_ns(opened):
    """UTC of the first sample of the first trace."""
    return opened.source.clock(HELLO).time_ns(round(LEAD_SECONDS * 100))


@pytest.mark.parametrize("text", ["2006-07-23 15:58:59.070000", ""])
def test_it_begins_at_the_first_traces_time(write_stead, wave, text):
    """So that picks carry the record's own time; without one there is a fixed start."""
    path = write_stead({"a": (wave, {"trace_start_time": text})})
    with simulation(path) as opened:
        assert start_ns(opened) == (parse_time(text) if text else DEFAULT_START_NS)


def test_the_first_trace_that_can_be_played_counts(write_stead, wave):
    """Those before it are passed over."""
    when = "2006-07-23 15:58:59"
    path = write_stead({"a": (wave * np.nan, {}), "b": (wave, {"trace_start_time": when})})
    with simulation(path) as opened:
        assert start_ns(opened) == parse_time(when)


def test_no_trace_that_can_be_played(write_stead, wave):
    """The first trace's reason is given."""
    path = write_stead({"a": (wave, {"sampling_rate_hz": 5}), "b": (wave * np.nan, {})})
    with pytest.raises(SteadError, match=r"no trace can be played; trace a: 5 Hz cannot be"):
        simulation(path)


def test_a_stopped_run_has_missed_nothing_it_did_not_play(write_stead, wave):
    """Only traces that were played to their end are scored."""
    quake = {"p_arrival_sample": 3000.0}
    path = write_stead({"a_EV": (wave, quake), "b_EV": (wave, quake)})
    with simulation(path) as opened:
        for _ in opened.timeline.stretches():
            pass
        first, second = opened.timeline.placements
        assert opened.scoreboard(first.end_sample - 1).events == 0
        assert opened.scoreboard(first.end_sample).missed == 1
        assert opened.scoreboard(second.end_sample).missed == 2
        lines = opened.report(RunCounts(stream=StreamCounts(samples=first.end_sample)))
    assert "played 1 traces" in lines[0]


def test_what_was_odd_is_named(write_stead, wave):
    """Ten of them at most, and how many more there were."""
    traces = {f"a{n:02}": (wave * np.nan, {}) for n in range(15)}
    path = write_stead({**traces, "b_NO": (wave, {})})
    with simulation(path) as opened:
        for _ in opened.timeline.stretches():
            pass
        lines = opened.problems()
        assert len(lines) == 11 and not set(lines) & set(opened.report(RunCounts()))
    assert lines[0].startswith("trace a00: holds NaN")
    assert lines[10] == "... and 5 more traces passed over or odd"


def test_a_file_of_another_rate_is_located_in_its_own_samples(write_stead, wave):
    """Picks come at the model's rate; their place is a sample of the trace."""
    path = write_stead({"a_EV": (wave, {"sampling_rate_hz": 250.0})})
    with simulation(path) as opened:
        for _ in opened.timeline.stretches():
            pass
        assert opened.playlist.rate_hz == 250.0
        lead = round(LEAD_SECONDS * 100)
        assert opened.locate(lead + 400) == ("a_EV", 1000)
