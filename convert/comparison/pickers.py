"""Open the networks that are compared: models as they are, weights converted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...models.registry import Model
from ..conversion import ConvertSettings
from ..data.calibration import load_windows
from ..data.picker import WEIGHT_SUFFIXES, Picker, of_model, open_picker
from ..graph.macs import count_macs
from ..graph.origin import describe_weights
from ..graph.weights import load_network
from ..progress import OnProgress
from ..quantization.precisions import PrecisionBuilder


def open_pickers(
    names: Sequence[str], calibration: tuple[Path, ...], progress: OnProgress | None = None
) -> list[Picker]:
    """Open models, and convert weights.

    Weights become float32, and int8 too where there is something to calibrate on: the same runtime
    runs all, so that times and sizes can be compared.

    Args:
        names: Shipped models by name, `.tflite`, or weights as `eqedge convert` takes them.
        calibration: STEAD-layout HDF5 files.
        progress: Called with what is done, how much of it, and of how much.

    Raises:
        EqedgeError: A file cannot be read, converted or run.
    """
    pickers: list[Picker] = []
    for name in names:
        path = Path(name)
        if path.suffix in WEIGHT_SUFFIXES and path.is_file():
            pickers += _converted(path, calibration, progress)
        else:
            pickers.append(open_picker(name))
    return pickers


def _converted(
    path: Path, calibration: tuple[Path, ...], progress: OnProgress | None
) -> list[Picker]:
    loaded = load_network(path)
    settings = ConvertSettings(path, calibration, Path())
    origin = describe_weights(path, loaded)
    spec = origin.spec
    windows = np.zeros((0, spec.window_samples, 3), np.float32)
    if calibration:
        stations = origin.held_out_stations
        found = load_windows(calibration, spec, held_out=stations, progress=progress)
        windows = found.calibrate.windows
    builder = PrecisionBuilder(loaded, windows, settings.tuning_steps, settings.io, progress)
    parameters, macs = loaded.network.count_params(), count_macs(loaded.network)
    pickers = []
    for precision in ("float32", "int8") if calibration else ("float32",):
        data = builder.make(precision)
        card = {"precision": precision, "parameters": parameters, "macs": macs}
        pickers.append(of_model(Model.of(f"{spec.name}_{precision}", data, spec, card)))
    return pickers
