"""Open any network that picks windows: a shipped model, a `.tflite`, or a weights file.

Training labels with it, `eqedge evaluate` and `eqedge compare` score it: all through `answer`, so
that one network has one answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError, reason_of
from ...edge.detector import Detector
from ...edge.files import sha256_of
from ...edge.prepare import prepare
from ...edge.runtime import open_interpreter
from ...models.architectures import ARCHITECTURES
from ...models.reading import MODEL_BYTES, read_file
from ...models.registry import Model, open_model, shipped
from ...models.spec import (
    HEADS,
    RATE_HZ,
    WINDOW_SAMPLES,
    BandPass,
    ModelSpec,
    Preparation,
    Thresholds,
)

UNFILTERED = Preparation()
BAND_PASSED = Preparation(filter=BandPass(1.0, 45.0))
WEIGHT_SUFFIXES = (".h5", ".keras")
KERAS_BATCH = 64
"""Windows that Keras is given at once."""
THREADS = 2
"""Of a network without a card, such as a teacher, which labels hours of records."""

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(n, 6000, 3) prepared windows -> (n, 6000, 3) probabilities, in `models.spec.HEADS`."""


class PickerError(EqedgeError):
    """A network that cannot be read, or one of another window or other outputs."""


@dataclass(frozen=True, eq=False)
class Picker:
    """A network that answers windows.

    Attributes:
        name: Of its file.
        sha256: Of its file.
        views: How its windows are prepared. Where there are several, the network was found to be
            good on each, and its answer is their mean.
        predict: Runs the network on prepared windows.
        card: Its model card; empty where it has none.
        data: Its flatbuffer; empty where it is run by Keras.
    """

    name: str
    sha256: str
    views: Sequence[ModelSpec]
    predict: Predict
    card: Mapping[str, Any] = field(default_factory=dict)
    data: bytes = b""

    @property
    def spec(self) -> ModelSpec:
        """The first view."""
        return self.views[0]

    @property
    def presets(self) -> Mapping[str, Thresholds]:
        """Its card's threshold sets; empty without a card."""
        return self.spec.thresholds if self.card else {}

    @property
    def architecture(self) -> str:
        """As the report calls it; the name where that is not known."""
        known = ARCHITECTURES.get(self.spec.architecture)
        return known.title if known else self.spec.architecture

    def answer(self, samples: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Turn (6000, 3) windows of raw samples, E, N, Z, into (n, 6000, 3) detection, P, S."""
        answers = [
            self.predict(np.stack([prepare(window, view) for window in samples]))
            for view in self.views
        ]
        return answers[0] if len(answers) == 1 else np.mean(answers, axis=0, dtype=np.float32)


def open_picker(name_or_path: str | Path) -> Picker:
    """Open a shipped model by name, or a file by its suffix.

    A `.tflite` of ours runs by the node's detector, with the preparation on its card. Weights are
    published Keras 2 `.h5`, our own `.weights.h5`, or `.keras`.

    Raises:
        PickerError: There is no such file, or it is not a network of 6000 samples.
        ModelError: The model and its card do not fit, or it cannot be run.
        WeightsError: The weights are of no known network.
        TrainingCardError: The card beside the weights is damaged, or of others.
    """
    path = Path(name_or_path)
    is_carded = path.suffix == ".tflite" and path.with_suffix(".json").is_file()
    if str(name_or_path) in shipped() or is_carded:
        return of_model(open_model(name_or_path))
    check_networks([name_or_path])
    return _without_card(path) if path.suffix == ".tflite" else _of_weights(path)


def check_networks(names: Sequence[str | Path]) -> None:
    """Check that networks are files, or shipped models, before anything is loaded.

    Raises:
        PickerError: One is not there, or its suffix is of no network.
    """
    for name in names:
        path = Path(name)
        if str(name) in shipped():
            continue
        if not path.is_file():
            raise PickerError(
                f"weights {name}: no such file; name weights ({', '.join(WEIGHT_SUFFIXES)}), "
                f"a .tflite, or a shipped model ({', '.join(shipped())})"
            )
        if path.suffix not in (".tflite", *WEIGHT_SUFFIXES):
            raise PickerError(f"weights {path}: expected .tflite, {' or '.join(WEIGHT_SUFFIXES)}")


def of_model(model: Model, threads: int = 1) -> Picker:
    """Run a model as on a node.

    Args:
        model: Of windows of 6000 samples.
        threads: Of the interpreter.

    Raises:
        ModelError: It cannot be run.
        PickerError: Its windows are of another length or rate.
    """
    spec = model.spec
    if (spec.window_samples, spec.sampling_rate_hz) != (WINDOW_SAMPLES, RATE_HZ):
        raise PickerError(
            f"weights {model.name}: windows of {spec.window_samples} samples at "
            f"{spec.sampling_rate_hz:g} Hz; expected {WINDOW_SAMPLES} at {RATE_HZ:g} Hz"
        )
    detector = Detector(model, threads)

    def predict(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([detector(window) for window in windows])

    return Picker(model.name, model.sha256, (spec,), predict, model.card, model.data)


def _without_card(path: Path) -> Picker:
    """Open a `.tflite` by its outputs: ours are named, RED-PAN's are known by their widths."""
    try:
        data = read_file(path, MODEL_BYTES)
        interpreter = open_interpreter(data, THREADS)
    except (OSError, ValueError, RuntimeError) as error:
        raise PickerError(
            f"weights {path}: not a readable TFLite file ({reason_of(error)}); copy it again"
        ) from error
    signatures = interpreter.get_signature_list().values()
    named = {name for signature in signatures for name in signature["outputs"]}
    sha256 = hashlib.sha256(data).hexdigest()
    if named == set(HEADS):
        return of_model(Model.of(path.stem, data, ModelSpec(path.stem, path.stem)), THREADS)
    return Picker(
        path.stem, sha256, _views(path.stem, UNFILTERED, BAND_PASSED), RedPan(path, interpreter),
        data=data,
    )  # fmt: skip


class RedPan:
    """RED-PAN's `.tflite`: takes (1, 6000, 3), returns P, S, noise and a mask of the earthquake.

    Args:
        path: The file.
        interpreter: Of it, its tensors allocated.

    Raises:
        PickerError: Its shapes are not RED-PAN's.
    """

    def __init__(self, path: Path, interpreter: Any) -> None:
        self._interpreter = interpreter
        inputs = interpreter.get_input_details()
        shape = tuple(int(size) for size in inputs[0]["shape"])
        if len(inputs) != 1 or shape != (1, WINDOW_SAMPLES, 3) or inputs[0]["dtype"] != np.float32:
            raise PickerError(
                f"weights {path}: input {shape} {inputs[0]['dtype'].__name__}; "
                f"expected one float32 (1, {WINDOW_SAMPLES}, 3)"
            )
        self._input = inputs[0]["index"]
        outputs = interpreter.get_output_details()
        widths = {int(output["shape"][-1]): output["index"] for output in outputs}
        if len(outputs) != 2 or set(widths) != {2, 3}:
            shapes = [tuple(int(size) for size in output["shape"]) for output in outputs]
            raise PickerError(
                f"weights {path}: outputs {shapes} are neither named {', '.join(HEADS)} nor "
                "RED-PAN's; give a file made by eqedge convert, or RED-PAN's of 60 s"
            )
        mask, phases = widths[2], widths[3]
        self._heads = ((mask, 0), (phases, 0), (phases, 1))

    def __call__(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network, see `Predict`."""
        answers = np.empty((len(windows), WINDOW_SAMPLES, 3), np.float32)
        for answer, window in zip(answers, windows, strict=True):
            # RED-PAN's recurrent layers keep their state from one call to the next.
            self._interpreter.reset_all_variables()
            self._interpreter.set_tensor(self._input, window[None])
            self._interpreter.invoke()
            for head, (index, column) in enumerate(self._heads):
                answer[:, head] = self._interpreter.get_tensor(index)[0, :, column]
        return answers


def by_keras(network: Any) -> Predict:
    """Run a Keras network of three outputs, `KERAS_BATCH` windows at a time."""

    def predict(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = []
        for first in range(0, len(windows), KERAS_BATCH):
            heads = network.predict_on_batch(windows[first : first + KERAS_BATCH])
            parts.append(np.concatenate([np.asarray(head) for head in heads], axis=-1))
        return np.concatenate(parts)

    return predict


def _of_weights(path: Path) -> Picker:
    """Build the network that the file holds, and run it by Keras."""
    from ..console import tensorflow_silenced
    from ..graph.origin import describe_weights
    from ..graph.weights import load_network

    with tensorflow_silenced(gpus=True):
        loaded = load_network(path)
    name = path.name.removesuffix(path.suffix).removesuffix(".weights")
    spec = describe_weights(path, loaded, name).spec  # as eqedge convert prepares it
    return Picker(name, sha256_of(path), (spec,), by_keras(loaded.network))


def _views(name: str, *preparations: Preparation) -> tuple[ModelSpec, ...]:
    return tuple(ModelSpec(name, name, preparation=one) for one in preparations)
