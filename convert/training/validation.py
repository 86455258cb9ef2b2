"""Measure the loss of each head on held-out records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...edge.prepare import prepare
from ...models.spec import HEADS, WINDOW_SAMPLES, ModelSpec
from ..data.files import LabelMap
from ..data.picker import Predict, by_keras
from ..data.records import Record
from ..data.waveforms import Unusable, WaveformCache
from ..data.windows import TRIAL_SEED, cuts
from .labels import annotate, target_curves
from .options import LabelOptions
from .student import Student, StudentSettings

VALIDATED_RECORDS = 200
"""At most, spread over the files: a validation takes about a second."""
LEAST = 1e-6
"""Probabilities nearer to 0 or 1 count as this near, as in training."""


@dataclass(frozen=True)
class ValidationSet:
    """Windows of held-out records, P at random, and of noise; the same in every validation.

    Attributes:
        windows: (n, 6000, 3) prepared.
        targets: (n, 6000, 3) detection, P, S.
    """

    windows: NDArray[np.float32]
    targets: NDArray[np.float32]


def make_validation(
    records: Sequence[Record],
    labels: LabelMap,
    spec: ModelSpec,
    options: LabelOptions,
    unusable: Unusable,
) -> ValidationSet:
    """Cut a window of each record, and of the noise before manually picked P.

    Args:
        records: Held-out ones that are not continuous.
        labels: Teachers' answers; may lack any record.
        spec: How a window is prepared.
        options: Shape of the labels.
        unusable: Counts records that cannot be used.
    """
    some = records[:: max(1, math.ceil(len(records) / VALIDATED_RECORDS))]
    waveforms = WaveformCache(1 << 24, unusable)
    windows, targets = [], []
    for cut in cuts(some, waveforms, TRIAL_SEED, 1, ()):
        target = np.zeros((WINDOW_SAMPLES, 3), np.float32)
        waveform = waveforms.read(cut.record)
        if cut.use == "event" and waveform is not None:
            answers = labels.get((cut.record.path, cut.record.key), ())
            example = annotate(cut.record, waveform, answers).cut(cut.first, WINDOW_SAMPLES)
            target = target_curves(example, options)
        windows.append(prepare(cut.samples, spec))
        targets.append(target)
    shape = (-1, WINDOW_SAMPLES, 3)
    return ValidationSet(
        np.array(windows, np.float32).reshape(shape), np.array(targets, np.float32).reshape(shape)
    )


def losses(predict: Predict, data: ValidationSet, settings: StudentSettings) -> dict[str, float]:
    """Return the training's loss on held-out windows: of each head, and their weighted sum `loss`.

    Args:
        predict: The network.
        data: Its windows; at least one.
        settings: Weights of the heads and of onsets.
    """
    answers = np.clip(predict(data.windows).astype(np.float64), LEAST, 1 - LEAST)
    targets = data.targets.astype(np.float64)
    entropy = -(targets * np.log(answers) + (1 - targets) * np.log1p(-answers))
    onset = np.array([0.0, settings.onset_weight, settings.onset_weight])
    heads = (entropy * (1 + targets * onset)).mean(axis=(0, 1))
    total = float(heads @ np.array(settings.loss_weights))
    named = dict(zip(HEADS, heads.tolist(), strict=True))
    return {name: round(value, 6) for name, value in ({"loss": total} | named).items()}


class AverageNetwork:
    """Runs a student's average in one network: each new one would be traced again."""

    def __init__(self) -> None:
        self._network: Any = None

    def of(self, student: Student) -> Predict:
        """Return what runs the student's average as it is now."""
        if self._network is None:
            self._network = student.averaged()
        self._network.set_weights(student.average)
        return by_keras(self._network)
