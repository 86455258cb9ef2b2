"""Run a training's steps: schedule, checkpoints, progress; a resumed run ends in the same state."""

from __future__ import annotations

import json
import math
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from ... import EqedgeError
from ...edge.files import written_whole
from ...edge.signals import stop_on_signals
from ..progress import report
from .best import Best
from .history import Stretch, note, report_progress, report_validation
from .stream import Batch, StreamError
from .student import Student

WARM_UP = 0.03
VALIDATIONS = 20
"""In a training of many minutes, at even parts of its schedule."""
FLOOR = 0.01
"""The learning rate ends at this part of its peak."""
STOPPING = (
    "stopping after this step; then checkpoint, scores, weights and card are written "
    "(again: only the checkpoint)"
)
"""Acknowledges a signal."""


class CheckpointError(EqedgeError):
    """A checkpoint that cannot be read or belongs to another run."""


class DivergedError(EqedgeError):
    """The loss is not a number any more."""


@dataclass(frozen=True)
class LoopSettings:
    """How long to train and how often to save."""

    steps: int | None = None
    """Batches in all; with it a run is the same however fast the machine is."""
    minutes: float | None = None
    """Time in all, interruptions not counted; used where `steps` is None."""
    validations: int = VALIDATIONS
    """In all, at even parts of the schedule."""
    patience: int | None = None
    """Validations in a row without a lower loss, after which the training ends; None for never."""
    checkpoint_seconds: float = 60.0
    score_seconds: float = 300.0
    progress_seconds: float = 10.0

    def progress(self, steps: int, seconds: float) -> float:
        """Return the part done, 0 to 1 and beyond."""
        if self.steps is not None:
            return steps / self.steps
        return seconds / (60.0 * (self.minutes or 1.0))

    def validations_by(self, steps: int, seconds: float) -> int:
        """Return how many validations are due by then."""
        return int(min(1.0, self.progress(steps, seconds)) * self.validations)


def learning_rate(peak: float, progress: float) -> float:
    """Linear warm-up, then half a cosine down to the floor."""
    if progress < WARM_UP:
        return peak * max(progress / WARM_UP, 0.02)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP))))
    return peak * (FLOOR + (1 - FLOOR) * cosine)


def train(
    student: Student,
    peak_learning_rate: float,
    open_stream: Callable[[int], Iterator[Batch]],
    settings: LoopSettings,
    output: Path,
    identity: dict[str, Any],
    score: Callable[[Student], dict[str, Any] | None] | None = None,
    validate: Callable[[Student], dict[str, float]] | None = None,
    best: Best | None = None,
) -> bool:
    """Train until the schedule's end, until the validation loss falls no more, or a signal.

    Args:
        student: Fresh, or restored by `resume`.
        peak_learning_rate: Highest rate of the schedule.
        open_stream: Batches from a number on.
        settings: How long.
        output: Folder of `checkpoint.npz` and `history.jsonl`.
        identity: Settings that must be equal for a checkpoint to be used.
        score: Called now and then; its result goes to the history.
        validate: Returns the validation losses, `loss` among them, which go to the history; called
            at steps that the schedule fixes, so that a resumed run ends in the same state.
        best: Fresh, or from `resume`; keeps the weights of the lowest validation loss.

    Returns:
        Whether the end was reached.

    Raises:
        Interrupted: A signal came before the end of the first step, or hastens the end.
        StreamError: Batches cannot be made any more; what was learned is saved.
        DivergedError: The loss is not a number; the checkpoint before stays.
    """
    stream = open_stream(student.steps)
    clock = _Clock(elapsed(output), time.monotonic())
    saved = scored = began = time.monotonic()
    unreported, unnoted = Stretch(), Stretch()
    stop, first = Event(), True
    best = Best() if best is None else best
    validated = settings.validations_by(student.steps, clock.seconds())

    def is_over() -> bool:
        over = settings.progress(student.steps, clock.seconds()) >= 1
        return over or best.is_stale(settings.patience)

    try:
        with ExitStack() as learned:
            while not is_over() and not stop.is_set():
                try:
                    windows, targets = next(stream)
                except StreamError:
                    if stop.is_set():
                        break  # the signal that stops it reached the stream's processes too
                    save(output, student, clock.seconds(), identity, best)
                    raise
                rate = learning_rate(
                    peak_learning_rate, settings.progress(student.steps, clock.seconds())
                )
                loss = student.learn(windows, targets, rate)
                if first:  # until now a signal interrupts it: there is nothing to save
                    learned.enter_context(stop_on_signals(stop.set, STOPPING, interruptible=True))
                    first = False
                now = time.monotonic()
                if not math.isfinite(loss):
                    raise DivergedError(
                        f"{output}: the loss of step {student.steps} is {loss}; lower "
                        "--learning-rate and start again in another --output"
                    )
                for stretch in (unreported, unnoted):
                    stretch.add(loss, len(windows), now - began, rate)
                began = now
                if student.steps == 1:
                    note(output, student.steps, unnoted)
                    unnoted = Stretch()
                if unreported.seconds >= settings.progress_seconds:
                    report_progress(
                        student.steps, settings.progress(student.steps, clock.seconds()), unreported
                    )
                    unreported = Stretch()
                wanted = settings.validations_by(student.steps, clock.seconds())
                if validate is not None and wanted > validated:
                    validated = wanted
                    found = validate(student)
                    best.offer(found["loss"], student.steps, student.average)
                    note(output, student.steps, unnoted, validation=found)
                    report_validation(student.steps, found, best)
                    unnoted, began = Stretch(), time.monotonic()
                due = score is not None and now - scored >= settings.score_seconds
                if now - saved >= settings.checkpoint_seconds or due:
                    save(output, student, clock.seconds(), identity, best)
                    note(output, student.steps, unnoted, score(student) if score and due else None)
                    saved = began = time.monotonic()
                    scored = began if due else scored
                    unnoted = Stretch()
            finished = is_over()
            if best.is_stale(settings.patience):
                report(
                    f"ended at step {student.steps}: no lower validation loss in the last "
                    f"{best.since} validations (--patience)"
                )
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()
    save(output, student, clock.seconds(), identity, best)
    if unnoted.losses:
        note(output, student.steps, unnoted)
    return finished


def save(
    output: Path,
    student: Student,
    seconds: float,
    identity: dict[str, Any],
    best: Best | None = None,
) -> None:
    """Write the checkpoint, whole or not at all."""
    output.mkdir(parents=True, exist_ok=True)
    about = json.dumps({"seconds": seconds, "identity": identity})
    arrays: dict[str, Any] = {"about": np.asarray(about), **student.state()}
    arrays |= best.state() if best is not None else {}
    with written_whole(output / "checkpoint.npz") as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays)


def resume(output: Path, student: Student, identity: dict[str, Any]) -> Best:
    """Restore a student from a run's folder, and return the weights of its lowest loss.

    Raises:
        CheckpointError: There is none, it is damaged, or it was made with other settings.
    """
    path = output / "checkpoint.npz"
    try:
        with np.load(path) as stored:
            state = dict(stored)
        about = json.loads(str(state.pop("about")))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no checkpoint; leave out --resume to start") from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path}: damaged checkpoint ({error}); start again in another --output"
        ) from error
    for name in {**about["identity"], **identity}:
        was, value = about["identity"].get(name), identity.get(name)
        if was != json.loads(json.dumps(value)):
            raise CheckpointError(f"{path}: made with {name} {was!r}, now {value!r}; give the same")
    student.restore(state)
    return Best.of_state(state)


def elapsed(output: Path) -> float:
    """Seconds that a run's checkpoint has behind it; 0 without one."""
    try:
        with np.load(output / "checkpoint.npz") as stored:
            return float(json.loads(str(stored["about"]))["seconds"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return 0.0


@dataclass(frozen=True)
class _Clock:
    before: float
    started: float

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.started
