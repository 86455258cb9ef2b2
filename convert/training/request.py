"""All that a training depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...edge.files import sha256_of
from ..data.files import DataFiles
from . import loop
from .options import AugmentOptions, LabelOptions, SceneOptions
from .student import StudentSettings


@dataclass(frozen=True)
class TrainRequest:
    """All that a training depends on."""

    files: DataFiles
    student: StudentSettings
    loop: loop.LoopSettings
    """Its steps are those of `epochs`, where these are given."""
    output: Path
    seed: int = 0
    batch_windows: int = 64
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    labels: LabelOptions = field(default_factory=LabelOptions)
    scenes: SceneOptions = field(default_factory=SceneOptions)
    workers: int = 1
    budget_bytes: int = 2 << 30
    initial: Path | None = None
    hard_negatives: Path | None = None
    licences: Sequence[str] = ()
    command: Sequence[str] = ()
    deterministic: bool = False
    epochs: int | None = None
    """As many windows each as the records to train on have minutes."""

    def identity(self) -> dict[str, Any]:
        """Settings that an interrupted run may not change."""
        files = [p.name for p in (*self.files.labelled, *self.files.continuous)]
        identity = {
            "student": asdict(self.student),
            "seed": self.seed,
            "deterministic": self.deterministic,
            "batch": self.batch_windows,
            "augment": asdict(self.augment),
            "labels": asdict(self.labels),
            "files": files,
            "split": self.files.split,
            "teachers": [f"{p.name} {sha256_of(p)[:12]}" for p in self.files.teachers],
            "hard_negatives": self.hard_negatives.name if self.hard_negatives else None,
        }
        if self.scenes != SceneOptions():  # checkpoints of before 0.2 do not name them
            identity["scenes"] = asdict(self.scenes)
        return identity
