"""Settings of health: where it is told, and how long a stage may be silent."""

from __future__ import annotations

from dataclasses import dataclass

from .validation import check, check_host


@dataclass(frozen=True)
class HealthSettings:
    """How the node tells how it is, and when it takes itself for stuck."""

    interval_seconds: float = 30.0
    """From one health record to the next."""
    json_file: str | None = None
    """File that always holds the newest record."""
    prometheus_file: str | None = None
    """File for node_exporter's text file collector; its name ends in .prom."""
    http_port: int | None = None
    """Serve /metrics and /health on this TCP port; None: nothing listens."""
    http_host: str = "127.0.0.1"
    """Address for it; the default is reached from the node itself only."""
    samples_silence_seconds: float = 30.0
    """Without a sample for longer, the source is taken for frozen."""
    inference_silence_seconds: float = 120.0
    """With samples but without a scored window for longer, the chain is taken for stuck; longer
    than the window, which must fill first."""
    output_silence_seconds: float = 120.0
    """Without a sign of life of the outputs for longer, they are taken for stuck; longer than
    looking up a name and connecting may take."""
    retries: int = 3
    """Attempts to recover before the watchdog is left to starve."""
    retry_seconds: float = 10.0
    """From the alarm to the first attempt, and from one to the next."""
    give_up_seconds: float = 120.0
    """After the last attempt so long nobody restarted the node: it ends itself."""
    hang_seconds: float = 300.0
    """The program itself hanging for so long says where, and ends, also inside a library."""

    def __post_init__(self) -> None:
        """Refuse times at which nothing could ever be healthy."""
        check_host("health http_host", self.http_host)
        prometheus = self.prometheus_file
        check(
            prometheus is None or prometheus.endswith(".prom"),
            f"health prometheus_file {prometheus}: its name must end in .prom, or node_exporter "
            "does not read it",
        )
        check(
            self.http_port is None or 1 <= self.http_port <= 65535,
            f"health http_port {self.http_port}: use 1 to 65535",
        )
        check(self.retries >= 0, f"health retries {self.retries}: use 0 or more")
        for name in (
            "interval_seconds",
            "samples_silence_seconds",
            "inference_silence_seconds",
            "output_silence_seconds",
            "retry_seconds",
            "give_up_seconds",
            "hang_seconds",
        ):
            value = getattr(self, name)
            check(1 <= value <= 86400, f"health {name} {value}: use 1 to 86400")
