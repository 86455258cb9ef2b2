"""Liveness as a pure function of time, the health record, the metrics and where they are served."""

import http.client
import json
import re
import socket
from dataclasses import fields, replace

import pytest
from eqedge.edge.delivery.sinks import OutputError
from eqedge.edge.operation.health import (
    HealthFiles,
    HealthServer,
    Liveness,
    Metrics,
    Progress,
    Pulse,
    State,
    health_record,
    liveness,
    prometheus_text,
)
from eqedge.edge.settings import HealthSettings, SettingsError
from hypothesis import given
from hypothesis import strategies as st

from ...broker import free_port
from ..delivery.test_sinks import remount, small_disk

SETTINGS = HealthSettings()
WELL = Liveness(State.HEALTHY, State.HEALTHY, State.HEALTHY, 0)
LABELS = {"network": "XX", "station": "EDGE"}


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


def filled():
    """Return metrics with a value everywhere."""
    values = {one.name: number + 0.5 for number, one in enumerate(fields(Metrics))}
    states = {"mqtt_connected": True, "clock_synced": False, "clock_source": "ticks"}
    return Metrics(**{**values, **states})


def test_the_record_names_states_and_counts():
    """The record is JSON with the node, the worst state, each stage's, and all metrics."""
    state = replace(WELL, output=State.ALARMED)
    record = health_record(LABELS, "2026-11-23T01:14:27.123456Z", filled(), state)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["state"] == "alarmed"
    assert record["stages"] == {"samples": "healthy", "inference": "healthy", "output": "alarmed"}
    assert record["station"] == "EDGE" and record["mqtt_connected"] is True
    assert health_record({}, "", Metrics(), WELL)["mqtt_connected"] is None


CONVENTION = {
    f"eqedge_{name}"
    for name in (
        "samples_total",
        "samples_lost_total",
        "gaps_total",
        "frames_crc_errors_total",
        "frames_seq_lost_total",
        "data_latency_seconds",
        "inference_duration_seconds",
        "inference_rtf",
        "windows_skipped_total",
        "events_total",
        "spool_messages",
        "spool_oldest_seconds",
        "mqtt_connected",
        "clock_offset_seconds",
        "clock_synced",
        "clock_source",
    )
}


def test_metrics_have_the_agreed_names_and_the_form_prometheus_reads():
    """HELP, TYPE, sample, in this order, each once; names by convention; labels escaped."""
    text = prometheus_text({"network": 'X"\\\n', "station": "EDGE"}, filled(), WELL)
    lines = text.splitlines()
    helps = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    assert set(helps) >= CONVENTION and len(set(helps)) == len(helps)
    for one in helps:
        kind = next(line.split()[3] for line in lines if line.startswith(f"# TYPE {one} "))
        assert kind == ("counter" if one.endswith("_total") else "gauge")
    form = re.compile(
        r'[a-z_]+\{network="X\\"\\\\\\n",station="EDGE"'
        r'(,(stage|clock_source)="[a-z]+")?\} [0-9.e+-]+'
    )
    samples = [line for line in lines if not line.startswith("#")]
    assert all(form.fullmatch(line) for line in samples), samples[0]
    assert text.endswith("\n")


def test_what_is_not_known_is_left_out():
    """Without a broker there is no gauge that says it is away; counters begin at zero."""
    text = prometheus_text(LABELS, Metrics(), WELL)
    assert "eqedge_mqtt_connected" not in text
    assert 'eqedge_samples_total{network="XX",station="EDGE"} 0\n' in text


def test_large_counters_keep_every_digit():
    """A year of samples is not rounded."""
    text = prometheus_text({}, Metrics(samples_total=3_153_600_001), WELL)
    assert "eqedge_samples_total{} 3153600001\n" in text


def test_files_are_replaced_whole_and_readable(tmp_path):
    """Each write replaces both files; no half file stays, and others may read them."""
    files = HealthFiles(
        HealthSettings(
            json_file=str(tmp_path / "health.json"), prometheus_file=str(tmp_path / "eqedge.prom")
        )
    )
    for number in range(2):
        files.write({"number": number}, f"eqedge_x {number}\n")
    assert json.loads((tmp_path / "health.json").read_text()) == {"number": 1}
    assert (tmp_path / "eqedge.prom").read_text() == "eqedge_x 1\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["eqedge.prom", "health.json"]
    assert (tmp_path / "eqedge.prom").stat().st_mode & 0o777 == 0o644


def test_files_that_cannot_be_written_are_counted(tmp_path):
    """A missing folder or a read-only disk costs the file, not the node."""
    files = HealthFiles(HealthSettings(json_file=str(tmp_path / "missing" / "health.json")))
    files.write({}, "")
    assert files.errors == 1
    with small_disk(tmp_path / "disk") as disk:
        files = HealthFiles(HealthSettings(prometheus_file=str(disk / "eqedge.prom")))
        files.write({}, "eqedge_x 1\n")
        remount(disk, "ro")
        files.write({}, "eqedge_x 2\n")
        assert files.errors == 1
        assert (disk / "eqedge.prom").read_text() == "eqedge_x 1\n"


@pytest.fixture
def server():
    """An endpoint on a free loopback port."""
    made = HealthServer("127.0.0.1", 0)
    yield made
    made.close()


def get(server, path):
    """Return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_endpoint(server):
    """Metrics and health are served as last published; unhealthy is 503, the rest 404."""
    assert get(server, "/health")[0] == 503
    server.publish(health_record(LABELS, "", Metrics(), WELL), "eqedge_x 1\n")
    assert get(server, "/metrics") == (200, "eqedge_x 1\n")
    status, body = get(server, "/health")
    assert status == 200 and json.loads(body)["state"] == "healthy"
    assert get(server, "/../etc/passwd")[0] == 404
    bad = replace(WELL, samples=State.FAILED)
    server.publish(health_record(LABELS, "", Metrics(), bad), "")
    assert get(server, "/health")[0] == 503


def test_a_client_that_says_nothing_does_not_block_the_endpoint(server):
    """A silent client is cut off after its time, then the next one is served."""
    server._server.RequestHandlerClass.timeout = 0.1
    with socket.create_connection(("127.0.0.1", server.port)):
        assert get(server, "/metrics")[0] == 200


def test_an_endpoint_that_cannot_listen_is_one_line(server):
    """A port that is taken, named with the remedy."""
    with pytest.raises(OutputError, match=f"127.0.0.1:{server.port}.*choose another port"):
        HealthServer("127.0.0.1", server.port)


def test_nothing_listens_by_default():
    """The endpoint is off, and on loopback where it is on."""
    assert HealthSettings().http_port is None
    assert HealthSettings(http_port=free_port()).http_host == "127.0.0.1"


@pytest.mark.parametrize(
    "wrong",
    [{"http_port": 0}, {"retries": -1}, {"interval_seconds": 0}, {"samples_silence_seconds": 1e9}],
)
def test_settings_out_of_range(wrong):
    """Each is refused when the settings are made."""
    with pytest.raises(SettingsError):
        HealthSettings(**wrong)
