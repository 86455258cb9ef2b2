"""How the node is: what it counted, whether it advances; as JSON, and in Prometheus' words."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from enum import IntEnum
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from ..delivery.sinks import OutputError
from ..records import Message
from ..settings import HealthSettings

SCHEMA = 1
"""Version of the record: fields are added, never renamed."""
REQUEST_SECONDS = 5.0
"""A client of the HTTP endpoint that is slower is cut off."""


class State(IntEnum):
    """How long a stage has been silent, in steps; from ESCALATED on the watchdog starves."""

    HEALTHY = 0
    ALARMED = 1
    RECOVERING = 2
    ESCALATED = 3
    FAILED = 4


@dataclass(frozen=True)
class Progress:
    """When each stage last advanced, on the monotonic clock, seconds.

    Attributes:
        samples: The newest block came in.
        flowing_since: The first block after the last silence came in.
        inference: The newest window was scored.
        output: Every sink last proved that it is not stuck. A full disk or an absent broker is no
            such thing: they take, and keep.
    """

    samples: float
    flowing_since: float
    inference: float
    output: float


@dataclass(frozen=True)
class Liveness:
    """The state of each stage.

    Attributes:
        samples: Do samples come?
        inference: Are they scored?
        output: Do messages get out of the way?
        attempt: Which attempt to recover the source is due: 0 none, then counting.
    """

    samples: State
    inference: State
    output: State
    attempt: int

    @property
    def stages(self) -> dict[str, State]:
        """The state by the name of the stage."""
        return {"samples": self.samples, "inference": self.inference, "output": self.output}

    @property
    def worst(self) -> State:
        """The state of the stage that is worst."""
        return max(self.stages.values())

    @property
    def feeds_watchdog(self) -> bool:
        """Whether all advance, or at least are still being recovered."""
        return self.worst < State.ESCALATED


def liveness(now: float, progress: Progress, settings: HealthSettings) -> Liveness:
    """Judge the stages.

    Args:
        now: Monotonic clock, seconds.
        progress: When they last advanced, on the same clock.
        settings: How long each may be silent, and how long recovery may take.
    """
    samples = state_of(now - progress.samples, settings.samples_silence_seconds, settings)
    # Without samples there is nothing to score; after a silence the first window takes time again.
    idle = samples is not State.HEALTHY
    unscored = 0.0 if idle else now - max(progress.inference, progress.flowing_since)
    return Liveness(
        samples=samples,
        inference=state_of(unscored, settings.inference_silence_seconds, settings),
        output=state_of(now - progress.output, settings.output_silence_seconds, settings),
        attempt=_attempt(now - progress.samples, settings),
    )


def state_of(silence: float, limit: float, settings: HealthSettings) -> State:
    """Return the state of a stage that has been silent so long, seconds, and may be for `limit`."""
    retries_end = limit + settings.retry_seconds * (1 + settings.retries)
    if silence <= limit:
        return State.HEALTHY
    if silence <= limit + settings.retry_seconds:
        return State.ALARMED
    if silence <= retries_end:
        return State.RECOVERING
    return State.ESCALATED if silence <= retries_end + settings.give_up_seconds else State.FAILED


def _attempt(silence: float, settings: HealthSettings) -> int:
    since_alarm = silence - settings.samples_silence_seconds
    if since_alarm <= 0:
        return 0
    return min(settings.retries, int(since_alarm / settings.retry_seconds))


class Pulse:
    """Keeps `Progress` as the stages report."""

    def __init__(self, now: float, settings: HealthSettings) -> None:
        """Start as if all had just advanced: each has its full time to begin."""
        self._silence = settings.samples_silence_seconds
        self.progress = Progress(now, now, now, now)

    def sampled(self, now: float) -> None:
        """A block came in."""
        since = self.progress.flowing_since
        if now - self.progress.samples > self._silence:
            since = now
        self.progress = Progress(now, since, self.progress.inference, self.progress.output)

    def inferred(self, now: float) -> None:
        """A window was scored."""
        before = self.progress
        self.progress = Progress(before.samples, before.flowing_since, now, before.output)

    def put_out(self, now: float) -> None:
        """The sinks proved alive then: the earliest of the returns of `write` and their threads."""
        before = self.progress
        self.progress = Progress(before.samples, before.flowing_since, before.inference, now)


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
    snippets_total: int = _counter("Waveform files written.")
    snippets_purged_total: int = _counter("Waveform files removed to keep the quota.")
    snippets_errors_total: int = _counter("Waveform files that could not be written.")
    mqtt_connected: bool | None = _gauge("1 while the broker is connected.")
    mqtt_connects_total: int = _counter("Connections the broker accepted.")
    mqtt_failures_total: int = _counter("Connections lost, and attempts that failed.")
    mqtt_delivered_total: int = _counter("Messages the broker acknowledged.")
    mqtt_refused_total: int = _counter("Messages too long, or never taken by the broker.")
    clock_source: str | None = _text("What dates the samples: pps, ticks, host or sim.")
    clock_synced: bool | None = _gauge("1 while the clock that dates samples follows UTC.")
    clock_offset_seconds: float | None = _gauge("Offset of the clock that dates samples.")
    clock_error_seconds: float | None = _gauge("Half width of the uncertainty of a sample's time.")
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


class HealthFiles:
    """Where health is left for others: a JSON file, a Prometheus text file, each always whole.

    Attributes:
        errors: Files that could not be written; the next ones are tried all the same.
    """

    def __init__(self, settings: HealthSettings) -> None:
        """Take the paths; nothing is written yet."""
        self.errors = 0
        self._json = Path(settings.json_file) if settings.json_file else None
        self._prometheus = Path(settings.prometheus_file) if settings.prometheus_file else None

    def write(self, record: Message, text: str) -> None:
        """Replace both files, as far as they are wanted."""
        if self._json is not None:
            self._replace(self._json, json.dumps(record, indent=1) + "\n")
        if self._prometheus is not None:
            self._replace(self._prometheus, text)

    def _replace(self, path: Path, text: str) -> None:
        # The collector reads every *.prom, so the half-written one is named otherwise.
        half = path.with_name(path.name + ".tmp")
        try:
            half.write_text(text)
            half.chmod(0o644)  # the collector is another user, and the service's umask is strict
            os.replace(half, path)
        except OSError:
            self.errors += 1


class HealthServer:
    """`/metrics` and `/health` over HTTP, one client at a time; serves what it was last given."""

    def __init__(self, host: str, port: int) -> None:
        """Listen.

        Args:
            host: Address; 127.0.0.1 keeps it on the node.
            port: TCP port; 0 takes a free one.

        Raises:
            OutputError: The port is taken or the address is not ours.
        """
        self._record: Message = {}
        self._text = ""
        try:
            self._server = HTTPServer((host, port), self._handler())
        except OSError as error:
            raise OutputError(
                f"cannot serve health on {host}:{port}: {error.strerror}; choose another port"
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 1.0}, daemon=True
        )
        self._thread.start()

    def publish(self, record: Message, text: str) -> None:
        """Serve these from now on."""
        self._record, self._text = record, text

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(REQUEST_SECONDS)

    def _answer(self, path: str) -> tuple[int, str, str]:
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4", self._text
        if path == "/health":
            well = self._record.get("state") == State.HEALTHY.name.lower()
            return 200 if well else 503, "application/json", json.dumps(self._record) + "\n"
        return 404, "text/plain", "/metrics or /health\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_SECONDS

            def do_GET(self) -> None:
                status, kind, text = answer(self.path)
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: a scrape every few seconds is no news."""

        return Handler
