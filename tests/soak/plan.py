"""Which fault comes when: a sequence that follows from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

KINDS = (
    "kill",
    "kill without broker",
    "kill with full disk",
    "kill with read-only folder",
    "unplug",
    "broker stops",
    "broker freezes",
    "broker refuses the login",
    "broker refuses messages",
    "disk full",
    "folder read-only",
    "clock steps forward",
    "clock steps back",
)
CALM_SHARE = 0.6
"""Only before this part of a long run the node is killed, so that memory can be followed after."""
LONG_HOURS = 4.0
MIN_SECONDS, MAX_SECONDS = 20.0, 150.0


@dataclass(frozen=True)
class Fault:
    """What happens, when, and for how long, in seconds of data."""

    at: float
    kind: str
    seconds: float


def plan(
    rng: random.Random, hours: float, every_seconds: float, only: Sequence[str] = KINDS
) -> Iterator[Fault]:
    """Yield faults one after another, each kind in turn in an order drawn anew.

    Args:
        rng: Decides all.
        hours: Of data.
        every_seconds: Of data, from the end of one fault to the begin of the next, on average.
        only: Kinds of faults.
    """
    at, kinds = 300.0, []
    calm_from = (CALM_SHARE if hours >= LONG_HOURS else 1.0) * hours * 3600
    some_never_kill = any("kill" not in kind for kind in only)
    while at < hours * 3600 - 400 and (some_never_kill or at <= calm_from):
        kinds = kinds or rng.sample(only, len(only))
        kind = kinds.pop()
        if "kill" in kind and at > calm_from:
            continue
        fault = Fault(at, kind, rng.uniform(MIN_SECONDS, MAX_SECONDS))
        yield fault
        at += fault.seconds + rng.expovariate(1 / every_seconds)
