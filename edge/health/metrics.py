"""What the node counted and measured; as JSON, and in Prometheus' words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from typing import Any

from ..types import Message
from .liveness import Liveness, State

SCHEMA = 1
"""Version of the record: fields are added, never renamed."""


def _counter(text: str) -> Any:
    return field(default=0, metadata={"kind": "counter", "help": text})


def _gauge(text: str) -> Any:
    return field(default=None, metadata={"kind": "gauge", "help": text})


def _text(text: str) -> Any:
    return field(default=None, metadata={"kind": "text", "help": text})


@dataclass
class Metrics:
    """What is counted and measured; each field is the metric `eqedge_<field>`.

    Counters start at 0 with the program and only grow. A gauge that is None is not known, and left
    out. A text becomes the label of a metric that is always 1.
    """

    uptime_seconds: float | None = _gauge("Time since the program started.")
    samples_total: int = _counter("Samples taken in, per component.")
    samples_lost_total: int = _counter("Samples that never came, per component.")
    gaps_total: int = _counter("Gaps too long to be filled.")
    frames_crc_errors_total: int = _counter("Frames whose checksum was wrong.")
    frames_seq_lost_total: int = _counter("Packets that never came, by their sequence numbers.")
    sensor_samples_dropped_total: int = _counter("Samples the sensor took but could not send.")
    sensor_adc_faults_total: int = _counter("Times the sensor's converter failed to answer right.")
    sensor_adc_ok: bool | None = _gauge("1 while the sensor's converter answers.")
    sensor_temperature_celsius: float | None = _gauge("Temperature of the sensor.")
    sensor_supply_volts: float | None = _gauge("Supply of the sensor.")
    data_latency_seconds: float | None = _gauge("Age of the newest sample when it came in.")
    lag_seconds: float | None = _gauge("Longest that a scored window's samples waited, lately.")
    inference_duration_seconds: float | None = _gauge("Preparation and network, newest window.")
    inference_rtf: float | None = _gauge("Share of real time spent scoring; 1 is too slow.")
    inference_seconds_total: float = _counter("Time spent scoring.")
    windows_total: int = _counter("Windows scored.")
    windows_skipped_total: int = _counter("Windows left out to keep up.")
    hop_factor: int | None = _gauge("By how much the hop is widened to keep up; 1 is normal.")
    source_reopened_total: int = _counter("Times the source was reopened because it was silent.")
    events_total: int = _counter("Events begun.")
    messages_total: int = _counter("Messages handed to the outputs.")
    output_waiting_lines: int | None = _gauge("Lines the disk refused, in memory.")
    output_errors_total: int = _counter("Attempts to write a line that failed.")
    output_lost_total: int = _counter("Lines given up because too many waited.")
    spool_messages: int | None = _gauge("Messages not acknowledged by the broker yet.")
    spool_oldest_seconds: float | None = _gauge("Age of the oldest of them.")
    spool_purged_total: int = _counter("Messages given up because too many waited.")
    spool_errors_total: int = _counter("Transactions of the spool that the disk refused.")
    spool_damaged_total: int = _counter("Spools of earlier runs set aside because of damage.")
    snippets_total: int = _counter("Waveform files written.")
    snippets_purged_total: int = _counter("Waveform files removed to keep the quota.")
    snippets_errors_total: int = _counter("Waveform files that could not be written.")
    mqtt_connected: bool | None = _gauge("1 while the broker is connected.")
    mqtt_connects_total: int = _counter("Connections the broker accepted.")
    mqtt_failures_total: int = _counter("Connections lost, and attempts that failed.")
    mqtt_delivered_total: int = _counter("Messages the broker acknowledged.")
    mqtt_refused_total: int = _counter("Messages too long, or never taken by the broker.")
    mqtt_postponed_total: int = _counter("Refusals after which a message was kept and sent again.")
    clock_source: str | None = _text("What dates the samples: pps, ticks, host or sim.")
    clock_synced: bool | None = _gauge("1 while the clock that dates samples follows UTC.")
    clock_offset_seconds: float | None = _gauge("Offset of the clock that dates samples.")
    clock_error_seconds: float | None = _gauge("Half width of the uncertainty of a sample's time.")
    health_errors_total: int = _counter("Health files that could not be written.")
    notify_unsent_total: int = _counter("Notifications that systemd's queue refused.")
    resident_memory_bytes: int | None = _gauge("Memory of the process.")
    disk_free_bytes: int | None = _gauge("Space left where messages are kept.")

    def known(self) -> Iterator[tuple[Field[Any], Any]]:
        """Yield the fields that have a value, and it."""
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None:
                yield one, value


def health_record(node: Message, time_text: str, metrics: Metrics, state: Liveness) -> Message:
    """Return the health of the node as a message.

    Args:
        node: What tells it from others: network, station, boot_id.
        time_text: UTC now.
        metrics: What it counted; unknown gauges become null.
        state: Of its stages.
    """
    return {
        "schema": SCHEMA,
        "type": "health",
        **node,
        "time": time_text,
        "state": state.worst.name.lower(),
        "stages": {name: one.name.lower() for name, one in state.stages.items()},
        **asdict(metrics),
    }


def prometheus_text(labels: Mapping[str, str], metrics: Metrics, state: Liveness) -> str:
    """Return the health of the node in Prometheus' text format, version 0.0.4.

    Args:
        labels: On every sample: network, station.
        metrics: What it counted.
        state: Of its stages.
    """
    lines = []
    for one, value in metrics.known():
        name, kind, own = f"eqedge_{one.name}", one.metadata["kind"], labels
        if kind == "text":
            kind, own, value = "gauge", {**labels, one.name: value}, 1
        lines.append(f"# HELP {name} {one.metadata['help']}")
        lines.append(f"# TYPE {name} {kind}")
        lines.append(f"{name}{_labels(own)} {float(value):.17g}")
    name = "eqedge_stage_state"
    steps = ", ".join(f"{one.value} {one.name.lower()}" for one in State)
    lines += [f"# HELP {name} {steps}.", f"# TYPE {name} gauge"]
    for stage, step in state.stages.items():
        lines.append(f"{name}{_labels({**labels, 'stage': stage})} {step.value}")
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items()) + "}"
