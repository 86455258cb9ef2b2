"""Draw a training's history: loss, F1, false picks in noise, and how soon P are announced."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...edge.files import text_lines
from . import plot_style
from .canvas import PlotError
from .plot_style import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HISTORY = "history.jsonl"
"""File that a training writes into its folder, a line for each note."""
PANEL_HEIGHT_INCHES, COLUMNS = 2.35, 2
VALIDATION = "validation"
"""Field of a note: the `loss` on held-out records, and that of each head by its name."""
TRAINED, HELD_OUT = plot_style.SERIES[0], plot_style.SERIES[1]
AGES_S = ("0.5", "1", "3")
"""After P, at which a training counts what is announced."""
MOST_MARKERS = 60
"""Points of a curve; more of them are a line alone."""
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
    """What there are curves of: losses where one was noted twice, the others where a score was."""
    validated = len(_with(VALIDATION, notes)) >= 2
    return [
        *(["loss"] if validated or len(_with("loss", notes)) >= 2 else []),
        *(["heads"] if validated else []),
        *(["f1", "noise", "announced"] if len(_with("score", notes)) >= 2 else []),
    ]


def size_inches(notes: Notes) -> tuple[float, float]:
    """Width and height: a panel for each kind of loss, three for the scores."""
    rows = -(-len(panels_of(notes)) // COLUMNS)
    return plot_style.WIDTH_INCHES, 0.3 + rows * PANEL_HEIGHT_INCHES


def draw_learning(figure: Figure, notes: Notes) -> None:
    """Draw the losses, and the scores on held-out stations, over the steps.

    Args:
        figure: Empty.
        notes: Two or more of what is drawn.
    """
    panels = panels_of(notes)
    draw = {
        "loss": _losses,
        "heads": _head_losses,
        "f1": _f1,
        "noise": _noise,
        "announced": _announced,
    }
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    axes = list(figure.subplots(rows, columns, sharex=True, squeeze=False).ravel())
    end = max(note["steps"] for note in notes) / 1000
    for axis, panel in zip(axes, panels, strict=False):
        draw[panel](axis, notes)
        axis.set_xlabel("steps (thousands)")
        axis.set_xlim(0, 1.03 * end)
        axis.tick_params(labelbottom=True)
    for axis in axes[len(panels) :]:
        axis.remove()
    figure.suptitle("Progress of the training; scores are of held-out stations", fontsize=8.5)


def _check(note: Mapping[str, Any]) -> None:
    """Raise KeyError, TypeError or ValueError where a note lacks a field that is drawn."""
    int(note["steps"])
    if "loss" in note:
        float(note["loss"])
    for loss in note.get(VALIDATION, {}).values():
        float(loss)
    if "score" in note or not {"loss", VALIDATION} & set(note):
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


def _curve(
    axis: Axes, steps: Sequence[int], values: Sequence[float], line: Line, label: str
) -> None:
    axis.plot(
        [step / 1000 for step in steps], values, color=line.colour, linestyle=line.style,
        marker=line.marker if len(steps) <= MOST_MARKERS else "", markersize=3, label=label,
        clip_on=False,
    )  # fmt: skip


def _finish(axis: Axes, title: str, label: str, *, share: bool = False) -> None:
    """Name what is drawn; where nothing is, write that."""
    axis.set_title(title, loc="left")
    axis.set_ylabel(label)
    axis.set_ylim(0, 1.03 if share else None)
    if not axis.get_lines():
        axis.set_yticks([])
        axis.text(0.5, 0.5, "not in the notes", transform=axis.transAxes, ha="center", va="center")
    elif len(axis.get_lines()) > 1:
        axis.legend(loc="best", framealpha=0.8, frameon=True, edgecolor="none")


def _losses(axis: Axes, notes: Notes) -> None:
    """Draw the loss in training and on held-out records."""
    trained = _with("loss", notes)
    values = [note["loss"] for note in trained]
    _curve(axis, [note["steps"] for note in trained], values, TRAINED, "in training")
    held_out = [note for note in _with(VALIDATION, notes) if "loss" in note[VALIDATION]]
    if held_out:
        values = [note[VALIDATION]["loss"] for note in held_out]
        _curve(axis, [note["steps"] for note in held_out], values, HELD_OUT, "on held-out records")
    _finish(axis, "Loss", "loss")


def _head_losses(axis: Axes, notes: Notes) -> None:
    """Draw the loss of each head on held-out records."""
    for head, line in plot_style.HEADS.items():
        own = [note for note in _with(VALIDATION, notes) if head in note[VALIDATION]]
        if own:
            values = [note[VALIDATION][head] for note in own]
            _curve(axis, [note["steps"] for note in own], values, line, head)
    _finish(axis, "Loss of each head on held-out records", "loss")


def _f1(axis: Axes, notes: Notes) -> None:
    scored = _with("score", notes)
    by_hand = scored[-1]["score"]["P"]["manually_picked"]["f1"] > 0
    rows = "manually_picked" if by_hand else "pooled"
    for phase, line in plot_style.PHASES.items():
        f1 = [note["score"][phase][rows]["f1"] for note in scored]
        _curve(axis, [note["steps"] for note in scored], f1, line, phase)
    chosen = "records picked by hand" if by_hand else "all records"
    _finish(axis, f"F1, {chosen}", "F1", share=True)


def _noise(axis: Axes, notes: Notes) -> None:
    for name, line in plot_style.PHASES.items():
        key = f"false_{name.lower()}_per_hour"
        own = [n for n in _with("score", notes) if n["score"].get("noise", {}).get(key) is not None]
        if own:
            rates = [note["score"]["noise"][key] for note in own]
            _curve(axis, [note["steps"] for note in own], rates, line, name)
    _finish(axis, "False picks in noise", "picks an hour")


def _announced(axis: Axes, notes: Notes) -> None:
    for age, line in zip(AGES_S, plot_style.SERIES, strict=False):
        own = [n for n in _with("score", notes) if age in n["score"].get("announced_by_s", {})]
        if own:
            shares = [note["score"]["announced_by_s"][age] for note in own]
            _curve(axis, [note["steps"] for note in own], shares, line, f"{age} s after P")
    _finish(axis, "P announced", "share of P", share=True)
