"""Run one training from files to weights and card, for `eqedge train`."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...edge.files import sha256_of
from ...models.architectures import architecture
from ...models.spec import WINDOW_SAMPLES
from ..data.files import index_files, teacher_labels
from ..data.records import Index
from ..data.waveforms import Unusable
from ..graph.networks import REPORT_VARIANT
from ..graph.stored import WeightsError
from ..graph.weights import load_network
from ..progress import report
from . import devices, loop
from .card import TrainingRun, git_revision, write_weights
from .folder import claim
from .loop import LoopSettings
from .request import TrainRequest
from .session import Training, scored_on
from .sides import check_readable, check_sides, without_unlabelled
from .student import Student


def run(request: TrainRequest, resume: bool) -> bool:
    """Train, or go on training, and write weights and card.

    Returns:
        Whether the schedule's end was reached; the weights are written either way.

    Raises:
        TrainingFolderError: The folder cannot be written to, or holds another training.
        WeightsError: `initial` or `hard_negatives` is not a network of the architecture.
        DataError: The data have nothing to train on.
    """
    revision = git_revision()
    found = devices.find(request.deterministic)
    found.check_deterministic()
    claim(request.output, resume)
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
    unusable = Unusable(report)
    labels = teacher_labels(request.files, index, unusable)
    index = without_unlabelled(index, labels, unusable)
    for line in index.remarks:
        report(line)
    for reason, count in index.skipped.items():
        report(f"skipped {count}: {reason}")
    scored = scored_on(index)
    report(
        f"{len(index.training())} records to train on, {len(index.held_out())} held out, "
        f"{len(scored)} of them scored"
    )
    check_sides(index, labels)
    check_readable(index, unusable)
    report(f"training with {found.description}")
    if request.epochs is not None:
        request = replace(request, loop=of_epochs(request, index))
        report(f"{request.epochs} epochs are {request.loop.steps} steps")
    training = Training(request, index, labels, unusable)
    with devices.computing_in(found.dtype):
        student = Student(request.student, request.seed)
        if initial is not None:
            student.start_from(initial)
        finished, scores, best = training.learn(student, resume, fooled)
    write_weights(
        training.weights,
        student.averaged().save_weights,
        replace(index, skipped=index.skipped + unusable.counts()),
        TrainingRun(
            architecture=architecture(request.student.architecture).name,
            command=request.command,
            seed=request.seed,
            windows_seen=student.steps * request.batch_windows,
            seconds=loop.elapsed(request.output),
            settings={"student": asdict(request.student), "mixture": asdict(training.mixture)},
            teachers=teachers,
            scored_records=len(scored),
            scores=scores,
            validation=None if best is None else {"loss": best.loss, "steps": best.steps},
            revision=revision,
            initial=request.initial,
            devices=found.description,
        ),
    )
    return finished


def of_epochs(request: TrainRequest, index: Index) -> LoopSettings:
    """Return the loop of a number of epochs, with a validation after each.

    An epoch has as many windows as the records to train on have whole minutes, one at least.
    """
    assert request.epochs is not None
    windows = sum(max(1, record.n_samples // WINDOW_SAMPLES) for record in index.training())
    steps = request.epochs * math.ceil(windows / request.batch_windows)
    return replace(request.loop, steps=steps, validations=request.epochs)


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
