"""Measure how many of a sensor's ticks pass from one sample to the next."""

from __future__ import annotations

from collections import deque

from ...firmware_bridge.counters import unwrap
from .arrivals import RATE_OFF, Ticked

RATE_SECONDS = 60.0
"""The rate of the samples is measured over the length of a window."""
SKIP_SECONDS = 0.01
"""A tick this much further from where its sample's number puts it: one of the two has skipped."""


class SampleTicks:
    """Measures how many ticks pass between two samples, by the blocks of the last minute.

    A converter that has an oscillator of its own samples up to percents off its nominal rate,
    whatever the crystal does that ticks.

    Args:
        rate_hz: Nominal sampling rate.
        tick_hz: Nominal tick rate.
    """

    def __init__(self, rate_hz: float, tick_hz: float) -> None:
        self._nominal = tick_hz / rate_hz
        self._skip_ticks = SKIP_SECONDS * tick_hz
        self._kept_samples = RATE_SECONDS * rate_hz
        self._spacing = rate_hz
        self._points: deque[Ticked] = deque()
        self._newest: Ticked | None = None

    def note(self, ticked: Ticked) -> None:
        """Learn from a block; one older than a block already seen is ignored."""
        newest = self._newest
        if newest is None:
            self._newest = ticked
            self._points.append(ticked)
            return
        samples = ticked.sample - newest.sample
        if samples <= 0:
            return
        expected = newest.tick + samples * self.ticks
        tick = unwrap(ticked.tick, round(expected), 32)
        if abs(tick - expected) > self._skip_ticks + RATE_OFF * samples * self._nominal:
            self._points.clear()
        self._newest = Ticked(ticked.sample, tick)
        while self._points and self._points[0].sample < ticked.sample - self._kept_samples:
            self._points.popleft()
        if not self._points or ticked.sample - self._points[-1].sample >= self._spacing:
            self._points.append(self._newest)

    @property
    def ticks(self) -> float:
        """From one sample to the next; the nominal number where no sensible one is measured."""
        if self._newest is None or self._newest.sample == self._points[0].sample:
            return self._nominal
        first = self._points[0]
        ticks = (self._newest.tick - first.tick) / (self._newest.sample - first.sample)
        return ticks if abs(ticks / self._nominal - 1) <= RATE_OFF else self._nominal
