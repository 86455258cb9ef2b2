"""What can be scored: a shipped model, a `.tflite`, or weights, each with its preparation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError
from ...edge.detector import Detector
from ...edge.prepare import prepare
from ...models.shelf import open_model, shipped
from ...models.spec import ModelSpec, Thresholds
from ..data.records import WINDOW_SAMPLES
from ..training.score import Predict
from ..training.teachers import open_teacher


class ContestantError(EqedgeError):
    """What was named cannot be scored."""


@dataclass(frozen=True)
class Contestant:
    """A network ready to be scored.

    Attributes:
        name: Of its file.
        spec: Says how its windows are prepared, and its presets.
        predict: Prepared windows in, probabilities out.
        presets: Its card's threshold sets; empty without a card.
    """

    name: str
    spec: ModelSpec
    predict: Predict
    presets: Mapping[str, Thresholds]

    def answer(self, samples: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Turn (6000, 3) windows of raw samples into (n, 6000, 3) detection, P, S."""
        return self.predict(np.stack([prepare(window, self.spec) for window in samples]))


def open_contestant(name_or_path: str) -> Contestant:
    """Open a shipped model by name, or a file by its suffix.

    A `.tflite` with its card beside it runs as on a node, by the node's detector and the card's
    preparation; any other file as a teacher would.

    Raises:
        ContestantError: There is no such file, or the model has another window.
        ModelError: The model and its card do not fit, or it cannot be run.
        TeacherError: The file is no network, or one of other inputs or outputs.
        WeightsError: The weights are of no known network.
    """
    path = Path(name_or_path)
    carded = path.suffix == ".tflite" and path.with_suffix(".json").is_file()
    if name_or_path in shipped() or carded:
        model = open_model(name_or_path)
        spec = model.spec
        if spec.window_samples != WINDOW_SAMPLES:
            raise ContestantError(
                f"{name_or_path}: windows of {spec.window_samples} samples; only networks of "
                f"{WINDOW_SAMPLES} can be scored"
            )
        detector = Detector(model)

        def predict(windows: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.stack([detector(window) for window in windows])

        return Contestant(model.name, spec, predict, spec.thresholds)
    if not path.is_file():
        known = ", ".join(shipped())
        raise ContestantError(
            f"{name_or_path}: no such file; name weights (.h5), a .tflite, or one of {known}"
        )
    teacher = open_teacher(path)
    spec = ModelSpec(teacher.name, "scored", preparation=teacher.views[0])
    return Contestant(teacher.name, spec, teacher.predict, {})
