"""Train one network on open data: stream, schedule, scores, centred thresholds, weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.spec import ModelSpec
from ..data.files import LabelMap
from ..data.picker import by_keras
from ..data.records import DataError, Index, Record
from ..data.waveforms import Unusable
from ..data.windows import TRIAL_DRAWS, TRIAL_SEED
from ..pictures.learning import HISTORY
from ..progress import report
from . import loop, mining
from .best import Best
from .centring import CENTRE, best_threshold, shift_to_centre
from .history import Stretch, note
from .library import Library
from .request import TrainRequest
from .sampling import Mixture, Sampler
from .score import Trial, make_trial, score
from .sides import more_sides
from .stream import Batch, StreamSettings, batches
from .student import Student
from .validation import AverageNetwork, losses, make_validation

MINED_SCENES = 12_000
CENTRED_ON = 400
"""Records of training stations by which the best threshold is found."""
SCORED_RECORDS = 500
"""At most: of STEAD's held-out records alone the windows would fill 150 GB."""


@dataclass(frozen=True)
class Training:
    """One training, its data open.

    Attributes:
        request: What it depends on.
        index: The records.
        labels: Teachers' answers.
        unusable: Counts records that cannot be read.
    """

    request: TrainRequest
    index: Index
    labels: LabelMap
    unusable: Unusable

    @property
    def spec(self) -> ModelSpec:
        """How the network is fed."""
        name = self.request.student.architecture
        return ModelSpec(name.replace("-", "_"), name)

    @property
    def mixture(self) -> Mixture:
        """What a batch is made of."""
        request = self.request
        scenes = asdict(request.scenes)
        return Mixture(**scenes, augment=request.augment, labels=request.labels)

    @property
    def weights(self) -> Path:
        """Where the weights are written."""
        return self.request.output / f"{self.spec.name}.weights.h5"

    def learn(
        self, student: Student, resume: bool, fooled: Any
    ) -> tuple[bool, dict[str, Any] | None, Best | None]:
        """Train the student and give it the weights of the lowest validation loss.

        Returns:
            Whether the training ended, its scores if there are any, and which weights were chosen
            if any record is held out.

        Args:
            student: Fresh.
            resume: Go on from the folder's checkpoint.
            fooled: Network whose false picks are learned from; None without one.
        """
        request = self.request
        if resume:
            best = loop.resume(request.output, student, request.identity())
        else:
            best = Best()
            # notes of a run that ended before its first checkpoint
            (request.output / HISTORY).write_text("")
        trial = self._trial(scored_on(self.index), TRIAL_DRAWS)
        network = AverageNetwork()
        validate = self._validator(network) if trial.events else None
        if validate is None:
            hint = more_sides(self.index)
            if request.loop.patience is not None:
                raise DataError(
                    f"--patience: no earthquake is held out, so there is no validation loss; {hint}"
                )
            report(f"no earthquake is held out, so there will be no scores; {hint}")

        def judge(learner: Student) -> dict[str, Any] | None:
            return score(network.of(learner), trial) if trial.events else None

        finished = loop.train(
            student,
            request.student.peak_learning_rate,
            self._stream(self._hard_scenes(fooled)),
            request.loop,
            request.output,
            request.identity(),
            judge,
            validate,
            best,
        )
        if validate is not None:
            choose(student, best, validate)
        self._centre(student, network)
        last = judge(student)
        if last is None:
            return finished, None, None
        note(request.output, student.steps, Stretch(), last)
        return finished, {"P 0.3, S 0.3": last}, best

    def _trial(self, records: Sequence[Record], draws: int = 1) -> Trial:
        return make_trial(records, self.labels, self.spec, TRIAL_SEED, draws, self.unusable)

    def _validator(self, network: AverageNetwork) -> Callable[[Student], dict[str, float]]:
        records, request = scored_on(self.index), self.request
        data = make_validation(records, self.labels, self.spec, request.labels, self.unusable)
        return lambda student: losses(network.of(student), data, request.student)

    def _stream(self, hard: tuple[int, ...]) -> Callable[[int], Iterator[Batch]]:
        request, training = self.request, self.index.training()
        settings = StreamSettings(
            request.seed,
            request.batch_windows,
            self.mixture,
            self.spec,
            request.budget_bytes,
            hard,
        )
        return lambda first: batches(
            training, self.labels, settings, first, request.workers, self.unusable
        )

    def _centre(self, student: Student, network: AverageNetwork) -> None:
        """Move the pickers' answers so that the best threshold is the usual one."""
        seen = self._trial(_by_hand(self.index.training()))
        for head, name in ((1, "picker_P"), (2, "picker_S")):
            best = best_threshold(network.of(student), seen, head)
            student.lift(name, shift_to_centre(best))
            report(f"{name}: best threshold {best:g}, moved to {CENTRE:g}")

    def _hard_scenes(self, fooled: Any) -> tuple[int, ...]:
        """Quiet scenes that fool the network of `hard_negatives`; without it those of before."""
        request = self.request
        if request.hard_negatives is None:
            return ()
        path = request.output / "hard_negatives.json"
        if fooled is None:
            return tuple(mining.load(path))
        library = Library(self.index.training(), self.labels, request.budget_bytes, self.unusable)
        sampler = Sampler(library, self.spec, self.mixture)
        hard = mining.hard_scenes(sampler, by_keras(fooled), self.spec, MINED_SCENES)
        mining.save(path, hard)
        report(f"{len(hard)} of {MINED_SCENES} quiet scenes fool {request.hard_negatives.name}")
        return tuple(hard)


def choose(student: Student, best: Best, validate: Callable[[Student], dict[str, float]]) -> None:
    """Give the student the weights of the lowest validation loss, its last ones included.

    Args:
        student: At the end of its training.
        best: Of its validations; the checkpoint that is saved by now keeps them without this one.
        validate: Returns the validation losses.
    """
    if best.validated != student.steps:
        best.offer(validate(student)["loss"], student.steps, student.average)
    student.average = [np.array(one) for one in best.weights]
    report(f"weights of step {best.steps}, validation loss {best.loss:.5f}, the lowest")


def scored_on(index: Index) -> list[Record]:
    """Return the held-out records to score on: at most `SCORED_RECORDS`, spread over the files."""
    labelled = [record for record in index.held_out() if record.kind != "continuous"]
    return labelled[:: max(1, math.ceil(len(labelled) / SCORED_RECORDS))]


def _by_hand(records: Sequence[Record]) -> list[Record]:
    """Manually picked records, spread over the files, as many as take a minute."""
    picked = [record for record in records if record.manual and record.kind == "event"]
    return picked[:: max(1, len(picked) // CENTRED_ON)]
