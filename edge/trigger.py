"""Stacked probabilities -> picks -> one event with its messages; everything in data time.

An event opens with a P that enough windows have seen and that detection supports, or with an S that
has waited in vain for its P. It takes the S that follows, moves its picks as the stack settles, and
ends when detection has been quiet. A pick belongs to one event only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..models.spec import ModelSpec, Thresholds
from .picks import find_peaks
from .records import EventType, Phase, Pick, Trigger
from .settings import SettingsError, TriggerSettings
from .stack import Stacked

Curves = NDArray[np.float32]
"""(n, 3) stacked probabilities on the newest window's samples."""

SAME_PICK_SECONDS = 0.75
"""Peaks of one phase nearer than this are the same pick, moved."""
SAME_ONSET_SECONDS = 0.3
"""A P and an S peak nearer than this are one arrival, of the likelier phase."""
MOVED_SECONDS = 0.1
"""A pick that moved this far is told in an update."""
SETTLING_SECONDS = 0.05
"""A peak this near to the edge of what has been confirmed may still be rising."""
BEFORE_P_SECONDS = 0.5
"""Detection may come on this long before the P it supports."""
MISSING_S_SECONDS = 10.0
"""An event without an S stays open at least this long."""


def thresholds_of(settings: TriggerSettings, spec: ModelSpec) -> Thresholds:
    """Take the preset from the card, and what the settings say otherwise.

    Raises:
        SettingsError: The card has no such preset.
    """
    try:
        preset = spec.thresholds[settings.preset]
    except KeyError:
        known = ", ".join(spec.thresholds)
        raise SettingsError(f"preset {settings.preset!r}: model {spec.name} has {known}") from None
    own = {
        name: value
        for name in ("detection_threshold", "P_threshold", "S_threshold")
        if (value := getattr(settings, name)) is not None
    }
    return replace(preset, **own)


@dataclass
class _Event:
    """One event while it is open, and afterwards until it has left the window."""

    event_id: str
    start_sample: int
    end_sample: int
    peak_sample: int
    detection_probability: float
    picks: dict[Phase, Pick]
    told: dict[Phase, Pick] = field(default_factory=dict)
    sequence: int = 0
    open: bool = True

    def last_sample(self) -> int:
        return max(pick.sample for pick in self.picks.values())


class Associator:
    """Keeps the events of one station; push what the stack gives, in order.

    Args:
        settings: Thresholds and durations.
        thresholds: From `thresholds_of`.
        rate_hz: Samples a second.
        name_event: Makes an event's id from the UTC of its first pick, nanoseconds.
    """

    def __init__(
        self,
        settings: TriggerSettings,
        thresholds: Thresholds,
        rate_hz: float,
        name_event: Callable[[int], str],
    ) -> None:
        self._settings = settings
        self._thresholds = thresholds
        self._rate_hz = rate_hz
        self._name_event = name_event
        self._events: list[_Event] = []
        self._segment = -1

    def push(self, stacked: Stacked) -> list[Trigger]:
        """Return the messages that this window gives rise to, oldest event first."""
        window = stacked.window
        if window.segment != self._segment:
            self._segment = window.segment
            self._events.clear()
        confirm = 1 if window.closes_segment else self._settings.confirm_windows
        confirmed = np.where((stacked.seen >= confirm)[:, None], stacked.values, np.float32(0))
        now = window.first_sample + int(np.count_nonzero(stacked.seen >= confirm))
        p_peaks = self._picks(stacked, confirmed, "P", now)
        s_peaks = self._picks(stacked, confirmed, "S", now)
        p_picks = self._refresh("P", self._likelier(p_peaks, s_peaks))
        s_picks = self._refresh("S", self._likelier(s_peaks, p_peaks))
        self._events += self._open_with_p(stacked, confirmed, p_picks)
        self._attach_s(s_picks)
        self._events += self._open_with_s(stacked, confirmed, s_picks, now)
        self._events.sort(key=lambda event: event.start_sample)
        triggers = []
        for event in self._events:
            if event.open:
                self._measure(event, stacked, confirmed)
                over = window.closes_segment or self._is_over(event, stacked, confirmed, now)
                triggers += self._tell(event, stacked, over)
        self._events = [
            event for event in self._events if event.open or event.last_sample() > window.first_sample
        ]
        return triggers

    # -- from curves to picks ------------------------------------------------------------------

    def _samples(self, seconds: float) -> int:
        return round(seconds * self._rate_hz)

    def _picks(
        self, stacked: Stacked, confirmed: Curves, phase: Phase, now: int
    ) -> list[Pick]:
        column, threshold = (
            (1, self._thresholds.P_threshold)
            if phase == "P"
            else (2, self._thresholds.S_threshold)
        )
        first = stacked.window.first_sample
        settling = 0 if stacked.window.closes_segment else self._samples(SETTLING_SECONDS)
        return [
            Pick(
                phase=phase,
                sample=first + peak.sample,
                time_ns=stacked.window.time_ns(first + peak.sample),
                probability=peak.probability,
                start_sample=first + peak.start_sample,
                end_sample=first + peak.end_sample,
            )
            for peak in find_peaks(
                confirmed[:, column], threshold, self._samples(SAME_PICK_SECONDS)
            )
            if first + peak.sample < now - settling
        ]

    def _likelier(self, picks: list[Pick], rivals: list[Pick]) -> list[Pick]:
        """Drop the picks on whose sample the other phase has a likelier one."""
        same = self._samples(SAME_ONSET_SECONDS)
        return [
            pick
            for pick in picks
            if not any(
                abs(rival.sample - pick.sample) <= same and rival.probability > pick.probability
                for rival in rivals
            )
        ]

    def _refresh(self, phase: Phase, picks: list[Pick]) -> list[Pick]:
        """Move the events' own picks to where the stack has them now; return the others."""
        same = self._samples(SAME_PICK_SECONDS)
        others = []
        for pick in picks:
            owner = next(
                (
                    event
                    for event in self._events
                    if phase in event.picks and abs(event.picks[phase].sample - pick.sample) <= same
                ),
                None,
            )
            if owner is None:
                others.append(pick)
            elif owner.open:
                owner.picks[phase] = pick
        return others

    # -- from picks to events ------------------------------------------------------------------

    def _open_with_p(
        self, stacked: Stacked, confirmed: Curves, picks: list[Pick]
    ) -> list[_Event]:
        opened: list[_Event] = []
        for pick in picks:
            known = [event.picks for event in (*self._events, *opened)]
            if self._too_near(pick, known) or not self._supported(stacked, confirmed, pick):
                continue
            widow = self._s_without_p(pick)
            if widow is not None:
                widow.picks["P"] = pick
                continue
            opened.append(self._event(pick))
        return opened

    def _s_without_p(self, pick: Pick) -> _Event | None:
        """Find an open event whose S was seen first and whose P this may be."""
        longest = self._samples(self._settings.max_s_minus_p_seconds)
        for event in self._events:
            lone = event.open and "P" not in event.picks
            if lone and 0 < event.picks["S"].sample - pick.sample <= longest:
                return event
        return None

    def _open_with_s(
        self, stacked: Stacked, confirmed: Curves, picks: list[Pick], now: int
    ) -> list[_Event]:
        """Open events for S that no P has claimed though it had time to."""
        waited = now - self._samples(self._settings.s_alone_seconds)
        opened: list[_Event] = []
        for pick in picks:
            known = [event.picks for event in (*self._events, *opened)]
            inside = any(
                event.start_sample <= pick.sample <= event.end_sample for event in self._events
            )
            ripe = pick.sample <= waited or stacked.window.closes_segment
            if inside or not ripe or self._too_near(pick, known):
                continue
            if self._supported(stacked, confirmed, pick):
                opened.append(self._event(pick))
        return opened

    def _too_near(self, pick: Pick, known: Iterable[dict[Phase, Pick]]) -> bool:
        """Whether it is within the refractory time of a pick of its phase, or on one of the other."""
        refractory = self._samples(self._settings.refractory_seconds)
        same = self._samples(SAME_ONSET_SECONDS)
        for picks in known:
            for other in picks.values():
                distance = abs(other.sample - pick.sample)
                if distance <= (refractory if other.phase == pick.phase else same):
                    return True
        return False

    def _supported(self, stacked: Stacked, confirmed: Curves, pick: Pick) -> bool:
        """Whether detection is on long enough about the pick."""
        at = pick.sample - stacked.window.first_sample
        begin = max(0, at - self._samples(BEFORE_P_SECONDS))
        end = at + self._samples(self._settings.max_s_minus_p_seconds)
        on = confirmed[begin:end, 0] >= self._thresholds.detection_threshold
        needed = max(1, self._samples(self._settings.min_duration_seconds))
        # the first stretch of detection must be the pick's own: it begins within the wait
        reach = self._samples(BEFORE_P_SECONDS + self._settings.refractory_seconds)
        return int(np.count_nonzero(on[:reach])) >= needed

    def _event(self, pick: Pick) -> _Event:
        return _Event(
            event_id=self._name_event(pick.time_ns),
            start_sample=pick.sample,
            end_sample=pick.sample + 1,
            peak_sample=pick.sample,
            detection_probability=0.0,
            picks={pick.phase: pick},
        )

    def _attach_s(self, picks: list[Pick]) -> None:
        """Give each S to the nearest P before it that has none, or a weaker one."""
        longest = self._samples(self._settings.max_s_minus_p_seconds)
        shortest = self._samples(SAME_ONSET_SECONDS)
        for pick in list(picks):
            takers = [
                event
                for event in self._events
                if event.open
                and "P" in event.picks
                and shortest <= pick.sample - event.picks["P"].sample <= longest
                and ("S" not in event.picks or event.picks["S"].probability < pick.probability)
            ]
            if takers:
                taker = max(takers, key=lambda event: event.picks["P"].sample)
                taker.picks["S"] = pick
                picks.remove(pick)

    # -- from events to messages ---------------------------------------------------------------

    def _measure(self, event: _Event, stacked: Stacked, confirmed: Curves) -> None:
        """Follow detection from the event's start until it falls below half its threshold."""
        first = stacked.window.first_sample
        event.start_sample = min(pick.sample for pick in event.picks.values())
        begin = max(0, event.start_sample - first)
        curve = confirmed[begin:, 0]
        if not len(curve):
            return
        last_pick = max(0, event.last_sample() - first - begin)
        off = curve[last_pick:] < self._thresholds.detection_threshold / 2
        on = np.flatnonzero(~off)
        quiet = self._samples(self._settings.end_quiet_seconds)
        breaks = np.flatnonzero(np.diff(on) > quiet)
        lasts = (int(on[breaks[0]] if len(breaks) else on[-1]) + 1) if len(on) else 1
        length = last_pick + lasts
        top = int(np.argmax(curve[:length]))
        event.end_sample = max(first + begin + length, event.last_sample() + 1)
        if float(curve[top]) >= event.detection_probability:
            event.detection_probability = float(curve[top])
            event.peak_sample = first + begin + top

    def _is_over(self, event: _Event, stacked: Stacked, confirmed: Curves, now: int) -> bool:
        settings = self._settings
        if event.start_sample <= stacked.window.first_sample:
            return True
        if "S" not in event.picks and now - event.last_sample() < self._samples(MISSING_S_SECONDS):
            return False
        return now - event.end_sample >= self._samples(settings.end_quiet_seconds)

    def _tell(self, event: _Event, stacked: Stacked, over: bool) -> list[Trigger]:
        """Say what is new of an event: that it is there, that its picks changed, that it is over."""
        triggers = []
        moved = self._samples(MOVED_SECONDS)
        changed = any(
            phase not in event.told or abs(event.told[phase].sample - pick.sample) >= moved
            for phase, pick in event.picks.items()
        )
        kinds: list[EventType] = []
        if changed:
            kinds.append("update" if event.told else "new")
        if over:
            kinds.append("end")
            event.open = False
        for kind in kinds:
            event.told = dict(event.picks)
            triggers.append(
                Trigger(
                    type=kind,
                    event_id=event.event_id,
                    sequence=event.sequence,
                    picks=tuple(sorted(event.picks.values(), key=lambda pick: pick.sample)),
                    detection_probability=event.detection_probability,
                    start_sample=event.start_sample,
                    end_sample=event.end_sample,
                    peak_sample=event.peak_sample,
                    window=stacked.window,
                    inference_ms=stacked.inference_ms,
                )
            )
            event.sequence += 1
        return triggers
