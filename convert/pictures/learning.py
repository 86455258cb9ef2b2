"""Draw a training's history: loss, F1, false picks in noise, and how soon P are announced."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...edge.files import text_lines
from . import plot_style
from .canvas import PlotError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HISTORY = "history.jsonl"
"""File that a training writes into its folder, a line for each note."""
PANEL_INCHES = (2.33, 2.6)
Notes = Sequence[Mapping[str, Any]]


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Read what a training noted of itself.

    Args:
        folder: `--output` of `eqedge train`.

    Returns:
        Its notes in order: `steps`, and `loss`, `score` or both.

    Raises:
        PlotError: There is none, it is damaged, or too short for a curve.
    """
    path = folder / HISTORY
    notes: list[dict[str, Any]] = []
    lines = text_lines(path, PlotError, "give the --output of eqedge train")
    for number, line in enumerate(lines, start=1):
        try:
            note = json.loads(line)
            _check(note)
        except (ValueError, KeyError, TypeError) as error:
            raise PlotError(f"{path}: line {number} is not a note of a training") from error
        notes.append(note)
    if not panels_of(notes):
        losses, scores = len(_with("loss", notes)), len(_with("score", notes))
        raise PlotError(
            f"{path}: {losses} losses and {scores} scores, a curve needs two; train for longer "
            "(a loss is noted every minute, a score every five)"
        )
    return notes


def panels_of(notes: Notes) -> list[str]:
    """What there are curves of: `loss` where it was noted, `score` where there are two."""
    return [what for what in ("loss", "score") if len(_with(what, notes)) >= 2]


def size_inches(notes: Notes) -> tuple[float, float]:
    """Width and height: a panel for the loss, three for the scores."""
    width, height = PANEL_INCHES
    count = sum(1 if what == "loss" else 3 for what in panels_of(notes))
    return (max(4.0, count * width), height)


def draw_learning(figure: Figure, notes: Notes) -> None:
    """Draw the loss, and the scores on held-out stations, over the steps.

    Args:
        figure: Empty.
        notes: Two or more of what is drawn.
    """
    panels = panels_of(notes)
    count = sum(1 if what == "loss" else 3 for what in panels)
    axes = list(figure.subplots(1, count, sharex=True, squeeze=False)[0])
    if "loss" in panels:
        _draw_loss(axes.pop(0), _with("loss", notes))
    if "score" in panels:
        _draw_scores(axes, _with("score", notes))
    for axis in figure.axes:
        axis.set_xlabel("steps (thousands)")
        axis.set_xlim(left=0)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="best")


def _check(note: Mapping[str, Any]) -> None:
    """Raise KeyError, TypeError or ValueError where a note lacks a field that is drawn."""
    int(note["steps"])
    if "loss" in note:
        float(note["loss"])
    if "score" in note or "loss" not in note:
        for phase in "PS":
            rows = note["score"][phase]
            float(rows["pooled"]["f1"]), float(rows["manually_picked"]["f1"])


def _with(what: str, notes: Notes) -> Notes:
    """Notes that have it; a score needs an earthquake at a held-out station."""
    return [
        note
        for note in notes
        if what in note and (what != "score" or note["score"].get("events", True))
    ]


def _draw_loss(axis: Axes, notes: Notes) -> None:
    steps = [note["steps"] / 1000 for note in notes]
    axis.plot(steps, [note["loss"] for note in notes], color=plot_style.P.colour)
    axis.set_ylabel("loss in training")
    axis.set_ylim(bottom=0)


def _draw_scores(axes: Sequence[Axes], notes: Notes) -> None:
    steps = [note["steps"] / 1000 for note in notes]
    scores = [note["score"] for note in notes]
    by_hand = scores[-1]["P"]["manually_picked"]["f1"] > 0
    rows = "manually_picked" if by_hand else "pooled"
    for phase, line in (("P", plot_style.P), ("S", plot_style.S)):
        f1 = [score[phase][rows]["f1"] for score in scores]
        axes[0].plot(
            steps, f1, color=line.colour, linestyle=line.style, marker=line.marker, markersize=3,
            label=phase,
        )  # fmt: skip
    axes[0].set_ylabel(f"F1, {rows.replace('_', ' ')}")
    for name, phase, line in (("p", "P", plot_style.P), ("s", "S", plot_style.S)):
        rates = [score.get("noise", {}).get(f"false_{name}_per_hour") for score in scores]
        if None not in rates:
            axes[1].plot(
                steps, rates, color=line.colour, linestyle=line.style, marker=line.marker,
                markersize=3, label=phase,
            )  # fmt: skip
    axes[1].set_ylabel("false picks an hour of noise")
    axes[1].set_ylim(bottom=0)
    for age, line in zip(("0.5", "1", "3"), plot_style.SERIES, strict=False):
        shares = [score.get("announced_by_s", {}).get(age) for score in scores]
        if None not in shares:
            axes[2].plot(
                steps, shares, color=line.colour, linestyle=line.style, marker=line.marker,
                markersize=3, label=f"{age} s after P",
            )  # fmt: skip
    axes[2].set_ylabel("share of P announced")
