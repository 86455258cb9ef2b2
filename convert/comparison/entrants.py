"""Names of models and weights in, networks that the node's runtime runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError
from ...edge.detector import Detector
from ...models.architectures import ARCHITECTURES
from ...models.shelf import Model, open_model, shipped
from ...models.spec import ModelSpec
from ..calibrate import load_windows
from ..conversion import ConvertSettings, Progress
from ..graph.macs import count_macs
from ..graph.weights import load_network
from ..origin import describe_weights, held_out_stations
from ..quantization.precisions import Forms
from ..training.teachers import open_teacher

Detect = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(window_samples, 3) prepared -> (window_samples, 3) detection, P, S."""


class EntrantError(EqedgeError):
    """What was named cannot be compared."""


@dataclass(frozen=True)
class Entrant:
    """One network in one precision.

    Attributes:
        name: Of its file.
        architecture: As the report calls it; its file's name where that is not known.
        precision: As on its card; empty where there is none.
        parameters: Of the network, batch statistics included; None where that is not known.
        macs: Multiply-accumulates a window; None where that is not known.
        data: The flatbuffer.
        spec: How to feed and read it.
        detect: Runs it.
    """

    name: str
    architecture: str
    precision: str
    parameters: int | None
    macs: int | None
    data: bytes
    spec: ModelSpec
    detect: Detect


def open_entrants(
    names: Sequence[str], calibration: tuple[Path, ...], progress: Progress | None = None
) -> list[Entrant]:
    """Open models, and convert weights.

    Weights become float32, and int8 too where there is something to calibrate on: the same runtime
    runs all, so that times and sizes can be compared. A `.tflite` without a card is prepared for
    as a teacher.

    Args:
        names: Shipped models by name, `.tflite`, or weights as `eqedge convert` takes them.
        calibration: STEAD-layout HDF5 files.
        progress: Called with what is done, how much of it, and of how much.

    Raises:
        EntrantError: A file is missing, or of none of these kinds.
        EqedgeError: It cannot be read, converted or run.
    """
    entrants: list[Entrant] = []
    for name in names:
        path = Path(name)
        if name in shipped() or (path.suffix == ".tflite" and path.with_suffix(".json").exists()):
            entrants.append(_of_model(open_model(name)))
        elif not path.is_file():
            raise EntrantError(
                f"{name}: no such file; name a .tflite, weights (.h5, .weights.h5, .keras), or a "
                f"shipped model ({', '.join(shipped())})"
            )
        elif path.suffix == ".tflite":
            entrants.append(_without_card(path))
        else:
            entrants += _of_weights(path, calibration, progress)
    return entrants


def _of_model(model: Model) -> Entrant:
    card = model.card
    known = ARCHITECTURES.get(model.spec.architecture)
    return Entrant(
        model.name,
        known.title if known else model.spec.architecture,
        str(card.get("precision", "")),
        card.get("parameters"),
        card.get("macs"),
        model.data,
        model.spec,
        Detector(model),
    )


def _without_card(path: Path) -> Entrant:
    teacher = open_teacher(path)
    spec = ModelSpec(teacher.name, teacher.name, preparation=teacher.views[-1])

    def detect(window: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(teacher.predict(window[None])[0])

    return Entrant(teacher.name, teacher.name, "", None, None, path.read_bytes(), spec, detect)


def _of_weights(
    path: Path, calibration: tuple[Path, ...], progress: Progress | None
) -> list[Entrant]:
    loaded = load_network(path)
    settings = ConvertSettings(path, calibration, Path())
    spec, origin = describe_weights(settings, loaded)
    windows = np.zeros((0, spec.window_samples, 3), np.float32)
    if calibration:
        held_out = held_out_stations(origin)
        found = load_windows(calibration, spec, held_out=held_out, progress=progress)
        windows = found.calibrate.windows
    forms = Forms(loaded, windows, settings.tuning_steps, settings.io, progress)
    parameters, macs = loaded.network.count_params(), count_macs(loaded.network)
    entrants = []
    for precision in ("float32", "int8") if calibration else ("float32",):
        data = forms.make(precision)
        card = {"precision": precision, "parameters": parameters, "macs": macs}
        entrants.append(_of_model(Model(f"{spec.name}_{precision}", data, "", spec, card)))
    return entrants
