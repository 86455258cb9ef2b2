"""Decide which windows are scored: all, or fewer where the machine cannot keep up."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..firmware_bridge.measured import counter, gauge
from ..models.spec import ModelSpec, Thresholds
from .dating.arrivals import Arrival
from .settings.node import WindowSettings
from .settings.validation import require
from .types import NANOSECONDS, Window

EASE_SECONDS = 60.0
"""After this much data without lag the hop is halved again."""
AT_ONCE_NS = 1_000_000
"""A read that took no longer found its bytes waiting."""


class Lag:
    """Measures how long the samples in hand can have been waiting, by the host's monotonic clock.

    Bytes that a read finds at once may have come right after the read before.
    """

    def __init__(self) -> None:
        self._sent_ns = time.monotonic_ns()
        self._read_ns = 0
        self._waiting_since_ns = 0

    def note(self, arrival: Arrival) -> None:
        """Take the time of a read."""
        at_once = arrival.monotonic_ns - self._sent_ns < AT_ONCE_NS
        waited = at_once and self._read_ns > 0
        self._waiting_since_ns = self._read_ns if waited else arrival.monotonic_ns
        self._read_ns = arrival.monotonic_ns

    def reading(self) -> None:
        """Note that the next read begins now."""
        self._sent_ns = time.monotonic_ns()

    @property
    def seconds(self) -> float:
        """Longest that the samples in hand can have been waiting."""
        return (time.monotonic_ns() - self._waiting_since_ns) / NANOSECONDS


@dataclass
class ShedderCounts:
    """What is left out now, and was so far."""

    skipped: int = counter("windows_skipped_total", "Windows left out to keep up.", degrades=1)
    factor: int = gauge(
        "hop_factor", "Factor by which the hop is widened to keep up; 1 is normal.", default=1
    )


class LoadShedder:
    """Leaves out windows by a rule where the machine is too slow, and counts them.

    When a window comes up later than the limit, the hop doubles, and windows are left out until one
    is less than half as late. However late, every sample is scored as often as a pick needs, and
    the window that ends a segment is scored.

    Args:
        limit_seconds: Lag beyond which windows are left out.
        hop: Samples from one window to the next.
        widest: Samples from one scored window to the next at most.
        rate_hz: Samples a second.

    Attributes:
        counts: Windows left out, and how far the hop is widened.
    """

    def __init__(self, limit_seconds: float, hop: int, widest: int, rate_hz: float) -> None:
        self.counts = ShedderCounts()
        self._limit_seconds = limit_seconds
        self._hop = hop
        self._widest = max(hop, widest)
        self._ease = round(EASE_SECONDS * rate_hz)
        self._segment = -1
        self._scored_end = 0
        self._changed_end = 0
        self._shedding = False

    @classmethod
    def of(
        cls, settings: WindowSettings, thresholds: Thresholds, spec: ModelSpec, *, live: bool
    ) -> LoadShedder:
        """Make one for a node; a stream that waits for the chain has no lag to bound.

        Raises:
            SettingsError: The hop is so long that no pick could ever be confirmed.
        """
        window_seconds = spec.window_samples / spec.sampling_rate_hz
        widest_seconds = min(
            window_seconds / thresholds.confirm_windows,
            window_seconds - thresholds.confirm_seconds,
        )
        require(
            settings.hop_seconds <= widest_seconds,
            f"hop {settings.hop_seconds:g} s: in windows of {window_seconds:g} s no pick is seen "
            f"{thresholds.confirm_windows} times and {thresholds.confirm_seconds:g} s long; use a "
            f"hop of at most {max(widest_seconds, 0):g} s, or less confirmation",
        )
        return cls(
            settings.max_lag_seconds if live else float("inf"),
            max(1, round(settings.hop_seconds * spec.sampling_rate_hz)),
            int(widest_seconds * spec.sampling_rate_hz),
            spec.sampling_rate_hz,
        )

    def takes(self, window: Window, lag_seconds: float) -> bool:
        """Decide whether a window is scored.

        Args:
            window: The next one of the stream.
            lag_seconds: How long its samples have been waiting.
        """
        end, counts = window.end_sample, self.counts
        late = lag_seconds > self._limit_seconds * (0.5 if self._shedding else 1.0)
        if late and not self._shedding and 2 * counts.factor * self._hop <= self._widest:
            counts.factor *= 2
        self._shedding = late
        if late:
            self._changed_end = end
        elif counts.factor > 1 and end - self._changed_end >= self._ease:
            counts.factor //= 2
            self._changed_end = end
        due = not late and end - self._scored_end >= counts.factor * self._hop
        unseen = end - self._scored_end > self._widest - self._hop
        if due or unseen or window.closes_segment or window.segment != self._segment:
            self._segment = window.segment
            self._scored_end = end
            return True
        counts.skipped += 1
        return False
