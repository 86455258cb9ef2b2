"""A network's weights in, the bytes of a TensorFlow Lite file out; writes nothing of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError
from ..console import undisturbed
from ..graph.encoder import LayerWeights
from ..graph.networks import Variant

PRECISIONS = ("float32", "float16", "dynamic", "int8", "mixed", "int16x8")
CALIBRATED = ("int8", "mixed", "int16x8")
"""Precisions whose activations need ranges, and ranges need windows."""
RANGES = "ranges"
"""What a child is asked for in place of a precision: the float file with ranges in it."""
IO_TYPES = ("int8", "float32")
REQUEST, WEIGHTS, WINDOWS, RANGED, RESULT = (
    "request.json", "weights.npz", "windows.npy", "ranged.tflite", "model.tflite",
)  # fmt: skip
"""Files by which parent and child talk, in a folder of their own."""

_OUT_OF_MEMORY = (
    "MemoryError", "bad_alloc", "annot allocate memory", "failed to map segment", "OOM when",
)  # fmt: skip
_DISK_FULL = ("No space left on device", "File too large", "Disk quota exceeded")

Progress = Callable[[str, int, int], None]


class QuantizeError(EqedgeError):
    """A network cannot be made into the file asked for."""


def quantize(
    arch: str,
    variant: Variant,
    layers: LayerWeights,
    *,
    precision: str,
    windows: NDArray[np.float32] | None = None,
    ranged: bytes | None = None,
    float_stages: Sequence[str] = (),
    tuning_steps: int = 0,
    io: str = "int8",
    progress: Progress | None = None,
) -> bytes:
    """Convert a network.

    The converter runs in a child process: it may die of a graph it does not like, and this process
    must live to tell.

    Args:
        arch: One of ARCHITECTURES.
        variant: As the weights have it.
        layers: Weights by layer name.
        precision: One of PRECISIONS.
        windows: (n, window_samples, 3) prepared, for the precisions of CALIBRATED.
        ranged: What `find_ranges` gave, in place of windows for `int8` and `mixed`.
        float_stages: Beginnings of the names of stages that stay float32, for `mixed`.
        tuning_steps: Gradient steps that fit the encoder to int8: see `tuning`.
        io: Type of the input and the outputs of `int8`; the others take and give float32.
        progress: Called with what is done, how much of it, and of how much.

    Returns:
        The flatbuffer. The same arguments give the same bytes.

    Raises:
        QuantizeError: The options do not fit together, or the converter refused or died.
    """
    _validate(precision, windows, ranged, float_stages, io)
    request = {
        "arch": arch,
        "variant": asdict(variant),
        "precision": precision,
        "float_stages": list(float_stages),
        "tuning_steps": tuning_steps if precision in ("int8", "mixed") else 0,
        "io": io,
    }
    return _answer(request, layers, windows, ranged, f"{precision} of {arch}", progress)


def find_ranges(
    arch: str,
    variant: Variant,
    layers: LayerWeights,
    windows: NDArray[np.float32],
    tuning_steps: int,
    progress: Progress | None = None,
) -> bytes:
    """Do what all integer forms of a network have in common, and most of the work.

    Args:
        arch: One of ARCHITECTURES.
        variant: As the weights have it.
        layers: Weights by layer name.
        windows: (n, window_samples, 3), prepared.
        tuning_steps: Gradient steps that fit the encoder to int8; 0 leaves the weights as they are.
        progress: Called with what is done, how much of it, and of how much.

    Returns:
        A float flatbuffer with the range of every activation in it, for `quantize`.

    Raises:
        QuantizeError: The converter refused or died.
    """
    request = {
        "arch": arch,
        "variant": asdict(variant),
        "precision": RANGES,
        "float_stages": [],
        "tuning_steps": tuning_steps,
        "io": "float32",
    }
    return _answer(request, layers, windows, None, f"ranges of {arch}", progress)


def _validate(
    precision: str,
    windows: NDArray[np.float32] | None,
    ranged: bytes | None,
    float_stages: Sequence[str],
    io: str,
) -> None:
    if precision not in PRECISIONS:
        raise QuantizeError(f"precision {precision!r}; use one of {', '.join(PRECISIONS)}")
    if io not in IO_TYPES:
        raise QuantizeError(f"input and output type {io!r}; use one of {', '.join(IO_TYPES)}")
    if precision in CALIBRATED and ranged is None and (windows is None or len(windows) == 0):
        raise QuantizeError(f"precision {precision} needs calibration windows; give --calibration")
    if bool(float_stages) != (precision == "mixed"):
        raise QuantizeError(
            f"precision {precision} with {len(float_stages)} float stages; "
            "--float-stage belongs to --precision mixed, which needs at least one"
        )


def _answer(
    request: dict[str, Any],
    layers: LayerWeights,
    windows: NDArray[np.float32] | None,
    ranged: bytes | None,
    what: str,
    progress: Progress | None,
) -> bytes:
    """Put a request to a child process."""
    try:
        with tempfile.TemporaryDirectory(prefix="eqedge-convert-") as folder:
            exchange = Path(folder)
            arrays = {
                f"{name}/{i}": a for name, weights in layers.items() for i, a in enumerate(weights)
            }
            np.savez(exchange / WEIGHTS, **arrays)  # type: ignore[arg-type]  # numpy's stub: allow_pickle
            if windows is not None:
                np.save(exchange / WINDOWS, windows)
            if ranged is not None:
                (exchange / RANGED).write_bytes(ranged)
            (exchange / REQUEST).write_text(json.dumps(request))
            _run_child(exchange, what, progress)
            return (exchange / RESULT).read_bytes()
    except OSError as error:
        raise QuantizeError(
            f"temporary folder {tempfile.gettempdir()}: {error.strerror or error}; free space "
            "there, or set TMPDIR to a folder that has 300 MB"
        ) from error


def _run_child(exchange: Path, what: str, progress: Progress | None) -> None:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", "eqedge.convert.quantization.worker", str(exchange)]
    with ExitStack() as files:
        log = files.enter_context(open(exchange / "log", "w+", encoding="utf-8", errors="replace"))
        child = None
        try:
            with undisturbed():  # a child that is not yet known could not be ended
                child = subprocess.Popen(
                    command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
                )
            assert child.stdout is not None
            files.enter_context(child.stdout)
            for line in child.stdout:
                parts = line.rstrip("\n").split("\t")
                if progress is not None and len(parts) == 4 and parts[0] == "progress":
                    progress(parts[1], int(parts[2]), int(parts[3]))
            code = child.wait()
        except BaseException:
            if child is not None:
                child.kill()
                child.wait()
            raise
        log.seek(0)
        said = [line.strip() for line in log if line.strip()]
    if code or not (exchange / RESULT).exists():
        raise QuantizeError(f"{what}: {_cause(code, said)}")


def _cause(code: int, said: list[str]) -> str:
    """Tell in a line why a child gave no file, and what to do."""
    reason = said[-1] if said else f"exit code {code}"
    signalled = signal.Signals(-code).name if code < 0 else ""
    if signalled == "SIGKILL" or any(sign in line for sign in _OUT_OF_MEMORY for line in said):
        died = f"the converter died of {signalled}" if signalled else "the converter stopped"
        return f"{died}: out of memory; close other programs, or give fewer calibration records"
    if any(sign in line for sign in _DISK_FULL for line in said):
        return (
            f"the converter could not write ({reason}); free space in {tempfile.gettempdir()}, or "
            "set TMPDIR to a folder that has 300 MB"
        )
    if signalled:
        return f"the converter died of {signalled}; try --precision mixed or float32"
    return f"the converter refused ({reason}); try another --precision"
