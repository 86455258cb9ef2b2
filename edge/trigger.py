"""Turn stacked probabilities into picks, events and their messages; all in data time.

An event opens with a P that is confirmed and that detection supports, or with an S whose P has not
come in time. It takes the S that follows, moves its picks as the stack settles, and ends when
detection has been quiet. A pick belongs to one event only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from ..models.spec import ModelSpec, Thresholds
from .event import Curves, Event, Limits
from .picks import find_peaks
from .settings.node import TriggerSettings
from .settings.validation import SettingsError
from .stack import Stacked
from .types import Phase, Pick, Trigger

COLUMNS: dict[Phase, int] = {"P": 1, "S": 2}


def thresholds_of(settings: TriggerSettings, spec: ModelSpec) -> Thresholds:
    """Return the preset on the card, with the thresholds that the settings override.

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
        for name in (field.name for field in fields(Thresholds))
        if (value := getattr(settings, name)) is not None
    }
    return replace(preset, **own)


class Associator:
    """Keeps the events of one station; push each result of the stack, in order.

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
        self._limits = Limits.of(settings, thresholds, rate_hz)
        self._name_event = name_event
        self._events: list[Event] = []
        self._segment = -1

    def push(self, stacked: Stacked) -> list[Trigger]:
        """Return the messages that this window causes, oldest event first."""
        window, limits = stacked.window, self._limits
        if window.segment != self._segment:
            self._segment = window.segment
            self._events.clear()
        enough = stacked.seen >= (1 if window.closes_segment else limits.confirm_windows)
        if not window.closes_segment:
            enough[len(enough) - min(limits.confirm, len(enough)) :] = False
        confirmed = np.where(enough[:, None], stacked.values, np.float32(0))
        now = window.first_sample + int(np.count_nonzero(enough))
        p_peaks = self._picks(stacked, confirmed, "P", now)
        s_peaks = self._picks(stacked, confirmed, "S", now)
        p_picks = self._refresh(self._likelier(p_peaks, s_peaks))
        s_picks = self._refresh(self._likelier(s_peaks, p_peaks))
        self._open_with_p(p_picks, window.first_sample, confirmed, now)
        unclaimed = self._attach_s(s_picks)
        s_alone_cutoff = now if window.closes_segment else now - limits.s_alone
        unclaimed = [pick for pick in unclaimed if pick.sample <= s_alone_cutoff]
        self._open_with_s(unclaimed, window.first_sample, confirmed, now)
        triggers = self._triggers(stacked, confirmed, now)
        # Closed events are kept while their picks' flanks and unused later peaks are still in the
        # window: these must not open new events.
        gone = window.first_sample - max(limits.same_pick, limits.refractory)
        self._events = [event for event in self._events if event.open or event.end_sample > gone]
        return triggers

    # -- from curves to picks ------------------------------------------------------------------

    def _picks(self, stacked: Stacked, confirmed: Curves, phase: Phase, now: int) -> list[Pick]:
        window, limits = stacked.window, self._limits
        first = window.first_sample
        settled = now - (0 if window.closes_segment else limits.settling)
        curve = confirmed[:, COLUMNS[phase]]
        return [
            Pick(
                phase=phase,
                sample=first + peak.sample,
                time_ns=window.time_ns(first + peak.sample),
                probability=peak.probability,
                start_sample=first + peak.start_sample,
                end_sample=first + peak.end_sample,
            )
            for peak in find_peaks(curve, limits.phase[phase], limits.same_pick)
            if first + peak.sample < settled
        ]

    def _likelier(self, picks: list[Pick], rivals: list[Pick]) -> list[Pick]:
        """Drop the picks on whose sample the other phase has a likelier one."""
        return [
            pick
            for pick in picks
            if not any(
                abs(rival.sample - pick.sample) <= self._limits.same_onset
                and rival.probability > pick.probability
                for rival in rivals
            )
        ]

    def _refresh(self, picks: list[Pick]) -> list[Pick]:
        """Move the events' own picks to where the stack has them now; return the others."""
        others = []
        for pick in picks:
            for event in self._events:
                own = event.picks.get(pick.phase)
                if own is not None and abs(own.sample - pick.sample) <= self._limits.same_pick:
                    if event.open:
                        event.picks[pick.phase] = pick
                    break
            else:
                others.append(pick)
        return others

    # -- from picks to events ------------------------------------------------------------------

    def _open_with_p(
        self, picks: list[Pick], first_sample: int, confirmed: Curves, now: int
    ) -> None:
        for pick in picks:
            if self._too_near(pick) or not self._supported(pick, first_sample, confirmed):
                continue
            event_without_p = self._s_without_p(pick)
            if event_without_p is not None:
                event_without_p.picks["P"] = pick
            else:
                self._open(pick, now)

    def _attach_s(self, picks: list[Pick]) -> list[Pick]:
        """Give each S to the nearest P before it with none, or a weaker one; return the rest."""
        limits, rest = self._limits, []
        for pick in picks:
            takers = [
                event
                for event in self._events
                if event.open
                and "P" in event.picks
                and limits.same_onset
                <= pick.sample - event.picks["P"].sample
                <= limits.longest_s_minus_p
                and ("S" not in event.picks or event.picks["S"].probability < pick.probability)
            ]
            if takers:
                max(takers, key=lambda event: event.picks["P"].sample).picks["S"] = pick
            else:
                rest.append(pick)
        return rest

    def _open_with_s(
        self, picks: list[Pick], first_sample: int, confirmed: Curves, now: int
    ) -> None:
        """Open events for S that no P has claimed though it had time to."""
        for pick in picks:
            inside = any(
                event.start_sample <= pick.sample <= event.end_sample for event in self._events
            )
            if inside or self._too_near(pick):
                continue
            if self._supported(pick, first_sample, confirmed):
                self._open(pick, now)

    def _open(self, pick: Pick, now: int) -> None:
        self._events.append(Event.begin(self._name_event(pick.time_ns), pick, now))

    def _s_without_p(self, pick: Pick) -> Event | None:
        """Find an open event whose S was seen first and whose P this may be."""
        for event in self._events:
            if event.open and "P" not in event.picks:
                separation = event.picks["S"].sample - pick.sample
                if 0 < separation <= self._limits.longest_s_minus_p:
                    return event
        return None

    def _too_near(self, pick: Pick) -> bool:
        """Whether a pick of its phase is within the refractory time, or one of the other on it."""
        limits = self._limits
        return any(
            abs(other.sample - pick.sample)
            <= (limits.refractory if other.phase == pick.phase else limits.same_onset)
            for event in self._events
            for other in event.picks.values()
        )

    def _supported(self, pick: Pick, first_sample: int, confirmed: Curves) -> bool:
        """Whether detection comes on about the pick and stays on long enough."""
        limits = self._limits
        at = pick.sample - first_sample
        about = confirmed[max(0, at - limits.before_p) : at + limits.refractory, 0]
        return int(np.count_nonzero(about >= limits.detection)) >= limits.min_duration

    # -- from events to messages ---------------------------------------------------------------

    def _triggers(self, stacked: Stacked, confirmed: Curves, now: int) -> list[Trigger]:
        window, triggers = stacked.window, []
        self._events.sort(key=lambda event: event.start_sample)
        for event in self._events:
            if event.open:
                event.follow(window.first_sample, confirmed, self._limits)
                over = event.is_over(window.first_sample, now, self._limits)
                triggers += event.triggers(stacked, over or window.closes_segment, self._limits)
        return triggers
