"""Compute a sensor's figures from its packets: rate, gaps, clock, level, noise."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....firmware_bridge.counters import Unwrapper
from ....firmware_bridge.packets import Hello, Samples, Status, TimeReply
from ....firmware_bridge.tickclock import TickClock
from ...types import NANOSECONDS
from .listener import Received

FURTHEST = 100.0
"""Factor by which the true tick rate may differ from the stated one: it is to be found out."""


@dataclass(frozen=True)
class Figures:
    """State of a sensor."""

    hello: Hello | None
    status: Status | None
    samples: int
    """Samples received since the last boot."""
    missing: int
    """Samples missing by number between the first and the last."""
    gaps: int
    boots: int
    """Restarts of the sensor."""
    contradicting: int
    """Samples packets with another number of channels than its Hello; left out."""
    sent_channels: int
    """Channels in the latest of them."""
    rate_hz: float | None
    """Samples a second by the host's clock, or None until it is measured."""
    tick_ppm: float | None
    """Error of the device's crystal by the host's clock; positive is too fast."""
    tick_ppm_error: float | None
    """Error bound of `tick_ppm`."""
    round_trip_seconds: float | None
    """Time on the line of the quickest of the latest time requests."""
    latency_seconds: float | None
    """Age of the newest sample when its packet had arrived."""
    mean_counts: tuple[float, ...]
    rms_counts: tuple[float, ...]
    """Root mean square about the mean over the latest seconds."""


class Monitor:
    """Keeps the latest samples of one sensor and the round trips of its clock."""

    def __init__(self, window_seconds: float = 10.0) -> None:
        """Begin without figures; level and noise are over `window_seconds`."""
        self._window_seconds = window_seconds
        self._hello: Hello | None = None
        self._boots = 0
        self._restart(None)

    def _restart(self, boot: int | None) -> None:
        self._boot = boot
        self._status: Status | None = None
        self._sample, self._tick = Unwrapper(32), Unwrapper(32)
        self._received = self._missing = self._gaps = 0
        self._contradicting = self._sent_channels = 0
        self._next_sample: int | None = None
        self._last_tick = 0
        self._last_seconds = 0.0
        self._blocks: deque[NDArray[np.int32]] = deque()
        self._held = 0
        self._clock: TickClock | None = None
        self._first_point: tuple[int, int] | None = None
        self._last_point: tuple[int, int] = (0, 0)

    def take(self, received: Received) -> None:
        """Update the figures with one packet."""
        packet, requested_ns = received.packet, received.requested_ns
        seconds = received.arrival.monotonic_ns / NANOSECONDS
        if isinstance(packet, Hello):
            if self._blocks and self._blocks[-1].shape[1] != len(packet.channels):
                self._blocks.clear()  # of another number of channels
                self._held = 0
            self._hello = packet
        if isinstance(packet, Hello | Samples | Status | TimeReply) and packet.boot != self._boot:
            self._boots += self._boot is not None
            self._restart(packet.boot)
        if isinstance(packet, Status):
            self._status = packet
        elif isinstance(packet, TimeReply) and requested_ns is not None and self._hello:
            self._clock = self._clock or TickClock(self._hello.tick_hz, 600, FURTHEST)
            self._clock.note(packet, requested_ns / NANOSECONDS, seconds)
        elif isinstance(packet, Samples) and self._fits(packet):
            self._count(packet, seconds)

    def _fits(self, packet: Samples) -> bool:
        """Whether a packet has the channels of the Hello, or of those before; count it if not."""
        channels: int = packet.counts.shape[1]
        if self._hello is not None:
            expected = len(self._hello.channels)
        else:
            expected = self._blocks[-1].shape[1] if self._blocks else channels
        if channels != expected:
            self._contradicting += 1
            self._sent_channels = channels
        return channels == expected

    def _count(self, packet: Samples, seconds: float) -> None:
        first = self._sample(packet.first_sample)
        if self._next_sample is not None and first != self._next_sample:
            if first < self._next_sample:
                return  # late: already counted as missing
            self._missing += first - self._next_sample
            self._gaps += 1
        self._next_sample = first + len(packet.counts)
        self._received += len(packet.counts)
        self._last_tick, self._last_seconds = self._tick(packet.tick), seconds
        self._last_point = (first, self._last_tick)
        self._first_point = self._first_point or self._last_point
        self._blocks.append(packet.counts)
        self._held += len(packet.counts)
        limit = self._window_seconds * (self._hello.rate_hz if self._hello else 100.0)
        while self._held - len(self._blocks[0]) > limit:
            self._held -= len(self._blocks.popleft())

    def recent(self) -> NDArray[np.int32]:
        """Return the latest counts, shape (samples, channels)."""
        return np.concatenate(self._blocks) if self._blocks else np.empty((0, 0), np.int32)

    def report(self) -> Figures:
        """Return the present figures."""
        recent = self.recent().astype(np.float64)
        clock, hello = self._clock, self._hello
        rate = latency = None
        if clock is not None and hello is not None and self._first_point is not None:
            samples = self._last_point[0] - self._first_point[0]
            ticks = self._last_point[1] - self._first_point[1]
            rate = samples / ticks * clock.ticks_per_second if ticks > 0 else None
            taken = clock.host_seconds(self._last_tick & 0xFFFF_FFFF)
            if taken is not None:
                newest = len(self._blocks[-1]) if self._blocks else 1
                latency = self._last_seconds - taken - (newest - 1) / hello.rate_hz
        return Figures(
            hello=hello,
            status=self._status,
            samples=self._received,
            missing=self._missing,
            gaps=self._gaps,
            boots=self._boots,
            contradicting=self._contradicting,
            sent_channels=self._sent_channels,
            rate_hz=rate,
            tick_ppm=clock.drift_ppm if clock else None,
            tick_ppm_error=clock.drift_error_ppm if clock else None,
            round_trip_seconds=clock.quickest_seconds if clock else None,
            latency_seconds=latency,
            mean_counts=tuple(recent.mean(axis=0)) if recent.size else (),
            rms_counts=tuple(recent.std(axis=0)) if recent.size else (),
        )
