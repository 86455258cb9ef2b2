"""Write a trigger as the JSON that leaves the node, by `event.schema.json`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata

from ..models.registry import Model
from .fallback import ModelUse
from .settings.node import Settings, StationSettings
from .trigger import thresholds_of
from .types import Instrument, Message, Pick, Trigger
from .utc import utc_moment, utc_text

SCHEMA = 1
"""Version of the message: fields are added, never renamed; it grows with the fields."""

Locate = Callable[[int], "tuple[str, int] | None"]
"""From a sample of a simulated timeline to (trace_name, sample within the trace)."""


@dataclass(frozen=True)
class Node:
    """What every message of one run has in common.

    Attributes:
        station: SEED codes.
        model: The picker.
        boot_id: New at every start of the program.
        locate: In simulation, finds a sample's trace; else None.
        use: Names the settings' model where a packaged one picks in its place.
    """

    station: StationSettings
    model: Model
    boot_id: str
    locate: Locate | None = None
    use: ModelUse | None = None

    @property
    def trace_id(self) -> str:
        """NET.STA.LOC, as SeisBench names a stream."""
        return f"{self.station.network}.{self.station.station}.{self.station.location}"

    @property
    def identity(self) -> Message:
        """What distinguishes its health records from those of other nodes."""
        codes = {"network": self.station.network, "station": self.station.station}
        return {**codes, "location": self.station.location, "boot_id": self.boot_id}

    def sent(self, message: Message) -> bool:
        """Whether a message of an earlier run is of this node's station and location."""
        codes = (self.station.network, self.station.station, self.station.location)
        return codes == tuple(message.get(key) for key in ("network", "station", "location"))

    def info(self, settings: Settings) -> Message:
        """Describe the node, for the broker's retained `info`."""
        spec = self.model.spec
        return {
            "schema": SCHEMA,
            "version": metadata.version("eqedge"),
            "boot_id": self.boot_id,
            "network": self.station.network,
            "station": self.station.station,
            "location": self.station.location,
            "trace_id": self.trace_id,
            "model": {"name": self.model.name, "sha256": self.model.sha256},
            "model_fallback": self.use.fallback if self.use else None,
            "sampling_rate_hz": spec.sampling_rate_hz,
            "window_seconds": spec.window_samples / spec.sampling_rate_hz,
            "hop_seconds": settings.window.hop_seconds,
            "thresholds": asdict(thresholds_of(settings.trigger, spec)),
        }

    def event_id(self, time_ns: int) -> str:
        """Name an event by its first pick's time, so that a restart gives it the same name."""
        return f"{self.trace_id}-{utc_moment(time_ns):%Y%m%dT%H%M%S%f}"

    def message(
        self,
        trigger: Trigger,
        instrument: Instrument,
        now_monotonic_ns: int,
    ) -> Message:
        """Write a trigger out.

        Args:
            trigger: From the associator.
            instrument: What sent the samples.
            now_monotonic_ns: The host's monotonic clock, for the latency.
        """
        window = trigger.window
        first, last = trigger.picks[0], trigger.picks[-1]
        data_ms = (window.time_ns(window.end_sample) - last.time_ns) / 1e6
        waited_ms = max(0.0, (now_monotonic_ns - window.received_ns) / 1e6)
        clock = window.clock
        return {
            "schema": SCHEMA,
            "type": trigger.type,
            "event_id": trigger.event_id,
            "sequence": trigger.sequence,
            "boot_id": self.boot_id,
            "network": self.station.network,
            "station": self.station.station,
            "location": self.station.location,
            "channels": list(instrument.channels),
            "trace_id": self.trace_id,
            "sampling_rate_hz": window.rate_hz,
            "sensor_rate_hz": instrument.rate_hz,
            "start_time": utc_text(first.time_ns),
            "start_time_ns": first.time_ns,
            "end_time": utc_text(window.time_ns(trigger.end_sample)),
            "end_time_ns": window.time_ns(trigger.end_sample),
            "peak_time": utc_text(window.time_ns(trigger.peak_sample)),
            "peak_value": round(trigger.detection_probability, 4),
            "detection_probability": round(trigger.detection_probability, 4),
            "picks": [self._pick(pick, trigger) for pick in trigger.picks],
            "model": {"name": self.model.name, "sha256": self.model.sha256},
            "clock": {
                "source": clock.source,
                "synced": clock.synced,
                "offset_s": round(clock.offset_s, 6),
                "error_s": round(clock.error_s, 6),
            },
            "degraded": window.degraded or None,
            "historical": False,
            "latency_ms": {
                "data": round(data_ms, 1),
                "inference": round(trigger.inference_ms, 3),
                "total": round(data_ms + waited_ms, 1),
            },
        }

    def _pick(self, pick: Pick, trigger: Trigger) -> Message:
        window = trigger.window
        written: Message = {
            "phase": pick.phase,
            "time": utc_text(pick.time_ns),
            "time_ns": pick.time_ns,
            "sample": pick.sample,
            "probability": round(pick.probability, 4),
            "start_time": utc_text(window.time_ns(pick.start_sample)),
            "end_time": utc_text(window.time_ns(pick.end_sample)),
        }
        place = self.locate(pick.sample) if self.locate else None
        if place is not None:
            written["sim"] = {"trace_name": place[0], "sample": place[1]}
        return written
