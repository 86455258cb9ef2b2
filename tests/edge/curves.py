"""Probabilities of an ideal network over a stream, cut into windows as the device does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from eqedge.edge.settings.node import TriggerSettings
from eqedge.edge.stack import Stack
from eqedge.edge.trigger import Associator, thresholds_of
from eqedge.edge.types import ClockState, Probabilities, Trigger, Window
from eqedge.models.spec import ModelSpec

RATE = 100
LENGTH = 6000
SIM = ClockState("sim", True)


def bump(curve: np.ndarray, centre: int, height: float, sigma: float = 12.0) -> None:
    """Raise a curve to a Gaussian peak."""
    at = np.arange(len(curve))
    np.maximum(curve, height * np.exp(-0.5 * ((at - centre) / sigma) ** 2), out=curve)


def stream(seconds: float, *events: dict) -> np.ndarray:
    """Return (n, 3) curves; an event has any of p, s, until (samples) and heights ph, sh, dh."""
    curves = np.zeros((round(seconds * RATE), 3), dtype=np.float32)
    for event in events:
        p, s = event.get("p"), event.get("s")
        if p is not None:
            bump(curves[:, 1], p, event.get("ph", 0.9))
        if s is not None:
            bump(curves[:, 2], s, event.get("sh", 0.8))
        begin = event.get("since", p if p is not None else s)
        until = event.get("until", round(begin + 1.4 * ((s or begin + 300) - begin) + 100))
        curves[begin:until, 0] = np.maximum(curves[begin:until, 0], event.get("dh", 0.95))
    return curves


def windows(
    curves: np.ndarray,
    hop: int = RATE,
    *,
    close: bool = True,
    curves_later: tuple[int, np.ndarray] | None = None,
) -> Iterator[Probabilities]:
    """Cut curves into windows; every sample of a window is as sure at its edge as in its middle.

    From the sample `curves_later[0]` on, windows show the curves `curves_later[1]` instead: a
    network that changes its mind.
    """
    ends = list(range(LENGTH, len(curves) + 1, hop))
    for end in ends:
        seen = curves_later[1] if curves_later and end >= curves_later[0] else curves
        values = seen[end - LENGTH : end]
        closes = close and end == ends[-1]
        window = Window(
            end - LENGTH, (end - LENGTH) * 10_000_000, values, RATE, SIM, closes_segment=closes
        )
        yield Probabilities(window, values, 1.0)


def messages(
    curves: np.ndarray,
    hop: int = RATE,
    *,
    close: bool = True,
    curves_later: tuple[int, np.ndarray] | None = None,
    **settings: float,
) -> list[Trigger]:
    """Run curves through stack and associator."""
    stack = Stack(LENGTH, RATE)
    chosen = TriggerSettings(**settings)
    thresholds = thresholds_of(chosen, ModelSpec("ideal", "leqnet-gru"))
    associator = Associator(chosen, thresholds, RATE, lambda ns: f"id-{ns}")
    return [
        trigger
        for probabilities in windows(curves, hop, close=close, curves_later=curves_later)
        for trigger in associator.push(stack.push(probabilities))
    ]


def last_of_each(triggers: list[Trigger]) -> dict[str, Trigger]:
    """Return each event's last message by its id."""
    return {trigger.event_id: trigger for trigger in triggers}


def arrivals(trigger: Trigger) -> dict[str, int]:
    """Return the samples of a trigger's picks by phase."""
    return {pick.phase: pick.sample for pick in trigger.picks}
