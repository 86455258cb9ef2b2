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
        warns: The node works with it, and yet it should be seen to.
    """

    name: str
    good: bool
    finding: str
    remedy: str = ""
    warns: bool = False


def as_text(check: Check, width: int) -> str:
    """Return a finding for the terminal, its remedy on a line of its own.

    Args:
        check: The finding.
        width: Of the column of names.
    """
    verdict = ("warn" if check.warns else "ok  ") if check.good else "FAIL"
    line = f"{verdict}  {check.name:{width}} {check.finding}"
    return f"{line}\n{'':{width + 6}} -> {check.remedy}" if check.remedy else line


def failed(name: str, error: Exception) -> Check:
    """Return an error as a finding; its remedy is the text behind the last `; ` or `: `."""
    line = " ".join(str(error).split())
    finding, _, remedy = line.rpartition("; " if "; " in line else ": ")
    return Check(name, False, finding or line, remedy)
