"""Report the progress of a training: lines on standard error, and notes in `history.jsonl`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...models.spec import HEADS
from ..pictures.learning import HISTORY
from ..progress import report
from .best import Best


@dataclass
class Stretch:
    """Steps since the last report."""

    losses: list[float] = field(default_factory=list)
    windows: int = 0
    seconds: float = 0.0
    learning_rate: float = 0.0

    def add(self, loss: float, windows: int, seconds: float, learning_rate: float) -> None:
        """Take in one step.

        Args:
            loss: Of its batch.
            windows: In it.
            seconds: That it took, waiting for the batch included.
            learning_rate: Of it.
        """
        self.losses.append(loss)
        self.windows += windows
        self.seconds += seconds
        self.learning_rate = learning_rate

    def row(self) -> dict[str, float]:
        """Mean loss, last learning rate and windows a second; nothing where there was no step."""
        if not self.losses:
            return {}
        return {
            "loss": round(float(np.mean(self.losses)), 6),
            "learning_rate": float(f"{self.learning_rate:.4g}"),
            "windows_per_s": float(f"{self.windows / max(self.seconds, 1e-9):.4g}"),
        }


def report_progress(steps: int, part: float, stretch: Stretch) -> None:
    """Report the steps so far and the part of the training that is done."""
    row = stretch.row()
    report(
        f"step {steps}  {100 * part:5.1f} %  loss {row['loss']:.5f}  "
        f"rate {row['learning_rate']:.2e}  {row['windows_per_s']:.0f} windows/s"
    )


def report_validation(steps: int, losses: dict[str, float], best: Best) -> None:
    """Report the validation loss, that of each head, and where the lowest one was."""
    heads = ", ".join(f"{name} {losses[name]:.5f}" for name in HEADS)
    report(
        f"step {steps}  validation loss {losses['loss']:.5f} ({heads}), lowest {best.loss:.5f} "
        f"at step {best.steps}"
    )


def note(
    output: Path,
    steps: int,
    stretch: Stretch,
    result: dict[str, Any] | None = None,
    validation: dict[str, float] | None = None,
) -> None:
    """Add a line to a run's history, and report its score.

    Args:
        output: The run's folder.
        steps: Taken in all.
        stretch: Since the line before.
        result: Score on held-out records, if there is one.
        validation: Loss on held-out records, and of each head, if it was measured.
    """
    line: dict[str, Any] = {"steps": steps, **stretch.row()}
    if validation is not None:
        line["validation"] = validation
    if result is not None:
        line["score"] = result
    with (output / HISTORY).open("a") as file:
        file.write(json.dumps(line, allow_nan=False) + "\n")
    if result is None:
        return
    noise = result.get("noise", {}).get("false_p_per_hour")
    report(
        f"held-out records, picked by hand: P F1 {result['P']['manually_picked']['f1']:.3f}, "
        f"S F1 {result['S']['manually_picked']['f1']:.3f}, false P/h {noise}, "
        f"announced {result.get('announced_by_s')}"
    )
