"""The health record, Prometheus' text and the table of metrics, derived from what stages count."""

import importlib
import json
import pkgutil
import re
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path

import pytest
from eqedge import edge, firmware_bridge
from eqedge.edge.delivery.counts import MqttCounts
from eqedge.edge.gaps import StreamCounts
from eqedge.edge.health.liveness import Liveness, State
from eqedge.edge.health.metrics import (
    STAGES,
    Metric,
    health_record,
    metrics_of,
    prometheus_text,
)
from eqedge.edge.run_counts import RunCounts
from eqedge.firmware_bridge.measured import counter, descriptions, gauge

from studies.reference import metrics_page

WELL = Liveness(State.HEALTHY, State.HEALTHY, State.HEALTHY, 0)
LABELS = {"network": "XX", "station": "EDGE"}
KEPT = Path(__file__).with_name("metrics-1.txt")
"""Name and kind of each metric that once was published."""
KEPT_METRICS = 76
COUNTS = re.compile(r"(Counts|Losses|Health|State)$")
"""Names of classes that count or measure; `State` also ends those of enumerations."""


def counting_classes():
    """Return every dataclass of the device whose name is that of counts."""
    found = set()
    for package in (edge, firmware_bridge):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                members = vars(importlib.import_module(module.name)).values()
                found |= {one for one in members if isinstance(one, type) and is_dataclass(one)}
    return {one for one in found if COUNTS.search(one.__name__) and "eqedge" in one.__module__}


def reached(stages):
    """Return the dataclasses, and those that their fields hold by default."""
    for stage in stages:
        yield stage
        held = [one.default_factory for one in fields(stage)]
        yield from reached(one for one in held if isinstance(one, type) and is_dataclass(one))


def test_every_field_of_every_counting_class_is_published():
    """A counter that is added cannot be forgotten: not its class, and not one field of it."""
    published_classes = set(reached(STAGES))
    assert counting_classes() - published_classes == set()
    for one in published_classes:
        for kept in fields(one):
            is_held = isinstance(kept.default_factory, type) and is_dataclass(kept.default_factory)
            is_text = str(kept.type).startswith("str")  # the words of a reason, no measurement
            published = is_held or is_text or "measured" in kept.metadata
            assert published, f"{one.__name__}.{kept.name} is in no health record"


def filled():
    """Return every metric, each with a value."""
    states = {"mqtt_connected": True, "clock_synced": False, "clock_source": "ticks"}
    states |= {"model": "own", "model_refused": "other"}
    states |= {"mqtt_limits": "few", "mqtt_trouble": "none"}
    return [
        Metric(one.description, states.get(one.name, number + 0.5))
        for number, one in enumerate(metrics_of(()))
    ]


def test_the_record_names_states_and_counts():
    """The record is JSON with the node, the worst state, each stage's, and all metrics."""
    state = replace(WELL, output=State.ALARMED)
    record = health_record(LABELS, "2026-11-23T01:14:27.123456Z", filled(), state)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["state"] == "alarmed"
    assert record["stages"] == {"samples": "healthy", "inference": "healthy", "output": "alarmed"}
    assert record["station"] == "EDGE" and record["mqtt_connected"] is True
    assert health_record({}, "", metrics_of(()), WELL)["mqtt_connected"] is None


def test_metrics_that_were_published_stay():
    """Subscribers, dashboards and alarms use names and kinds; they are added, never changed."""
    kept = KEPT.read_text().splitlines()
    assert len(kept) >= KEPT_METRICS
    today = {f"{one.name} {one.description.kind}" for one in metrics_of(())}
    assert set(kept) <= today, "a metric was renamed, removed, or changed its kind"


def test_metrics_have_the_form_prometheus_reads():
    """HELP, TYPE, sample, in this order, each once; names by convention; labels escaped."""
    text = prometheus_text({"network": 'X"\\\n', "station": "EDGE"}, filled(), WELL)
    lines = text.splitlines()
    helps = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    assert len(helps) == len(filled()) + 2 and len(set(helps)) == len(helps)
    for one in helps:
        kind = next(line.split()[3] for line in lines if line.startswith(f"# TYPE {one} "))
        assert kind == ("counter" if one.endswith("_total") else "gauge")
    form = re.compile(
        r'[a-z_]+\{network="X\\"\\\\\\n",station="EDGE"'
        r'(,(stage|clock_source|model|model_refused|mqtt_limits|mqtt_trouble)="[a-z]+")?'
        r"\} [0-9.e+-]+"
    )
    samples = [line for line in lines if not line.startswith("#")]
    assert all(form.fullmatch(line) for line in samples), samples[0]
    assert text.endswith("\n")


def test_what_is_not_known_is_left_out():
    """Without a broker no gauge reports that it is away; counters begin at zero."""
    text = prometheus_text(LABELS, metrics_of(()), WELL)
    assert "eqedge_mqtt_connected" not in text
    assert 'eqedge_samples_total{network="XX",station="EDGE"} 0\n' in text


def test_large_counters_keep_every_digit():
    """A year of samples is not rounded."""
    counts = RunCounts(stream=StreamCounts(samples=3_153_600_001))
    text = prometheus_text({}, metrics_of([counts]), WELL)
    assert "eqedge_samples_total{} 3153600001\n" in text


def test_fields_of_one_metric_are_added():
    """What the broker rejected, and what is too long to be sent to it, are one metric."""
    found = {one.name: one.value for one in metrics_of([MqttCounts(refused=2, oversized=3)])}
    assert found["mqtt_refused_total"] == 5


def test_no_two_stages_have_one_metric():
    """Only fields of one dataclass may share a metric; their help is then the same."""
    owners = {}
    for stage in STAGES:
        for one in descriptions(stage):
            assert owners.setdefault(one.metric, (stage, one)) == (stage, one)
            assert one.help.endswith(".") and "|" not in one.help


@dataclass
class Inner:
    """Held by `Fake`."""

    quakes: int = counter("fake_quakes_total", "Quakes in a fake.", degrades=2)


@dataclass
class Fake:
    """A stage, each of whose metrics is one line."""

    depth: float | None = gauge("fake_depth_metres", "Depth of a fake.", digits=1)
    private: int = 7
    inner: Inner = field(default_factory=Inner)


@pytest.mark.parametrize("given", [(), (Fake(12.345, inner=Inner(3)),)])
def test_a_counter_is_one_line(given):
    """A field with its help and effect appears in the record, in the text and in the table."""
    stages = (*STAGES, Fake)
    metrics = metrics_of(given, stages)
    record = health_record({}, "", metrics, WELL)
    fakes = {name: value for name, value in record.items() if name.startswith("fake")}
    expected = (12.3, 3) if given else (None, 0)
    assert (fakes.pop("fake_depth_metres"), fakes.pop("fake_quakes_total")) == expected
    assert not fakes
    text = prometheus_text({}, metrics, WELL)
    assert f"eqedge_fake_quakes_total{{}} {expected[1]}\n" in text
    assert "# HELP eqedge_fake_quakes_total Quakes in a fake.\n" in text
    assert ("eqedge_fake_depth_metres" in text) == bool(given)
    row = "| `eqedge_fake_quakes_total` | counter | Quakes in a fake. | degraded: + 2 |\n"
    assert row in metrics_page(stages)
