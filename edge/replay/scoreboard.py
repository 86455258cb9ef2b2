"""Score a simulation's triggers by the labels of its traces: found, missed, false, residuals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..types import PHASES, Message, Phase
from .labels import TOLERANCE_SECONDS, matches
from .timeline import Placement


@dataclass(frozen=True)
class Residuals:
    """Times of picks less those of their labels for one phase, seconds; late picks are positive."""

    labelled: int
    found: int
    mean: float
    mae: float
    p95: float

    @classmethod
    def of(cls, labelled: int, residuals: Sequence[float]) -> Residuals:
        """Summarise; NaN where nothing was found."""
        if not residuals:
            return cls(labelled, 0, float("nan"), float("nan"), float("nan"))
        r = np.asarray(residuals)
        p95 = float(np.percentile(np.abs(r), 95))
        return cls(labelled, len(r), float(r.mean()), float(np.abs(r).mean()), p95)


@dataclass(frozen=True)
class Scoreboard:
    """The scores of one run.

    Attributes:
        traces: Played.
        events: Traces with a labelled P or S.
        found: Of these, with a trigger that has a right pick.
        missed: The others.
        false: Triggers that belong to no labelled event and do not lie on an unlabelled one.
        unscored: Triggers on traces that hold an event but no label.
        p: P picks.
        s: S picks.
    """

    traces: int
    events: int
    found: int
    missed: int
    false: int
    unscored: int
    p: Residuals
    s: Residuals

    def lines(self, data_seconds: float) -> list[str]:
        """Return lines of text."""
        hours = data_seconds / 3600
        rate = f", {self.false / hours:.2f} an hour" if hours > 0 else ""
        unscored = f", {self.unscored} on traces without labels" if self.unscored else ""
        return [
            f"events   {self.found} of {self.events} found, {self.missed} missed; "
            f"{self.false} false{rate}{unscored}",
            *(
                f"{name} picks  {r.found} of {r.labelled} within {TOLERANCE_SECONDS} s"
                + (
                    f"; residual mean {r.mean:+.3f} s, MAE {r.mae:.3f} s, p95 {r.p95:.3f} s"
                    if r.found
                    else ""
                )
                for name, r in (("P", self.p), ("S", self.s))
            ),
        ]


def score(
    placements: Sequence[Placement], messages: Iterable[Message], rate_hz: float
) -> Scoreboard:
    """Score the latest message of each event.

    Args:
        placements: Of the timeline.
        messages: All messages of the run, in order, with `sim` on their picks.
        rate_hz: Of the timeline.
    """
    latest: dict[str, Message] = {}
    for message in messages:
        latest[message["event_id"]] = message
    by_trace: dict[str, list[dict[str, int]]] = {}
    for message in latest.values():
        picks = {pick["phase"]: pick["sim"] for pick in message["picks"]}
        name = message["picks"][0]["sim"]["trace_name"]
        samples = {k: v["sample"] for k, v in picks.items() if v["trace_name"] == name}
        by_trace.setdefault(name, []).append(samples)
    residuals: dict[Phase, list[float]] = {"P": [], "S": []}
    events = found = false = unscored = 0
    for placed in placements:
        triggers = by_trace.get(placed.trace_name, [])
        if placed.is_noise:
            false += len(triggers)
            continue
        labels = placed.moved(-placed.first_sample).arrivals()
        if not labels:
            unscored += len(triggers)
            continue
        events += 1
        hits: dict[Phase, float] = {}
        for picks in triggers:
            new = {
                phase: (picks[phase] - label) / rate_hz
                for phase, label in labels.items()
                if phase in picks and phase not in hits and matches(picks[phase], label, rate_hz)
            }
            false += bool(hits) or not new  # a second trigger for the same event, or wrong
            hits |= new
        for phase, residual in hits.items():
            residuals[phase].append(residual)
        found += bool(hits)
    earthquakes = [placed.arrivals() for placed in placements if not placed.is_noise]
    labelled = {phase: sum(phase in labels for labels in earthquakes) for phase in PHASES}
    return Scoreboard(
        traces=len(placements),
        events=events,
        found=found,
        missed=events - found,
        false=false,
        unscored=unscored,
        p=Residuals.of(labelled["P"], residuals["P"]),
        s=Residuals.of(labelled["S"], residuals["S"]),
    )
