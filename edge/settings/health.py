"""Define where health is published, and how long a stage may be silent."""

from __future__ import annotations

from dataclasses import dataclass

from .documented import setting
from .validation import require, require_host


@dataclass(frozen=True)
class HealthSettings:
    """Where health is published, and when the node counts as stuck."""

    interval_seconds: float = setting(30.0, "Time from one health record to the next.")
    json_file: str | None = setting(
        None, "File that always contains the newest record; unset: none."
    )
    prometheus_file: str | None = setting(
        None, "File for node_exporter's textfile collector; its name must end in .prom."
    )
    http_port: int | None = setting(
        None, "TCP port that serves /metrics and /health; unset: nothing listens."
    )
    http_host: str = setting(
        "127.0.0.1",
        "Address that it listens on; 127.0.0.1 accepts only connections from the node itself.",
    )
    samples_silence_seconds: float = setting(
        30.0, "After this long without a sample the source counts as frozen."
    )
    inference_silence_seconds: float = setting(
        120.0,
        "After this long with samples but without a scored window the chain counts as stuck. "
        "Use more than the length of a window, which must fill first.",
    )
    output_silence_seconds: float = setting(
        120.0,
        "After this long without progress of their threads the outputs count as stuck. Use "
        "more than it takes to look up a name and to connect.",
    )
    degraded_seconds: float = setting(
        60.0,
        "For this long after a loss or an error the node's state is degraded; metrics.md has which "
        "do this.",
    )
    retries: int = setting(
        3, "Attempts to reopen the source before the watchdog gets no more pings."
    )
    retry_seconds: float = setting(
        10.0, "Time from the alarm to the first attempt, and from one attempt to the next."
    )
    give_up_seconds: float = setting(
        120.0,
        "This long after the last attempt the node ends with exit status 70, unless it was "
        "restarted before.",
    )
    hang_seconds: float = setting(
        300.0,
        "A program that hangs for this long, also inside a library, prints the stack of every "
        "thread and ends.",
    )

    def __post_init__(self) -> None:
        """Reject times at which no node could be healthy."""
        require_host("health http_host", self.http_host)
        prometheus = self.prometheus_file
        require(
            prometheus is None or prometheus.endswith(".prom"),
            f"health prometheus_file {prometheus}: its name must end in .prom, or node_exporter "
            "does not read it",
        )
        require(
            self.http_port is None or 1 <= self.http_port <= 65535,
            f"health http_port {self.http_port}: use 1 to 65535",
        )
        require(self.retries >= 0, f"health retries {self.retries}: use 0 or more")
        for name in (
            "interval_seconds",
            "samples_silence_seconds",
            "inference_silence_seconds",
            "output_silence_seconds",
            "retry_seconds",
            "give_up_seconds",
            "hang_seconds",
            "degraded_seconds",
        ):
            value = getattr(self, name)
            require(1 <= value <= 86400, f"health {name} {value}: use 1 to 86400")
