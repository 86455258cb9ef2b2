"""A trigger as it leaves the node."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from eqedge.edge.message import Node
from eqedge.edge.settings.node import Settings, StationSettings
from eqedge.edge.types import ClockState, Instrument, Pick, Trigger, Window
from eqedge.edge.utc import utc_text

ROOT = Path(__file__).resolve().parents[2]
VERTICAL = Instrument(("HHZ",), 100.0)
SCHEMA = json.loads((ROOT / "edge" / "event.schema.json").read_text())
START = 1_790_000_000_000_000_000


def window(first=1000, clock=None, **more):
    """Return a window of a minute that begins with that sample."""
    clock = clock or ClockState("sim", True)
    start = START + first * 10_000_000
    return Window(first, start, np.zeros((6000, 3), np.float32), 100.0, clock, **more)


def trigger(phases=("P", "S"), seen=None, **more):
    """Return a trigger with these picks."""
    seen = seen or window()
    picks = tuple(
        Pick(phase, sample, seen.time_ns(sample), 0.87654321, sample - 20, sample + 30)
        for phase, sample in (("P", 5000), ("S", 5600))
        if phase in phases
    )
    fields = {
        "type": "new",
        "event_id": "XX.EDGE.00-20260921T131330000000",
        "sequence": 0,
        "picks": picks,
        "detection_probability": 0.99996,
        "start_sample": picks[0].sample,
        "end_sample": 6500,
        "peak_sample": 5700,
        "window": seen,
        "inference_ms": 2.34567,
    }
    return Trigger(**{**fields, **more})


def node(model, locate=None, **codes):
    """Return a node with these codes."""
    return Node(StationSettings(**codes), model, "b00t1d00", locate)


@pytest.mark.parametrize("kind", ["new", "update", "end"])
@pytest.mark.parametrize("phases", ["P", "S", "PS"])
@pytest.mark.parametrize("location", ["00", ""])
def test_every_message_keeps_the_schema(model, kind, phases, location):
    """Whatever its type, picks and codes; and it is JSON."""
    one = node(model, lambda sample: ("a_EV", sample - 7000), location=location)
    made = one.message(
        trigger(phases, type=kind, event_id=one.event_id(START)),
        Instrument(("HHE", "HHN", "HHZ"), 100.0),
        0,
    )
    jsonschema.validate(json.loads(json.dumps(made, allow_nan=False)), SCHEMA)
    assert made["type"] == kind
    assert [pick["phase"] for pick in made["picks"]] == list(phases)


def test_times_are_the_samples(model):
    """Text and nanoseconds agree with the window's clock; probabilities are rounded."""
    made = node(model).message(trigger(), VERTICAL, 0)
    p = START + 5000 * 10_000_000
    assert made["start_time_ns"] == made["picks"][0]["time_ns"] == p
    assert made["start_time"] == made["picks"][0]["time"] == utc_text(p)
    assert made["end_time_ns"] == START + 6500 * 10_000_000
    assert made["picks"][0]["probability"] == 0.8765
    assert made["detection_probability"] == 1.0
    assert made["model"] == {"name": model.name, "sha256": model.sha256}


def test_latency_is_data_and_waiting(model):
    """Data: signal after the last pick; total: and what has passed since its arrival."""
    seen = window(received_ns=1_000_000_000)
    made = node(model).message(trigger(seen=seen), VERTICAL, 1_250_000_000)
    assert made["latency_ms"] == {"data": 14000.0, "inference": 2.346, "total": 14250.0}


def test_clock_and_flags_are_the_windows(model):
    """Each event of an unsynchronised, degraded node is marked."""
    clock = ClockState("host", False, 0.0123456789, 0.002)
    seen = window(clock=clock, degraded="no E component")
    made = node(model).message(trigger(seen=seen), VERTICAL, 0)
    expected = {"source": "host", "synced": False, "offset_s": 0.012346, "error_s": 0.002}
    assert made["clock"] == expected
    assert made["degraded"] == "no E component"
    assert made["historical"] is False


def test_sim_tells_the_place_on_the_trace(model):
    """Only in simulation, and only where there is a trace."""
    places = {5000: ("a_EV", 700), 5600: None}
    made = node(model, places.get).message(trigger(), VERTICAL, 0)
    assert made["picks"][0]["sim"] == {"trace_name": "a_EV", "sample": 700}
    assert "sim" not in made["picks"][1]
    assert "sim" not in node(model).message(trigger(), VERTICAL, 0)["picks"][0]


def test_an_event_is_named_by_its_time(model):
    """So that a restart gives it the same name; a 1970 clock gives one too."""
    one = node(model, network="AM", station="R3BCF", location="")
    assert one.event_id(START) == "AM.R3BCF.-20260921T141320000000"
    assert one.event_id(1_500) == "AM.R3BCF.-19700101T000000000001"


def test_info_describes_the_node(model):
    """Version, model, stream and thresholds."""
    info = node(model).info(Settings())
    json.dumps(info, allow_nan=False)
    assert info["trace_id"] == "XX.EDGE.00"
    assert info["window_seconds"] == 60.0
    assert set(info["thresholds"]) == {
        *("detection_threshold", "P_threshold", "S_threshold"),
        *("min_duration_seconds", "confirm_windows", "confirm_seconds"),
    }
