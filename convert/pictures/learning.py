"""A training's history as curves: F1, false picks in noise, and how soon a P is announced."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import ink
from .canvas import PlotError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE_INCHES = (7.0, 2.6)
HISTORY = "history.jsonl"


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Read what a training noted of its scores.

    Args:
        folder: `--output` of `eqedge train`.

    Returns:
        Its notes in order: `steps`, `score`.

    Raises:
        PlotError: There is none, it is damaged, or too short for a curve.
    """
    path = folder / HISTORY
    notes: list[dict[str, Any]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise PlotError(f"{path}: {reason}; give the --output of eqedge train") from error
    for number, line in enumerate(lines, start=1):
        try:
            note = json.loads(line)
            int(note["steps"])
            for phase in "PS":
                rows = note["score"][phase]
                float(rows["pooled"]["f1"]), float(rows["manually_picked"]["f1"])
        except (ValueError, KeyError, TypeError) as error:
            raise PlotError(f"{path}: line {number} is no note of a training") from error
        notes.append(note)
    if len(notes) < 2:
        raise PlotError(
            f"{path}: {len(notes)} scores, a curve needs two; train for longer (one every five "
            "minutes)"
        )
    return notes


def draw_learning(figure: Figure, notes: Sequence[Mapping[str, Any]]) -> None:
    """Draw the scores on held-out stations over the steps.

    Args:
        figure: Empty.
        notes: Two or more.
    """
    axes = figure.subplots(1, 3, sharex=True)
    steps = [note["steps"] / 1000 for note in notes]
    scores = [note["score"] for note in notes]
    by_hand = scores[-1]["P"]["manually_picked"]["f1"] > 0
    rows = "manually_picked" if by_hand else "pooled"
    for phase, line in (("P", ink.P), ("S", ink.S)):
        f1 = [score[phase][rows]["f1"] for score in scores]
        axes[0].plot(
            steps, f1, color=line.colour, linestyle=line.style, marker=line.marker, markersize=3,
            label=phase,
        )  # fmt: skip
    axes[0].set_ylabel(f"F1, {rows.replace('_', ' ')}")
    for name, phase, line in (("p", "P", ink.P), ("s", "S", ink.S)):
        rates = [score.get("noise", {}).get(f"false_{name}_per_hour") for score in scores]
        if None not in rates:
            axes[1].plot(
                steps, rates, color=line.colour, linestyle=line.style, marker=line.marker,
                markersize=3, label=phase,
            )  # fmt: skip
    axes[1].set_ylabel("false picks an hour of noise")
    axes[1].set_ylim(bottom=0)
    for age, line in zip(("0.5", "1", "3"), ink.SERIES, strict=False):
        shares = [score.get("announced_by_s", {}).get(age) for score in scores]
        if None not in shares:
            axes[2].plot(
                steps, shares, color=line.colour, linestyle=line.style, marker=line.marker,
                markersize=3, label=f"{age} s after P",
            )  # fmt: skip
    axes[2].set_ylabel("share of P announced")
    for axis in axes:
        axis.set_xlabel("steps (thousands)")
        axis.set_xlim(left=0)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="best")
