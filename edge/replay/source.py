"""Deliver a timeline of traces as a sensor's bytes, at any speed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event

from ...firmware_bridge.packets import Hello
from ...firmware_bridge.virtual import VirtualSensor
from ..dating.arrivals import Arrival, Clock
from ..dating.replayed import SimClock
from ..sources import now
from ..types import NANOSECONDS
from .timeline import Timeline

SIM_CHANNELS = ("HHE", "HHN", "HHZ")
SIM_CHUNK_SECONDS = 0.5
MAX_SAMPLES = 255
"""In one packet."""


class SimSource:
    """A timeline of traces, digitised, framed and delivered at any speed.

    Args:
        timeline: What to play.
        rate_hz: Its rate.
        start_ns: UTC of its first sample.
        speed: Multiple of real time; None for as fast as it is read.
        stop: Set to end it.
    """

    def __init__(
        self, timeline: Timeline, rate_hz: float, start_ns: int, speed: float | None, stop: Event
    ) -> None:
        hello = Hello(
            device_id="eqedge-sim",
            firmware="VirtualSensor",
            rate_hz=rate_hz,
            channels=SIM_CHANNELS,
            adc_bits=32,
        )
        samples_per_packet = min(round(rate_hz * SIM_CHUNK_SECONDS), MAX_SAMPLES)
        self._sensor = VirtualSensor(hello, samples_per_packet)
        self._timeline = timeline
        self._rate_hz = rate_hz
        self._start_ns = start_ns
        self._speed = speed
        self._stop = stop

    def __iter__(self) -> Iterator[tuple[bytes, Arrival]]:
        """Yield the sensor's bytes at their time."""
        chunk = round(self._rate_hz * SIM_CHUNK_SECONDS)
        begin = time.monotonic()
        sent = 0
        yield self._sensor.greet(), now()
        for counts in self._timeline.stretches():
            for at in range(0, len(counts), chunk):
                if self._stop.is_set():
                    return
                part = counts[at : at + chunk]
                sent += len(part)
                arrival = now()
                if self._speed is not None:
                    due = begin + sent / self._rate_hz / self._speed
                    self._stop.wait(max(0.0, due - time.monotonic()))
                    # Read late, it has been waiting since it was due.
                    arrival = Arrival(round(due * NANOSECONDS), time.time_ns())
                yield self._sensor.push(part), arrival
        yield self._sensor.flush(), now()

    @property
    def losses(self) -> int:
        """None: a file is not unplugged."""
        return 0

    @property
    def reopenings(self) -> int:
        """None, therefore."""
        return 0

    def clock(self, hello: Hello) -> Clock:
        """Return the timeline's own time."""
        return SimClock(self._start_ns, hello.rate_hz)

    def identify(self) -> None:
        """Do nothing: the Hello cannot be lost here."""

    def reopen(self) -> None:
        """Do nothing: a file does not fall silent."""
