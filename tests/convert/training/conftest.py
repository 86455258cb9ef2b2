from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # not for fast tests, which do without TensorFlow
    from eqedge.convert.training.student import Student


@dataclass(frozen=True)
class Whole:
    """A run of twenty steps, and the checkpoint of its eleventh."""

    start: list[Any]
    student: "Student"
    end: dict[str, Any]
    folder: Path
    broken: Path


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """State after twenty uninterrupted steps, and after a run broken off at the eleventh."""
    from eqedge.convert.training.student import Student

    from .steps import BROKEN_AT, SETTINGS, STEPS, take_steps

    student = Student(SETTINGS, seed=1)
    start = [w.copy() for w in student.network.get_weights()]
    folder = tmp_path_factory.mktemp("run")
    take_steps(student, folder, BROKEN_AT)
    broken = folder / "broken"
    broken.mkdir()
    (folder / "checkpoint.npz").rename(broken / "checkpoint.npz")
    take_steps(student, folder, STEPS - BROKEN_AT)
    return Whole(start, student, student.state(), folder, broken)
