"""The frozen types that pass along the chain, one for each link."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..firmware_bridge.measured import gauge, published

Phase = Literal["P", "S"]
PHASES: tuple[Phase, ...] = ("P", "S")
EventType = Literal["new", "update", "end"]
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class ClockState:
    """How far the time of a sample can be trusted.

    Attributes:
        source: `pps` (a receiver's pulses on the sensor's ticks), `ticks` (round trips to them),
            `host` (arrivals at the node), `sim` (the record's own time).
        synced: The source itself follows UTC.
        offset_s: Newest arrival time less the model's, what the line and the buffers cost.
        error_s: Half width within which the time of a sample is expected, seconds.
    """

    source: str = field(
        metadata=published("clock_source", "label", "Clock that dates the samples.")
    )
    synced: bool = field(
        metadata=published(
            "clock_synced", "gauge", "1 while the clock that dates the samples follows UTC."
        )
    )
    offset_s: float = gauge(
        "clock_offset_seconds",
        "Newest arrival less its time by the clock that dates the samples.",
        default=0.0,
        digits=6,
    )
    error_s: float = gauge(
        "clock_error_seconds",
        "Half width of the uncertainty of a sample's time.",
        default=0.0,
        digits=6,
    )


@dataclass(frozen=True)
class Instrument:
    """What sends the samples.

    Attributes:
        channels: SEED channel codes, in the sensor's own order.
        rate_hz: Its sampling rate.
    """

    channels: tuple[str, ...]
    rate_hz: float


@dataclass(frozen=True, eq=False)
class Block:
    """Samples as they come from the sensor, in order.

    Attributes:
        first_sample: Number of its first sample since the sensor's start, never wrapping.
        start_time_ns: UTC of that sample, nanoseconds since 1970.
        samples: (n, 3) counts, components E, N, Z. float32 is exact up to 2^24 counts.
        clock: What dated it.
        degraded: Why not all three components are real and sound, or empty.
        received_ns: When its last byte was read, on the host's monotonic clock.
        rate_hz: Samples a second: the sensor's own, then the model's.
        segment: Counts the stretches without a gap, once `gaps.py` has seen it.
        rate_factor: The true rate by the clock that dated it, as a multiple of `rate_hz`.
        full_scale: Largest count of the sensor's converter; 0 where it is not known.
        absent: Letters of the components that the sensor does not have; they are zero.
    """

    first_sample: int
    start_time_ns: int
    samples: NDArray[np.float32]
    clock: ClockState
    degraded: str = ""
    received_ns: int = 0
    rate_hz: float = 100.0
    segment: int = 0
    rate_factor: float = 1.0
    full_scale: float = 0.0
    absent: str = ""

    def time_ns(self, samples_on: float) -> int:
        """Return the UTC of a sample, counted from the first; negative for one before it."""
        return _later(self.start_time_ns, samples_on, self.rate_hz, self.rate_factor)


@dataclass(frozen=True, eq=False)
class Window:
    """The newest stretch of the stream, as long as the network's input or, at a start, shorter.

    Attributes:
        first_sample: As Block's, at the model's rate.
        start_time_ns: As Block's.
        samples: (n, 3) counts; a view into the ring buffer, good until the next block is pushed.
        rate_hz: Of the samples.
        clock: Of the newest block in it.
        degraded: Of the newest block in it.
        segment: As Block's; nothing is carried from one to the next.
        closes_segment: No sample will follow in this segment.
        received_ns: Of the newest block in it.
        rate_factor: As Block's.
    """

    first_sample: int
    start_time_ns: int
    samples: NDArray[np.float32]
    rate_hz: float
    clock: ClockState
    degraded: str = ""
    segment: int = 0
    closes_segment: bool = False
    received_ns: int = 0
    rate_factor: float = 1.0

    @property
    def end_sample(self) -> int:
        """First sample after it."""
        return self.first_sample + len(self.samples)

    def time_ns(self, sample: int) -> int:
        """UTC of any sample near the window."""
        samples_on = sample - self.first_sample
        return _later(self.start_time_ns, samples_on, self.rate_hz, self.rate_factor)


@dataclass(frozen=True, eq=False)
class Probabilities:
    """The network's answer to one window.

    Attributes:
        window: The window.
        values: (len(window.samples), 3) in the order detection, P, S.
        inference_ms: Wall time of preparation and network.
    """

    window: Window
    values: NDArray[np.float32]
    inference_ms: float


@dataclass(frozen=True)
class Pick:
    """One phase arrival, in SeisBench's terms.

    Attributes:
        phase: P or S.
        sample: Number of the sample of the peak, as Block's.
        time_ns: UTC of it.
        probability: Stacked probability at the peak.
        start_sample: Where the probability rose above half the threshold.
        end_sample: Where it fell below.
    """

    phase: Phase
    sample: int
    time_ns: int
    probability: float
    start_sample: int
    end_sample: int


@dataclass(frozen=True)
class Trigger:
    """One message about one event; several share an `event_id`, from `new` to `end`.

    Attributes:
        type: `new` as early as it can be trusted, `update` when picks come or move, `end` once.
        event_id: The same in all messages of an event, also after a restart.
        sequence: 0 for `new`, then counting.
        picks: In order of time.
        detection_probability: Highest so far.
        start_sample: First sample of the event.
        end_sample: First sample after what is known of it.
        peak_sample: Where the detection probability was highest.
        window: The window that brought the news: its clock, its end, its flags.
        inference_ms: Of that window.
    """

    type: EventType
    event_id: str
    sequence: int
    picks: tuple[Pick, ...]
    detection_probability: float
    start_sample: int
    end_sample: int
    peak_sample: int
    window: Window = field(repr=False, compare=False)
    inference_ms: float = field(default=0.0, compare=False)


Message = dict[str, Any]
"""A trigger as JSON, `edge/event.schema.json`."""


def _later(time_ns: int, samples: float, rate_hz: float, rate_factor: float) -> int:
    return time_ns + round(samples * NANOSECONDS / (rate_hz * rate_factor))
