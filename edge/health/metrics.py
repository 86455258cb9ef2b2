"""Derive the health record, Prometheus' text and the table of metrics from what stages count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...firmware_bridge.measured import Measured, counter, descriptions, gauge, values
from ..delivery.counts import MqttCounts
from ..delivery.file import FileCounts
from ..delivery.outputs import DiskState
from ..delivery.spool_counts import SpoolCounts, SpoolState
from ..delivery.waveforms import WaveformCounts
from ..fallback import ModelUse
from ..run_counts import RunCounts
from ..types import ClockState, Message
from .liveness import Liveness, State
from .notify import NotifyCounts
from .outlets import HealthFileCounts

SCHEMA = 1
"""Version of the record: fields are added, never renamed."""
DEGRADED = "degraded"
"""State of a node whose stages all advance, but which has a reason not to count as healthy."""
DEGRADED_HELP = "1 while the health record gives a reason for a degraded state."


@dataclass
class NodeCounts:
    """What the health monitor itself counts and measures."""

    uptime_seconds: float | None = gauge(
        "uptime_seconds", "Time since the program started.", digits=3
    )
    resident_bytes: int | None = gauge("resident_memory_bytes", "Memory of the process.")
    data_latency_seconds: float | None = gauge(
        "data_latency_seconds", "Age of the newest sample when it arrived.", digits=6
    )
    lag_seconds: float | None = gauge(
        "lag_seconds", "Longest wait of samples for their score since the last record.", digits=4
    )
    inference_duration_seconds: float | None = gauge(
        "inference_duration_seconds", "Time to prepare and score the newest window.", digits=6
    )
    inference_rtf: float | None = gauge(
        "inference_rtf", "Share of real time spent on scoring; 1 is too slow.", digits=5
    )
    reopened: int = counter(
        "source_reopened_total",
        "Times the source was reopened because it was silent.",
        degrades=1,
    )


STAGES: tuple[type, ...] = (
    NodeCounts,
    RunCounts,
    ClockState,
    FileCounts,
    DiskState,
    SpoolCounts,
    SpoolState,
    MqttCounts,
    WaveformCounts,
    HealthFileCounts,
    NotifyCounts,
    ModelUse,
)
"""All that a node can count or measure; what their fields hold by default is included."""


@dataclass(frozen=True)
class Metric:
    """One metric and its value; None where it is unknown."""

    description: Measured
    value: Any

    @property
    def name(self) -> str:
        """Key in the record; Prometheus' name after `eqedge_`."""
        return self.description.metric


def metrics_of(counts: Iterable[Any], stages: Sequence[type] = STAGES) -> list[Metric]:
    """Return every metric of the stages.

    Args:
        counts: One instance of each stage that the node has. Of the others, counters are 0 and
            the rest is unknown.
        stages: Dataclasses with fields by `counter`, `gauge` or `published`.
    """
    known = {type(one): one for one in counts}
    metrics: dict[str, Metric] = {}
    for stage in stages:
        pairs = values(known[stage]) if stage in known else _unknown(stage)
        for description, value in pairs:
            before = metrics.get(description.metric)
            total = value if before is None else before.value + value
            metrics[description.metric] = Metric(description, total)
    return list(metrics.values())


def _unknown(stage: type) -> Iterable[tuple[Measured, Any]]:
    for description in descriptions(stage):
        yield description, 0 if description.kind == "counter" else None


def health_record(
    node: Message,
    time_text: str,
    metrics: Iterable[Metric],
    state: Liveness,
    reasons: Sequence[str] = (),
) -> Message:
    """Return the health of the node as a message.

    Args:
        node: Identifies it: network, station, boot_id.
        time_text: UTC now.
        metrics: What it counted; an unknown one becomes null.
        state: Of its stages.
        reasons: Why it is degraded though they may all advance, see `Degradation`.
    """
    return {
        "schema": SCHEMA,
        "type": "health",
        **node,
        "time": time_text,
        "state": state_name(state, reasons),
        "stages": {name: one.name.lower() for name, one in state.stages.items()},
        "reasons": list(reasons),
        **{one.name: one.value for one in metrics},
    }


def state_name(state: Liveness, reasons: Sequence[str]) -> str:
    """Return the worst state of a stage; where all advance, `degraded` or `healthy`."""
    if state.worst is State.HEALTHY and reasons:
        return DEGRADED
    return state.worst.name.lower()


def prometheus_text(
    labels: Mapping[str, str],
    metrics: Iterable[Metric],
    state: Liveness,
    reasons: Sequence[str] = (),
) -> str:
    """Return the health of the node in Prometheus' text format, version 0.0.4.

    Args:
        labels: On every sample: network, station.
        metrics: What it counted; an unknown one is left out. A label becomes the label of a metric
            that is always 1.
        state: Of its stages.
        reasons: As for `health_record`.
    """
    lines = []
    for one in metrics:
        if one.value is None:
            continue
        name, kind, own, value = f"eqedge_{one.name}", one.description.kind, labels, one.value
        if kind == "label":
            kind, own, value = "gauge", {**labels, one.name: str(value)}, 1
        lines.append(f"# HELP {name} {one.description.help}")
        lines.append(f"# TYPE {name} {kind}")
        lines.append(f"{name}{_labels(own)} {float(value):.17g}")
    name = "eqedge_stage_state"
    lines += [f"# HELP {name} {stage_steps()}.", f"# TYPE {name} gauge"]
    for stage, step in state.stages.items():
        lines.append(f"{name}{_labels({**labels, 'stage': stage})} {step.value}")
    name = "eqedge_degraded"
    lines += [f"# HELP {name} {DEGRADED_HELP}", f"# TYPE {name} gauge"]
    lines.append(f"{name}{_labels(labels)} {int(bool(reasons))}")
    return "\n".join(lines) + "\n"


def stage_steps() -> str:
    """Return the steps of a stage's state, as its metric has them: `0 healthy, 1 alarmed, ...`."""
    return ", ".join(f"{one.value} {one.name.lower()}" for one in State)


def _labels(labels: Mapping[str, str]) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items()) + "}"
