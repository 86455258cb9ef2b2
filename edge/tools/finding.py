"""One finding of `eqedge doctor` or `eqedge sensor check`, with its remedy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: What was checked.
        good: Whether the node can work with it.
        finding: What was found.
        remedy: What to do about it; empty where there is nothing to do.
    """

    name: str
    good: bool
    finding: str
    remedy: str = ""


def failed(name: str, error: Exception) -> Check:
    """Return an error as a finding; its remedy is the text behind the last `; ` or `: `."""
    line = " ".join(str(error).split())
    finding, _, remedy = line.rpartition("; " if "; " in line else ": ")
    return Check(name, False, finding or line, remedy)
