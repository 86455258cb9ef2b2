"""One event: its picks, how long detection lasts, and which messages it causes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..models.spec import Thresholds
from .settings.node import TriggerSettings
from .stack import Stacked
from .types import EventType, Phase, Pick, Trigger

Curves = NDArray[np.float32]
"""(n, 3) stacked probabilities on the newest window's samples, zero where not yet confirmed."""

SAME_PICK_SECONDS = 0.75
"""Peaks of one phase nearer than this are the same pick, moved."""
SAME_ONSET_SECONDS = 0.3
"""A P and an S peak nearer than this are one arrival, of the likelier phase."""
MOVED_SECONDS = 0.1
"""A pick that moved this far causes an update."""
SETTLING_SECONDS = 0.05
"""A peak this near to the edge of what has been confirmed may still be rising."""
BEFORE_P_SECONDS = 0.5
"""Detection may come on this long before the P it supports."""
MISSING_S_SECONDS = 10.0
"""An event without an S stays open at least this long."""
MISSING_P_SECONDS = 20.0
"""An event without a P stays open this long: a weak P is confirmed late."""


@dataclass(frozen=True)
class Limits:
    """Thresholds as probabilities, durations as samples."""

    detection: float
    phase: dict[Phase, float]
    confirm_windows: int
    confirm: int
    same_pick: int
    same_onset: int
    moved: int
    settling: int
    before_p: int
    missing: dict[Phase, int]
    min_duration: int
    refractory: int
    longest_s_minus_p: int
    quiet: int
    s_alone: int

    @classmethod
    def of(cls, settings: TriggerSettings, thresholds: Thresholds, rate_hz: float) -> Limits:
        """Turn seconds into samples."""

        def samples(seconds: float) -> int:
            return round(seconds * rate_hz)

        return cls(
            detection=thresholds.detection_threshold,
            phase={"P": thresholds.P_threshold, "S": thresholds.S_threshold},
            confirm_windows=thresholds.confirm_windows,
            confirm=samples(thresholds.confirm_seconds),
            same_pick=samples(SAME_PICK_SECONDS),
            same_onset=samples(SAME_ONSET_SECONDS),
            moved=samples(MOVED_SECONDS),
            settling=samples(SETTLING_SECONDS),
            before_p=samples(BEFORE_P_SECONDS),
            missing={"S": samples(MISSING_S_SECONDS), "P": samples(MISSING_P_SECONDS)},
            min_duration=max(1, samples(thresholds.min_duration_seconds)),
            refractory=samples(settings.refractory_seconds),
            longest_s_minus_p=samples(settings.max_s_minus_p_seconds),
            quiet=samples(settings.end_quiet_seconds),
            s_alone=samples(settings.s_alone_seconds),
        )


@dataclass
class Event:
    """An event from its first pick on; closed ones are kept until they have left the window."""

    event_id: str
    picks: dict[Phase, Pick]
    start_sample: int
    end_sample: int
    peak_sample: int
    opened_sample: int
    detection_probability: float = 0.0
    reported: dict[Phase, Pick] = field(default_factory=dict)
    sequence: int = 0
    open: bool = True

    @classmethod
    def begin(cls, event_id: str, pick: Pick, now: int) -> Event:
        """Open an event with its first pick; `now` is the sample up to which there is signal."""
        return cls(event_id, {pick.phase: pick}, pick.sample, pick.sample + 1, pick.sample, now)

    @property
    def last_pick_sample(self) -> int:
        """Sample of the latest pick."""
        return max(pick.sample for pick in self.picks.values())

    def follow(self, first_sample: int, confirmed: Curves, limits: Limits) -> None:
        """Extend the event while detection stays above half its threshold.

        Args:
            first_sample: Of the curves.
            confirmed: The curves.
            limits: Detection's threshold, and the quiet that ends it.
        """
        self.start_sample = min(pick.sample for pick in self.picks.values())
        begin = max(0, self.start_sample - first_sample)
        curve = confirmed[begin:, 0]
        if not len(curve):
            return
        last_pick = max(0, self.last_pick_sample - first_sample - begin)
        on = np.flatnonzero(curve[last_pick:] >= limits.detection / 2)
        breaks = np.flatnonzero(np.diff(on) > limits.quiet)
        lasts = (int(on[breaks[0]] if len(breaks) else on[-1]) + 1) if len(on) else 1
        length = last_pick + lasts
        top = int(np.argmax(curve[:length]))
        self.end_sample = max(first_sample + begin + length, self.last_pick_sample + 1)
        if float(curve[top]) >= self.detection_probability:
            self.detection_probability = float(curve[top])
            self.peak_sample = first_sample + begin + top

    def is_over(self, first_sample: int, now: int, limits: Limits) -> bool:
        """Whether detection has been quiet long enough, or the event begins to leave the window."""
        if self.start_sample <= first_sample:
            return True
        waits = [wait for phase, wait in limits.missing.items() if phase not in self.picks]
        # A pick that was confirmed late leaves as much time for the other as a prompt one.
        if waits and now - max(self.last_pick_sample, self.opened_sample) < max(waits):
            return False
        return now - self.end_sample >= limits.quiet

    def triggers(self, stacked: Stacked, over: bool, limits: Limits) -> list[Trigger]:
        """Return what is new of the event: it opened, its picks changed, it is over."""
        changed = any(
            phase not in self.reported
            or abs(self.reported[phase].sample - pick.sample) >= limits.moved
            for phase, pick in self.picks.items()
        )
        triggers = []
        if changed:
            triggers.append(self._trigger("update" if self.reported else "new", stacked))
        if over:
            triggers.append(self._trigger("end", stacked))
            self.open = False
        return triggers

    def _trigger(self, kind: EventType, stacked: Stacked) -> Trigger:
        trigger = Trigger(
            type=kind,
            event_id=self.event_id,
            sequence=self.sequence,
            picks=tuple(sorted(self.picks.values(), key=lambda pick: pick.sample)),
            detection_probability=self.detection_probability,
            start_sample=self.start_sample,
            end_sample=self.end_sample,
            peak_sample=self.peak_sample,
            window=stacked.window,
            inference_ms=stacked.inference_ms,
        )
        self.reported = dict(self.picks)
        self.sequence += 1
        return trigger
