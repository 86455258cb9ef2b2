"""The health record, and the metrics in Prometheus' words."""

import json
import re
from dataclasses import fields, replace

from eqedge.edge.health.liveness import Liveness, State
from eqedge.edge.health.metrics import Metrics, health_record, prometheus_text

WELL = Liveness(State.HEALTHY, State.HEALTHY, State.HEALTHY, 0)
LABELS = {"network": "XX", "station": "EDGE"}


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
        "sensor_samples_dropped_total",
        "sensor_adc_faults_total",
        "sensor_adc_ok",
        "sensor_temperature_celsius",
        "sensor_supply_volts",
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
