"""One finding of the doctor: what was looked at, what was seen, what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        good: Whether the node can work with it.
        finding: What was seen.
        remedy: What to do about it; empty where nothing need be done.
    """

    name: str
    good: bool
    finding: str
    remedy: str = ""


def failed(name: str, error: Exception) -> Check:
    """Split an error's line into finding and remedy: what stands behind the last `; ` or `: `."""
    line = " ".join(str(error).split())
    finding, _, remedy = line.rpartition("; " if "; " in line else ": ")
    return Check(name, False, finding or line, remedy)
