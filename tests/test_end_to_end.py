"""From a STEAD file to events in a file, on standard output and at a broker."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.edge.replay.stead import SteadFile
from eqedge.models.registry import DEFAULT_MODEL, open_model

from .conftest import SHARED
from .support.golden import GOLDEN, differences, read_lines

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = jsonschema.Draft202012Validator(
    json.loads((ROOT / "edge" / "event.schema.json").read_text())
)
STEAD = SHARED / "data" / "stead_109C_dev.hdf5"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Every message of the embedded sample, and the log of the run."""
    output = tmp_path_factory.mktemp("demo") / "o.jsonl"
    command = [sys.executable, "-m", "eqedge", "run", "--sim", DEMO_FILE, "--speed", "max"]
    result = subprocess.run(
        [*command, "--output", output], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in output.read_text().splitlines()], result.stderr


def by_event(messages):
    """Return {event_id: its messages}."""
    events = {}
    for message in messages:
        events.setdefault(message["event_id"], []).append(message)
    return events


def found(messages, path):
    """Return (labelled events, those with a right P or S) by the labels in the file alone."""
    picked = {}
    for own in by_event(messages).values():
        for pick in own[-1]["picks"]:
            key = (pick["sim"]["trace_name"], pick["phase"])
            picked.setdefault(key, []).append(pick["sim"]["sample"])
    labelled = right = 0
    with SteadFile(path) as file:
        for name in file.names:
            trace = file.read(name)
            labels = {"P": trace.p_arrival_sample, "S": trace.s_arrival_sample}
            labels = {phase: at for phase, at in labels.items() if at is not None}
            labelled += bool(labels)
            right += any(
                abs(sample - at) <= 50
                for phase, at in labels.items()
                for sample in picked.get((name, phase), [])
            )
    return labelled, right


def test_most_of_the_embedded_sample_is_found(demo):
    """Scored by this test from the lines alone; the program's own scoreboard agrees."""
    messages, log = demo
    labelled, right = found(messages, DEMO_FILE)
    assert labelled == 10
    assert right >= 7
    assert len(by_event(messages)) <= 2 * labelled
    assert f"events   {right} of {labelled} found, {labelled - right} missed" in log


def test_the_demo_is_what_it_was(demo):
    """The same events, types and picks: times within a sample, probabilities within 0.02.

    A changed model or rule changes them; then look at the difference, and write them anew:
    `make golden`
    """
    assert differences(demo[0], read_lines(GOLDEN)) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m["picks"][0].update(time_ns=m["picks"][0]["time_ns"] + 20_000_000), "time_ns"),
        (lambda m: m["picks"][0].update(probability=0.1), "probability 0.1 instead of"),
        (lambda m: m.update(type="end"), "type end instead of new"),
        (lambda m: m.update(event_id="XX.EDGE.00-20260101T000029690000"), "event_id"),
        (lambda m: m["picks"].clear(), "picks [] instead of"),
        (lambda m: m.pop("clock"), "has ['clock'] more or less"),
        (lambda m: m.update(peak_time="2026-01-01T00:00:59.000000Z"), "peak_time"),
    ],
)
def test_a_demo_that_is_another_is_noticed(change, text):
    """Two samples later, another probability, a pick fewer: each is named with its line."""
    messages = read_lines(GOLDEN)
    assert differences(messages, read_lines(GOLDEN)) == []
    assert differences(messages[1:], read_lines(GOLDEN)) != []
    change(messages[0])
    (line,) = differences(messages, read_lines(GOLDEN))
    assert line.startswith("line 1: ") and text in line


def test_every_line_keeps_the_schema(demo):
    """All types of messages, with everything in them."""
    for message in demo[0]:
        SCHEMA.validate(message)
    assert {message["type"] for message in demo[0]} >= {"new", "end"}


def test_every_event_lives_once(demo):
    """`new` first, `end` last and once, sequence numbers from 0, what stays the same the same."""
    for own in by_event(demo[0]).values():
        assert [m["sequence"] for m in own] == list(range(len(own)))
        assert [m["type"] for m in own] == ["new", *["update"] * (len(own) - 2), "end"]
        for key in ("boot_id", "trace_id", "channels", "model", "network"):
            assert len({json.dumps(m[key]) for m in own}) == 1


def test_no_pick_is_reported_under_two_events(demo):
    """An arrival belongs to one event."""
    picks = [
        (pick["phase"], pick["time_ns"] // 500_000_000)
        for own in by_event(demo[0]).values()
        for pick in own[-1]["picks"]
    ]
    assert len(picks) == len(set(picks))


def test_times_say_the_same(demo):
    """The place on the trace, the trace's own start and the absolute time agree."""
    with SteadFile(DEMO_FILE) as file:
        first = file.read(file.names[0])
    for message in demo[0]:
        assert message["start_time_ns"] == message["picks"][0]["time_ns"]
        assert message["start_time_ns"] <= message["end_time_ns"]
        assert message["clock"] == {"source": "sim", "synced": True, "offset_s": 0, "error_s": 0}
        for pick in message["picks"]:
            if pick["sim"]["trace_name"] == first.name:
                expected = first.start_time_ns + pick["sim"]["sample"] * 10_000_000
                assert pick["time_ns"] == expected


@pytest.mark.slow
def test_the_same_run_gives_the_same(eqedge, demo, tmp_path):
    """Twice the same command gives the same events; only the boot and the latencies differ."""
    result = eqedge("run", "--sim", DEMO_FILE, "--speed", "max")
    assert result.returncode == 0, result.stderr

    def essence(messages):
        changing = ("boot_id", "latency_ms")
        return [{k: v for k, v in m.items() if k not in changing} for m in messages]

    again = [json.loads(line) for line in result.stdout.splitlines()]
    assert essence(again) == essence(demo[0])


def test_the_model_is_named_with_its_hash(demo):
    """So that an event can be traced to the bytes that picked it."""
    model = open_model(DEFAULT_MODEL)
    assert all(m["model"] == {"name": model.name, "sha256": model.sha256} for m in demo[0])


def test_events_reach_a_broker(eqedge, broker, tmp_path):
    """Line for line what the file has, on the station's topic, after `online`, before `stopped`."""
    output = tmp_path / "o.jsonl"
    flags = ("--traces", "4", "--speed", "max", "--station", "HILL", "--output", output)
    with broker.listen("eqedge/#") as listener:
        result = eqedge("run", "--sim", DEMO_FILE, *flags, "--mqtt", broker.url)
        assert result.returncode == 0, result.stderr
        lines = [json.loads(line) for line in output.read_text().splitlines()]
        listener.wait_for(lambda received: len(received.json("event")) >= len(lines))
        listener.wait_for(lambda received: "stopped" in received.texts("status"))
    assert lines
    assert listener.json("event") == lines
    assert {t for t, _, _ in listener.messages if "/event" in t} == {"eqedge/XX/HILL/event"}
    for message in listener.json("event"):
        SCHEMA.validate(message)
    (info, *_) = listener.json("info")
    assert info["model"]["sha256"] == lines[0]["model"]["sha256"]


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not STEAD.exists(), reason="development data is not beside the checkout")
def test_real_stead_traces(eqedge, tmp_path):
    """Genuine records with their string attributes: played whole, most found, schema kept."""
    output = tmp_path / "o.jsonl"
    result = eqedge("run", "--sim", STEAD, "--speed", "max", "--output", output)
    assert result.returncode == 0, result.stderr
    messages = [json.loads(line) for line in output.read_text().splitlines()]
    for message in messages:
        SCHEMA.validate(message)
    labelled, right = found(messages, STEAD)
    assert labelled == 25
    assert right >= 20
    assert "0 bad, 0 lost), 0 gaps" in result.stderr
