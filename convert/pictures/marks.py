"""Judge picks by the labels of their trace, and draw each verdict with one symbol everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...edge.replay.labels import matches
from ...edge.replay.stead import Trace
from . import plot_style
from .numbers import signed

Verdict = Literal["right", "false", "unlabelled"]
"""`unlabelled`: an earthquake that has no label of the phase, so nothing is known of the pick."""
DESCRIPTIONS: dict[Verdict, str] = {
    "right": "right pick",
    "false": "false pick",
    "unlabelled": "pick, no label",
}
MARKERS: dict[Verdict, str] = {"right": "v", "false": "X", "unlabelled": "v"}


@dataclass(frozen=True)
class Mark:
    """One pick.

    Attributes:
        phase: P or S.
        at: Seconds since the trace's first sample.
        verdict: By the labels of its trace.
        residual: Pick minus label, seconds; None unless it is right.
    """

    phase: str
    at: float
    verdict: Verdict
    residual: float | None = None


def arrivals(trace: Trace) -> dict[str, float]:
    """Labels in seconds since the trace's first sample, by phase; those it has."""
    return {phase: sample / trace.rate_hz for phase, sample in trace.arrivals().items()}


def judged(trace: Trace, picks: Iterable[tuple[str, float]]) -> list[Mark]:
    """Judge picks as the scores do: of several within half a second, the nearest is right.

    Args:
        trace: With its labels.
        picks: (phase, seconds since the trace's first sample).
    """
    labels = arrivals(trace)
    every = sorted(picks, key=lambda pick: pick[1])
    marks = []
    for phase, at in every:
        label = labels.get(phase)
        if label is None:
            marks.append(Mark(phase, at, "false" if trace.is_noise else "unlabelled"))
            continue
        nearest = min((own - label for kind, own in every if kind == phase), key=abs)
        right = matches(at, label, 1) and at - label == nearest
        marks.append(Mark(phase, at, "right" if right else "false", nearest if right else None))
    return marks


def verdict_line(trace: Trace, marks: Sequence[Mark]) -> str:
    """`P +0.02 s, S missed, false: 2 P, 1 S`: what became of each label, and the other picks."""
    parts = ["noise"] if trace.is_noise else []
    for phase in arrivals(trace):
        residuals = [m.residual for m in marks if m.phase == phase and m.residual is not None]
        parts.append(f"{phase} {signed(residuals[0])} s" if residuals else f"{phase} missed")
    for verdict, words in (("false", "false"), ("unlabelled", "without label")):
        picks = [mark.phase for mark in marks if mark.verdict == verdict]
        counts = [f"{picks.count(phase)} {phase}" for phase in "PS" if phase in picks]
        if counts:
            parts.append(f"{words}: {', '.join(counts)}")
    return ", ".join(parts or ["no label"])


def draw_pick(axis: Any, mark: Mark, height: float, size: float, *, letter: bool = False) -> None:
    """Draw the symbol of a pick: the verdict is its shape, the phase its colour.

    Args:
        axis: Of matplotlib.
        mark: The pick.
        height: On the axis' own scale.
        size: Points.
        letter: Write the phase beside it: P before it, S after it.
    """
    colour = plot_style.PHASES[mark.phase].colour
    symbol = _symbol(mark.verdict, colour, size)
    axis.plot([mark.at], [height], color=colour, clip_on=False, zorder=5, **symbol)
    if letter:
        side = -1 if mark.phase == "P" else 1
        axis.annotate(
            mark.phase, (mark.at, height), xytext=(side * (size / 2 + 1.5), 0), color=colour,
            textcoords="offset points", ha="right" if side < 0 else "left", va="center",
            fontsize=plot_style.SMALL, annotation_clip=False,
        )  # fmt: skip


def pick_handles(marks: Iterable[Mark]) -> list[Any]:
    """Entries of a legend for the verdicts that occur; right picks are always explained."""
    from matplotlib.lines import Line2D

    present = {mark.verdict for mark in marks} | {"right"}
    return [
        Line2D([], [], color="k", label=text, **_symbol(verdict, "k", 5.5))
        for verdict, text in DESCRIPTIONS.items()
        if verdict in present
    ]


def label_handles() -> list[Any]:
    """Entries of a legend for the lines at labels."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=line.colour, linestyle=line.label_style, label=f"{phase} label")
        for phase, line in plot_style.PHASES.items()
    ]


def _symbol(verdict: Verdict, colour: str, size: float) -> dict[str, Any]:
    return {
        "linestyle": "",
        "marker": MARKERS[verdict],
        "markersize": size * (1.15 if verdict == "false" else 1.0),
        "markerfacecolor": "white" if verdict == "unlabelled" else colour,
        "markeredgecolor": "white" if verdict == "false" else colour,
        "markeredgewidth": 0.4 if verdict == "false" else 0.9,
    }
