"""Teacher networks slid over records -> label tracks that saw both sides of every sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError
from ...edge.prepare import prepare
from ...edge.runtime import find_runtime
from ...models.spec import BandPass, ModelSpec, Preparation
from .records import WINDOW_SAMPLES

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
    """Stem of its file: what caches are named after."""
    views: Sequence[Preparation]
    """Preparations it was seen to be good on; their answers are averaged."""

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 6000, 3) prepared windows -> (n, 6000, 3) probabilities, in `models.spec.HEADS`."""


def open_teacher(path: str | Path) -> Teacher:
    """Read a teacher by its suffix: `.tflite`, a published Keras 2 `.h5`, or our `.weights.h5`.

    Raises:
        TeacherError: Names the file and what is wrong with it.
    """
    path = Path(path)
    if not path.is_file():
        raise TeacherError(f"teacher {path}: no such file")
    if path.suffix == ".tflite":
        return TfliteTeacher(path)
    if path.suffix == ".h5":
        return KerasTeacher(path)
    raise TeacherError(f"teacher {path}: expected .tflite or .h5")


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


class TfliteTeacher:
    """A `.tflite` of one (1, 6000, 3) input.

    Two output layouts are known: RED-PAN's (P, S, noise and a mask) and ours (three heads).
    """

    views: Sequence[Preparation] = (UNFILTERED, BAND_PASSED)

    def __init__(self, path: Path) -> None:
        """Open the file and learn which output is which.

        Raises:
            TeacherError: It cannot be read, or its shapes are not a teacher's.
        """
        self.name = path.stem
        try:
            self._interpreter = find_runtime().interpreter(model_path=str(path), num_threads=2)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise TeacherError(f"teacher {path}: not a readable TFLite file ({error})") from error
        inputs = self._interpreter.get_input_details()
        shape = tuple(int(size) for size in inputs[0]["shape"])
        if len(inputs) != 1 or shape != (1, WINDOW_SAMPLES, 3) or inputs[0]["dtype"] != np.float32:
            raise TeacherError(
                f"teacher {path}: input {shape} {inputs[0]['dtype'].__name__}; "
                f"expected one float32 (1, {WINDOW_SAMPLES}, 3)"
            )
        self._input = inputs[0]["index"]
        outputs = self._interpreter.get_output_details()
        widths = {int(output["shape"][-1]): output["index"] for output in outputs}
        self._heads: tuple[tuple[Any, int], ...]
        if set(widths) == {2, 3}:
            mask, phases = widths[2], widths[3]
            self._heads = ((mask, 0), (phases, 0), (phases, 1))
        elif len(outputs) == 3 and set(widths) == {1}:
            ordered = sorted(outputs, key=lambda output: str(output["name"]))
            self._heads = tuple((output["index"], 0) for output in ordered)
            self.views = (UNFILTERED,)
        else:
            shapes = [tuple(output["shape"]) for output in outputs]
            raise TeacherError(f"teacher {path}: outputs {shapes} are of no known layout")

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
        from ..weights import load_network

        self.name = path.name.removesuffix(".h5").removesuffix(".weights")
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
