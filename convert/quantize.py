"""A network's weights in, the bytes of a TensorFlow Lite file out; writes nothing of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import EqedgeError
from .encoder import LayerWeights
from .networks import Variant

PRECISIONS = ("float32", "float16", "dynamic", "int8", "mixed", "int16x8")
CALIBRATED = ("int8", "mixed", "int16x8")
"""Precisions whose activations need ranges, and ranges need windows."""
REQUEST, WEIGHTS, WINDOWS, RESULT = "request.json", "weights.npz", "windows.npy", "model.tflite"
"""Files by which parent and child talk, in a folder of their own."""

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
    float_stages: Sequence[str] = (),
    tuning_steps: int = 0,
    progress: Progress | None = None,
) -> bytes:
    """Convert a network.

    The converter runs in a child process: it may die of a graph it does not like, and this process
    must live to tell.

    Args:
        arch: One of ARCHITECTURES.
        variant: As the weights have it.
        layers: Weights by layer name.
        precision: One of PRECISIONS. int8 takes int8 in and gives int8 out; the others float32.
        windows: (n, window_samples, 3) prepared, for the precisions of CALIBRATED.
        float_stages: Beginnings of the names of stages that stay float32, for `mixed`.
        tuning_steps: Gradient steps that fit the encoder to int8, for `int8`: see `tuning`.
        progress: Called with what is done, how much of it, and of how much.

    Returns:
        The flatbuffer. The same arguments give the same bytes.

    Raises:
        QuantizeError: The options do not fit together, or the converter refused or died.
    """
    _validate(precision, windows, float_stages)
    with tempfile.TemporaryDirectory(prefix="eqedge-convert-") as folder:
        exchange = Path(folder)
        arrays = {
            f"{name}/{i}": a for name, weights in layers.items() for i, a in enumerate(weights)
        }
        np.savez(exchange / WEIGHTS, **arrays)  # type: ignore[arg-type]  # numpy's stub: allow_pickle
        if windows is not None:
            np.save(exchange / WINDOWS, windows)
        request = {
            "arch": arch,
            "variant": asdict(variant),
            "precision": precision,
            "float_stages": list(float_stages),
            "tuning_steps": tuning_steps if precision == "int8" else 0,
        }
        (exchange / REQUEST).write_text(json.dumps(request))
        _run_child(exchange, f"{precision} of {arch}", progress)
        return (exchange / RESULT).read_bytes()


def _validate(
    precision: str, windows: NDArray[np.float32] | None, float_stages: Sequence[str]
) -> None:
    if precision not in PRECISIONS:
        raise QuantizeError(f"precision {precision!r}; use one of {', '.join(PRECISIONS)}")
    if precision in CALIBRATED and (windows is None or len(windows) == 0):
        raise QuantizeError(f"precision {precision} needs calibration windows; give --calibration")
    if bool(float_stages) != (precision == "mixed"):
        raise QuantizeError(
            f"precision {precision} with {len(float_stages)} float stages; "
            "--float-stage belongs to --precision mixed, which needs at least one"
        )


def _run_child(exchange: Path, what: str, progress: Progress | None) -> None:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", "eqedge.convert.worker", str(exchange)]
    with (
        open(exchange / "log", "w+", encoding="utf-8", errors="replace") as log,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as child,
    ):
        try:
            assert child.stdout is not None
            for line in child.stdout:
                parts = line.rstrip("\n").split("\t")
                if progress is not None and len(parts) == 4 and parts[0] == "progress":
                    progress(parts[1], int(parts[2]), int(parts[3]))
            code = child.wait()
        except BaseException:
            child.kill()
            raise
        log.seek(0)
        said = [line.strip() for line in log if line.strip()]
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; out of memory?" if name == "SIGKILL" else "; try --precision mixed or float32"
        raise QuantizeError(f"{what}: the converter died of {name}{hint}")
    if code or not (exchange / RESULT).exists():
        reason = said[-1] if said else f"exit code {code}"
        raise QuantizeError(f"{what}: the converter refused ({reason}); try another --precision")
