"""Windows -> those that are scored: all of them, or fewer where the machine cannot keep up."""

from __future__ import annotations

from ..models.spec import ModelSpec, Thresholds
from .settings.node import WindowSettings
from .settings.validation import check
from .types import Window

EASE_SECONDS = 60.0
"""After this much data without lag the hop is halved again."""


class Pace:
    """Sheds the oldest work by a rule, never silently: what it leaves out is counted.

    When a window comes up later than the limit, the hop doubles, and windows are left out until one
    is less than half as late. However late, no stretch is left out that would then have been seen
    less often than a pick must be, and the window that ends a segment is scored.

    Args:
        limit_seconds: Lag beyond which windows are left out.
        hop: Samples from one window to the next.
        widest: Samples from one scored window to the next at most.
        rate_hz: Samples a second.

    Attributes:
        factor: By which the hop is widened now.
        skipped: Windows left out.
    """

    def __init__(self, limit_seconds: float, hop: int, widest: int, rate_hz: float) -> None:
        self.factor = 1
        self.skipped = 0
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
    ) -> Pace:
        """Make one for a node; where the stream waits for the chain there is no lag to bound.

        Raises:
            SettingsError: The hop is so long that no pick could ever be confirmed.
        """
        window_seconds = spec.window_samples / spec.sampling_rate_hz
        widest_seconds = min(
            window_seconds / thresholds.confirm_windows,
            window_seconds - thresholds.confirm_seconds,
        )
        check(
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
        end = window.end_sample
        late = lag_seconds > self._limit_seconds * (0.5 if self._shedding else 1.0)
        if late and not self._shedding and 2 * self.factor * self._hop <= self._widest:
            self.factor *= 2
        self._shedding = late
        if late:
            self._changed_end = end
        elif self.factor > 1 and end - self._changed_end >= self._ease:
            self.factor //= 2
            self._changed_end = end
        due = not late and end - self._scored_end >= self.factor * self._hop
        unseen = end - self._scored_end > self._widest - self._hop
        if due or unseen or window.closes_segment or window.segment != self._segment:
            self._segment = window.segment
            self._scored_end = end
            return True
        self.skipped += 1
        return False
