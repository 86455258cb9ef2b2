"""Teacher networks slid over records -> label tracks that saw both sides of every sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError, first_line
from ...edge.detector import Detector
from ...edge.prepare import COMPONENTS, prepare
from ...edge.runtime import find_runtime, hushed
from ...models.shelf import Model, open_model
from ...models.spec import HEADS, BandPass, ModelSpec, Preparation
from ..console import quiet
from ..data.records import RATE_HZ, WINDOW_SAMPLES
from .card import sha256_of

UNFILTERED = Preparation()
BAND_PASSED = Preparation(filter=BandPass(1.0, 45.0))
EDGE_SAMPLES = 500
EDGE_WEIGHT = 0.05
"""What a teacher says near its window's ends counts this much: there it saw one side only."""


class TeacherError(EqedgeError):
    """A teacher file that cannot be read, or a network of another window or other outputs."""


class Teacher(Protocol):
    """A network that labels windows."""

    name: str
    """Stem of its file."""
    sha256: str
    """Of its file: together with the name, what caches are named after."""
    views: Sequence[Preparation]
    """Preparations it was seen to be good on; their answers are averaged."""

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 6000, 3) prepared windows -> (n, 6000, 3) probabilities, in `models.spec.HEADS`."""


def open_teacher(path: str | Path) -> Teacher:
    """Read a teacher by its suffix: `.tflite`, a published Keras 2 `.h5`, or our `.weights.h5`.

    Raises:
        TeacherError: Names the file and what is wrong with it.
        ModelError: It is a `.tflite` of ours and its card does not fit.
        WeightsError: It holds weights of no known network.
    """
    path = Path(path)
    if not path.is_file():
        raise TeacherError(f"weights {path}: no such file")
    if path.suffix == ".tflite":
        interpreter = _interpreter(path)
        signatures = interpreter.get_signature_list().values()
        named = {name for signature in signatures for name in signature["outputs"]}
        return OwnTeacher(path) if named == set(HEADS) else RedPanTeacher(path, interpreter)
    if path.suffix == ".h5":
        return KerasTeacher(path)
    raise TeacherError(f"weights {path}: expected .tflite or .h5")


def label_track(
    teacher: Teacher, waveform: NDArray[np.float32], hop_samples: int, batch: int = 16
) -> NDArray[np.float32]:
    """Slide a teacher over a record.

    Args:
        teacher: The network.
        waveform: (n, 3) raw record, n >= 6000.
        hop_samples: From one window to the next.
        batch: Windows a call.

    Returns:
        (n, 3) detection, P and S: each sample the mean over every window and view that held it,
        weighted down where a window's end was near.
    """
    n = len(waveform)
    starts = [*range(0, n - WINDOW_SAMPLES, hop_samples), n - WINDOW_SAMPLES]
    weight = np.full((WINDOW_SAMPLES, 1), EDGE_WEIGHT, np.float32)
    weight[EDGE_SAMPLES:-EDGE_SAMPLES] = 1.0
    total = np.zeros((n, 3), np.float32)
    seen = np.zeros((n, 1), np.float32)
    for view in teacher.views:
        spec = ModelSpec("teacher", "teacher", preparation=view)
        for begin in range(0, len(starts), batch):
            chosen = starts[begin : begin + batch]
            windows = np.stack([prepare(waveform[a : a + WINDOW_SAMPLES], spec) for a in chosen])
            for a, answer in zip(chosen, teacher.predict(windows), strict=True):
                total[a : a + WINDOW_SAMPLES] += weight * answer
                seen[a : a + WINDOW_SAMPLES] += weight
    return total / seen


class OwnTeacher:
    """A `.tflite` that `eqedge convert` wrote, float or int8: run as on a node."""

    def __init__(self, path: Path) -> None:
        """Open the file; without its card beside it windows are prepared as for our networks.

        Raises:
            ModelError: It and its card do not fit, or it cannot be run.
            TeacherError: Its windows are of another length or rate.
        """
        self.name, self.sha256 = path.stem, sha256_of(path)
        if path.with_suffix(".json").is_file():
            model = open_model(path)
        else:
            spec = ModelSpec(path.stem, "teacher")
            model = Model(path.stem, path.read_bytes(), self.sha256, spec, {})
        spec = model.spec
        if (spec.window_samples, spec.sampling_rate_hz) != (WINDOW_SAMPLES, RATE_HZ):
            raise TeacherError(
                f"weights {path}: windows of {spec.window_samples} samples at "
                f"{spec.sampling_rate_hz:g} Hz; expected {WINDOW_SAMPLES} at {RATE_HZ:g} Hz"
            )
        self.views: Sequence[Preparation] = (spec.preparation,)
        self._components = [COMPONENTS.index(component) for component in spec.component_order]
        self._detector = Detector(model, threads=2)

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Teacher.predict`."""
        return np.stack([self._detector(window[:, self._components]) for window in windows])


class RedPanTeacher:
    """RED-PAN's `.tflite`: one (1, 6000, 3) input, out come P, S, noise and a mask."""

    views: Sequence[Preparation] = (UNFILTERED, BAND_PASSED)

    def __init__(self, path: Path, interpreter: Any) -> None:
        """Learn which output is which.

        Args:
            path: The file.
            interpreter: Of it, its tensors allocated.

        Raises:
            TeacherError: Its shapes are not a teacher's.
        """
        self.name, self.sha256 = path.stem, sha256_of(path)
        self._interpreter = interpreter
        inputs = interpreter.get_input_details()
        shape = tuple(int(size) for size in inputs[0]["shape"])
        if len(inputs) != 1 or shape != (1, WINDOW_SAMPLES, 3) or inputs[0]["dtype"] != np.float32:
            raise TeacherError(
                f"weights {path}: input {shape} {inputs[0]['dtype'].__name__}; "
                f"expected one float32 (1, {WINDOW_SAMPLES}, 3)"
            )
        self._input = inputs[0]["index"]
        outputs = interpreter.get_output_details()
        widths = {int(output["shape"][-1]): output["index"] for output in outputs}
        if len(outputs) != 2 or set(widths) != {2, 3}:
            shapes = [tuple(int(size) for size in output["shape"]) for output in outputs]
            raise TeacherError(
                f"weights {path}: outputs {shapes} are neither named {', '.join(HEADS)} nor "
                "RED-PAN's; give a file made by eqedge convert, or RED-PAN's of 60 s"
            )
        mask, phases = widths[2], widths[3]
        self._heads = ((mask, 0), (phases, 0), (phases, 1))

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Teacher.predict`."""
        answers = np.empty((len(windows), WINDOW_SAMPLES, 3), np.float32)
        for answer, window in zip(answers, windows, strict=True):
            # RED-PAN's recurrent layers keep their state from one call to the next.
            self._interpreter.reset_all_variables()
            self._interpreter.set_tensor(self._input, window[None])
            self._interpreter.invoke()
            for head, (index, column) in enumerate(self._heads):
                answer[:, head] = self._interpreter.get_tensor(index)[0, :, column]
        return answers


class KerasTeacher:
    """Weights of one of our networks: published EQTransformer or LEQNet `.h5`, or our own file."""

    def __init__(self, path: Path) -> None:
        """Build the network the file holds and load it.

        Raises:
            WeightsError: It holds none.
        """
        from ..graph.weights import load_network

        self.name = path.name.removesuffix(".h5").removesuffix(".weights")
        self.sha256 = sha256_of(path)
        with quiet(gpus=True):
            loaded = load_network(path)
        self._model: Any = loaded.network
        if _gates_were_hard(path):
            _use_hard_gates(self._model)
        # The published networks were trained on filtered data only.
        self.views: Sequence[Preparation] = (UNFILTERED,) if loaded.own_layout else (BAND_PASSED,)

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Teacher.predict`."""
        answers = self._model.predict_on_batch(windows)
        return np.concatenate([np.asarray(answer) for answer in answers], axis=-1)


def _interpreter(path: Path) -> Any:
    runtime = find_runtime()
    try:
        with hushed():
            interpreter = runtime.interpreter(model_path=str(path), num_threads=2)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise TeacherError(
            f"weights {path}: not a readable TFLite file ({first_line(error)}); copy it again"
        ) from error
    return interpreter


def _gates_were_hard(path: Path) -> bool:
    with h5py.File(path, "r") as file:
        return "hard_sigmoid" in str(file.attrs.get("model_config", ""))


def _use_hard_gates(model: Any) -> None:
    """Give the LSTMs Keras 2's hard gates, of a slope that Keras 3's own no longer have."""
    from keras import ops

    for layer in model.layers:
        sides = (getattr(layer, side, None) for side in ("forward_layer", "backward_layer"))
        for recurrent in (layer, *sides):
            if hasattr(recurrent, "cell"):
                recurrent.cell.recurrent_activation = lambda x: ops.clip(0.2 * x + 0.5, 0.0, 1.0)
