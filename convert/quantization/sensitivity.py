"""Search the fewest stages to keep in float so that a limit is met."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

TUNED_STAGES = ("encoder", "residual")
"""Beginnings of the names of the stages that tuning fits to int8."""
Group = tuple[str, ...]
"""Beginnings of names of stages that are kept in float together."""


@dataclass(frozen=True)
class FileVerdict:
    """A judge's verdict on a file.

    Attributes:
        error: How far it is from float; only the order of such numbers counts.
        refusal: Why it does not do, or None.
    """

    error: float
    refusal: str | None


@dataclass(frozen=True)
class Step:
    """One file that was tried.

    Attributes:
        kept: Stages in float.
        verdict: The judge's.
    """

    kept: Group
    verdict: FileVerdict


Judge = Callable[[Group], FileVerdict]


def is_tuned(kept: Group) -> bool:
    """Whether a file is made of tuned weights: what stays in float must stay as it is."""
    return not any(
        stage.startswith(TUNED_STAGES) or any(tuned.startswith(stage) for tuned in TUNED_STAGES)
        for stage in kept
    )


def groups_of(stages: Iterable[str]) -> list[Group]:
    """Gather numbered stages: `bilstm_0` and `bilstm_1` stay in float together or not at all.

    Encoder and residual stack are one group: tuning fits them to int8 together.
    """
    names = dict.fromkeys(re.sub(r"_\d+$", "", stage) for stage in stages)
    tuned = tuple(name for name in names if name in TUNED_STAGES)
    return ([tuned] if tuned else []) + [(name,) for name in names if name not in TUNED_STAGES]


def most_steps(groups: int) -> int:
    """Files that `search` tries at most."""
    return 3 * groups + 1


def search(groups: list[Group], judge: Judge) -> list[Step]:
    """Find the fewest groups that satisfy the judge when they stay in float.

    Each group is tried alone; then, the one that helps most first, they are added until the judge
    is satisfied; then each is left out again that is not needed.

    Args:
        groups: What can stay in float.
        judge: Makes the file and judges it.

    Returns:
        What was tried. The last step is what was found; if even that is refused, nothing does.
    """
    steps = [Step((), judge(()))]

    def attempt(chosen: list[Group]) -> FileVerdict:
        kept = tuple(name for group in chosen for name in group)
        known = [step.verdict for step in steps if set(step.kept) == set(kept)]
        steps.append(Step(kept, known[0] if known else judge(kept)))
        return steps[-1].verdict

    if steps[0].verdict.refusal is None:
        return steps
    alone = {group: attempt([group]) for group in groups}
    ranked = sorted(groups, key=lambda g: (alone[g].refusal is not None, alone[g].error))
    chosen: list[Group] = []
    for group in ranked:
        chosen.append(group)
        if attempt(chosen).refusal is None:
            break
    else:
        return steps
    for group in chosen[-2::-1]:
        fewer = [other for other in chosen if other != group]
        if attempt(fewer).refusal is None:
            chosen = fewer
    attempt(chosen)
    return steps
