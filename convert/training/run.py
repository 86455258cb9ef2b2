"""One training from files to weights and card: what `eqedge train` does."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ... import EqedgeError
from ...edge.files import written_whole
from ...models.architectures import architecture
from ...models.spec import ModelSpec
from ..data.picker import sha256_of
from ..data.records import Index, Record
from ..data.waveforms import Unusable
from ..graph.networks import REPORT_VARIANT
from ..graph.stored import WeightsError
from ..graph.weights import load_network
from . import devices, loop, mining
from .card import Run, git_revision, write_card
from .centring import CENTRE, best_threshold, shift_to_centre
from .dataset import (
    DataFiles,
    LabelMap,
    check_sides,
    index_files,
    more_sides,
    teacher_labels,
    without_unheard,
)
from .history import HISTORY, Stretch, note
from .library import Library
from .options import AugmentOptions, LabelOptions
from .replicas import replicas_on
from .sampling import Mixture, Sampler
from .score import TRIAL_DRAWS, TRIAL_SEED, make_trial, predictor, score
from .stream import Batch, StreamSettings, batches
from .student import Student, StudentSettings

MINED_SCENES = 12_000
CENTRED_ON = 400
"""Records of training stations that tell where the best threshold lies."""
SCORED_RECORDS = 500
"""At most: of STEAD's held-out records alone the windows would fill 150 GB."""


class OutputError(EqedgeError):
    """The output folder cannot be made or written to, or holds another training."""


@dataclass(frozen=True)
class TrainRequest:
    """Everything a training depends on."""

    files: DataFiles
    student: StudentSettings
    loop: loop.LoopSettings
    output: Path
    seed: int = 0
    batch_windows: int = 64
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    labels: LabelOptions = field(default_factory=LabelOptions)
    workers: int = 1
    budget_bytes: int = 2 << 30
    initial: Path | None = None
    hard_negatives: Path | None = None
    licences: Sequence[str] = ()
    command: Sequence[str] = ()
    deterministic: bool = False

    def identity(self) -> dict[str, Any]:
        """Settings that an interrupted run may not change."""
        files = [p.name for p in (*self.files.labelled, *self.files.continuous)]
        return {
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


def run(request: TrainRequest, resume: bool) -> bool:
    """Train, or go on training, and write weights and card.

    Returns:
        Whether the schedule's end was reached; the weights are written either way.

    Raises:
        OutputError: The folder cannot be written to, or holds another training.
        WeightsError: `initial` or `hard_negatives` is no network of the architecture.
        DataError: The data have nothing to train on.
    """
    revision = git_revision()
    found = devices.find(request.deterministic)
    found.check_batch(request.batch_windows)
    found.check_deterministic()
    _claim(request.output, resume)
    initial, fooled = (
        None if resume else _network(path, request.student.architecture)
        for path in (request.initial, request.hard_negatives)
    )
    licences = [*request.licences, *["not stated"] * len(request.files.teachers)]
    teachers = [
        (path.name, sha256_of(path), licence)
        for path, licence in zip(request.files.teachers, licences, strict=False)
    ]
    index = index_files(request.files)
    unusable = Unusable(_say)
    labels = teacher_labels(request.files, index, unusable)
    index = without_unheard(index, labels, unusable)
    for reason, count in index.skipped.items():
        _say(f"skipped {count}: {reason}")
    training, held_out, scored = len(index.training()), len(index.held_out()), scored_on(index)
    _say(f"{training} records to train on, {held_out} held out, {len(scored)} of them scored")
    check_sides(index, labels)
    spec = ModelSpec(request.student.architecture.replace("-", "_"), request.student.architecture)
    mixture = Mixture(augment=request.augment, labels=request.labels)
    _say(f"training with {found.told}")
    weights = request.output / f"{spec.name}.weights.h5"
    with devices.computing_in(found.dtype):
        student = Student(request.student, request.seed, replicas_on(found.names))
        if initial is not None:
            student.start_from(initial)
        finished, scores = _learn(
            student, request, resume, index, labels, spec, mixture, weights, unusable, fooled
        )
    write_card(
        request.output / f"{spec.name}.training.json",
        weights,
        replace(index, skipped=index.skipped + unusable.counts()),
        Run(
            architecture(request.student.architecture).name,
            request.command,
            request.seed,
            student.steps * request.batch_windows,
            loop.elapsed(request.output),
            {"student": asdict(request.student), "mixture": asdict(mixture)},
            teachers,
            len(scored),
            scores,
            revision,
            request.initial,
            found.told,
        ),
    )
    return finished


def _learn(
    student: Student,
    request: TrainRequest,
    resume: bool,
    index: Index,
    labels: LabelMap,
    spec: ModelSpec,
    mixture: Mixture,
    weights: Path,
    unusable: Unusable,
    fooled: Any,
) -> tuple[bool, dict[str, Any] | None]:
    """Train the student; return whether its schedule ended, and its scores if there are any."""
    if resume:
        loop.resume(request.output, student, request.identity())
    else:
        # what a run noted that ended before its first checkpoint
        (request.output / HISTORY).write_text("")

    training = index.training()

    def all_scenes() -> Sampler:
        return Sampler(Library(training, labels, request.budget_bytes, unusable), spec, mixture)

    hard = _hard(request, fooled, all_scenes, spec)
    stream = StreamSettings(
        request.seed, request.batch_windows, mixture, spec, request.budget_bytes, hard
    )
    trial = make_trial(scored_on(index), labels, spec, TRIAL_SEED, TRIAL_DRAWS, unusable)
    if not trial.events:
        _say(f"no earthquake is held out, so there will be no scores; {more_sides(index)}")

    def open_stream(first: int) -> Iterator[Batch]:
        return batches(training, labels, stream, first, request.workers, unusable)

    def judge(learner: Student) -> dict[str, Any] | None:
        save_weights(learner, weights)
        return score(predictor(learner.averaged()), trial) if trial.events else None

    finished = loop.train(
        student,
        request.student.peak_learning_rate,
        open_stream,
        request.loop,
        request.output,
        request.identity(),
        judge,
    )
    seen = make_trial(_by_hand(training), labels, spec, TRIAL_SEED, unusable=unusable)
    for head, name in ((1, "picker_P"), (2, "picker_S")):
        best = best_threshold(predictor(student.averaged()), seen, head)
        student.lift(name, shift_to_centre(best))
        _say(f"{name}: best threshold {best:g}, moved to {CENTRE:g}")
    last = judge(student)
    if last is None:
        return finished, None
    note(request.output, student.steps, Stretch(), last)
    return finished, {"P 0.3, S 0.3": last}


def scored_on(index: Index) -> list[Record]:
    """Held-out records that a training is scored on: all, or so many spread over the files."""
    labelled = [record for record in index.held_out() if record.kind != "continuous"]
    return labelled[:: max(1, math.ceil(len(labelled) / SCORED_RECORDS))]


def _by_hand(records: Sequence[Record]) -> list[Record]:
    """Manually picked records, spread over the files, as many as take a minute."""
    picked = [record for record in records if record.manual and record.kind == "event"]
    return picked[:: max(1, len(picked) // CENTRED_ON)]


def _claim(output: Path, resume: bool) -> None:
    """Make the folder; refuse one that holds a training which is not to be gone on with."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        if not resume and (output / "checkpoint.npz").exists():
            raise OutputError(
                f"{output}: holds the checkpoint of a training; give --resume to go on with it, "
                "or another --output"
            )
        (output / HISTORY).touch()
    except OSError as error:
        raise OutputError(f"{output}: cannot be written ({error.strerror})") from error


def _network(path: Path | None, arch: str) -> Any:
    """Open `--initial` or `--hard-negatives`, of the network that is trained; None without."""
    if path is None:
        return None
    loaded = load_network(path, arch)
    if replace(loaded.variant, hard_gates=False) != REPORT_VARIANT:
        raise WeightsError(
            f"weights {path}: {loaded.architecture} of {loaded.variant}; eqedge train builds "
            f"{REPORT_VARIANT}"
        )
    return loaded.network


def _hard(
    request: TrainRequest, fooled: Any, all_scenes: Callable[[], Sampler], spec: ModelSpec
) -> tuple[int, ...]:
    """Quiet scenes that fool the network of `hard_negatives`; without it those of before."""
    if request.hard_negatives is None:
        return ()
    path = request.output / "hard_negatives.json"
    if fooled is None:
        return tuple(mining.load(path))
    hard = mining.hard_scenes(all_scenes(), predictor(fooled), spec, MINED_SCENES)
    mining.save(path, hard)
    _say(f"{len(hard)} of {MINED_SCENES} quiet scenes fool {request.hard_negatives.name}")
    return tuple(hard)


def save_weights(student: Student, path: Path) -> None:
    """Write the averaged weights, whole or not at all."""
    with written_whole(path, suffix=".weights.h5") as unfinished:  # Keras insists on it
        student.averaged().save_weights(unfinished)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
