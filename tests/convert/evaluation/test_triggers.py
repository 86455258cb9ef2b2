import json
import re

import h5py
import pytest
from eqedge.convert.evaluation.triggers import (
    RunError,
    events_of,
    open_run,
    read_messages,
    table_of,
)
from eqedge.edge.replay.selection import TraceSelection
from eqedge.edge.replay.stead import SteadFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def trigger(event, trace, *picks, kind="new", data_ms=1000.0):
    """A message with picks (phase, sample); the stream's clock is the trace's own."""
    listed = [
        {"phase": x, "time_ns": k * 10_000_000, "sim": {"trace_name": trace, "sample": k}}
        for x, k in picks
    ]
    return {"event_id": event, "type": kind, "picks": listed, "latency_ms": {"data": data_ms}}


@pytest.fixture
def event(data):
    """A trace of the file that holds an event."""
    with SteadFile(data) as file:
        traces = [file.read(name) for name in file.names]
    return next(trace for trace in traces if not trace.is_noise)


@pytest.fixture
def run(data, tmp_path):
    """An opener of messages as the run of the file."""

    def open_messages(*messages, **options):
        path = tmp_path / "triggers.jsonl"
        path.write_text("".join(json.dumps(message) + "\n" for message in messages))
        return open_run(path, data, TraceSelection(**options))

    return open_messages


def test_a_real_run_scores_as_in_its_own_log(played):
    """Found, false and residuals are those that `eqedge run` printed at its end."""
    data, triggers, log = played
    opened = open_run(triggers, data)
    events, made = events_of(opened), table_of(opened, {})
    found, labelled, false = re.search(
        r"(\d+) of (\d+) found, \d+ missed; (\d+) false", log
    ).groups()
    assert (events["found"], events["labelled"], events["false"]) == (
        int(found), int(labelled), int(false)
    )  # fmt: skip
    for phase, outcomes in (("P", made.P), ("S", made.S)):
        count, mean = re.search(rf"{phase} picks  (\d+) of.*MAE ([\d.]+) s", log).groups()
        score = outcomes.score(0)
        assert score.found == int(count)
        assert score.mean_absolute_s == pytest.approx(float(mean), abs=0.0051)
    assert 0.2 < made.onsets.first_s.min() < 10


def test_the_last_word_counts(run, event):
    """An update that moves the pick replaces the one before."""
    p = round(event.p_arrival_sample)
    first = trigger("e", event.name, ("P", p + 200))
    last = trigger("e", event.name, ("P", p + 5), kind="update")
    score = table_of(run(first, last), {}).P.score(0)
    assert (score.found, score.false) == (1, 0)
    assert score.mean_absolute_s == pytest.approx(0.05)


def test_the_first_right_word_is_the_announcement(run, event):
    """Its age is from the label to the data's end, wherever the pick was and whoever came last."""
    p = round(event.p_arrival_sample)
    wrong = trigger("e", event.name, ("P", p - 80), data_ms=100)
    right = trigger("e", event.name, ("P", p - 10), ("S", p + 300), kind="update", data_ms=500)
    later = trigger("e", event.name, ("P", p), kind="end", data_ms=9000)
    onsets = table_of(run(wrong, right, later), {}).onsets
    assert sorted(onsets.first_s[:, 0].tolist())[0] == pytest.approx(3.5)


def test_a_pick_in_the_noise_is_counted_there(run, data):
    """A false P in a minute of noise, and the event's traces know nothing of it."""
    with SteadFile(data) as file:
        noise = next(name for name in file.names if file.read(name).is_noise)
    made = table_of(run(trigger("e", noise, ("P", 3000))), {})
    assert made.noise.p.sum() == 1 and made.noise.s.sum() == 0
    assert made.noise.seconds.tolist() == [60.0, 60.0]
    assert made.P.score(0).false == 0


def test_labels_that_cannot_be_are_set_aside_and_counted(run, data, event):
    """S before P, or a label outside the trace: the trace is not scored, its triggers neither."""
    with h5py.File(data, "a") as file:
        file["data"][event.name].attrs["s_arrival_sample"] = event.p_arrival_sample - 10
    opened = run(trigger("e", event.name, ("P", round(event.p_arrival_sample))))
    assert opened.skipped == {"S not after P": 1}
    assert events_of(opened)["labelled"] == 3
    with h5py.File(data, "a") as file:
        file["data"][event.name].attrs.update(s_arrival_sample="", p_arrival_sample=7000.0)
    assert run().skipped == {"label outside the trace": 1}


def test_a_trace_that_was_not_played_is_named(run, data, event):
    """NaN kept it out of the run; it is no miss."""
    with h5py.File(data, "a") as file:
        file["data"][event.name][100, 1] = float("nan")
    opened = run()
    assert any(event.name in reason and "NaN" in reason for reason in opened.skipped)
    assert events_of(opened)["labelled"] == 3


@pytest.mark.parametrize("line", ["", "{", "[]", "3", "{}", '{"event_id": "e", "picks": []}'])
def test_a_line_that_is_no_trigger_is_named(tmp_path, line):
    """With its number, and what to give instead."""
    path = tmp_path / "odd.jsonl"
    path.write_text(json.dumps(trigger("e", "t", ("P", 1))) + "\n" + line + "\n")
    with pytest.raises(RunError, match=r"odd\.jsonl: line 2 is not a trigger; give the --output"):
        read_messages(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["event_id", "picks", "latency_ms", "data", "phase", "time_ns", "sim"]),
            inner,
            max_size=6,
        )
    ),
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(key=st.sampled_from(["picks", "latency_ms", "sim"]), value=JSON)
def test_whatever_a_line_holds_it_is_a_trigger_or_named(tmp_path, key, value):
    """No JSON gets past the reader that the scores would stumble over."""
    message = trigger("e", "t", ("P", 1))
    if key == "sim":
        message["picks"][0]["sim"] = value
    else:
        message[key] = value
    path = tmp_path / "any.jsonl"
    path.write_text(json.dumps(message))
    try:
        (read,) = read_messages(path)
    except RunError as error:
        assert "line 1 is " in str(error)
    else:
        assert float(read["latency_ms"]["data"]) + read["picks"][0]["time_ns"] is not None
        assert isinstance(read["picks"][0]["sim"]["trace_name"], str)


def test_a_live_nodes_triggers_cannot_be_scored(tmp_path):
    """There is no label to hold them against."""
    live = trigger("e", "t", ("P", 1))
    del live["picks"][0]["sim"]
    path = tmp_path / "live.jsonl"
    path.write_text(json.dumps(live) + "\n")
    with pytest.raises(RunError, match="line 1 is of a live sensor"):
        read_messages(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_a_file_that_is_no_text_is_named(tmp_path, content):
    """Also one that is not there."""
    path = tmp_path / "bad.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=r"bad\.jsonl: .*give the --output"):
        read_messages(path)


def test_another_files_run_is_refused(run, event):
    """A trace that is not in the file, one not drawn, a sample beyond the trace's end."""
    with pytest.raises(RunError, match=r"line 1: trace OTHER is not in small\.hdf5"):
        run(trigger("e", "OTHER", ("P", 10)))
    with pytest.raises(RunError, match=r"line 1: sample 9000 of trace .* which has 6000"):
        run(trigger("e", event.name, ("P", 9000)))
    names = set()
    for seed in range(20):
        names.update(one.record.trace for one in run(traces=1, seed=seed).played)
    assert len(names) > 1
    played = run(traces=1, seed=0).played[0].record.trace
    other = next(name for name in sorted(names) if name != played)
    with pytest.raises(RunError, match="none of the 1 traces selected; give --csv, --where"):
        run(trigger("e", other, ("P", 10)), traces=1, seed=0)


def test_a_run_of_some_traces_is_not_scored_as_one_of_all(run, data):
    """Its positions in the stream show that traces before a message were not played."""
    with SteadFile(data) as file:
        names, first = list(file), file.read(next(iter(file)))
    message = trigger("e", names[1], ("P", 700))
    message["picks"][0]["sample"] = 6000 + 700
    with pytest.raises(RunError, match=r"fewer traces before .* give --csv, --where, --traces"):
        run(message)
    message["picks"][0]["sample"] += len(first.waveform)
    assert len(run(message).messages) == 1
