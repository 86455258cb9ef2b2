"""Convert a network to the bytes of a TensorFlow Lite file, in a child process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ... import reason_of
from ...edge.signals import signals_deferred
from ..progress import OnProgress
from .request import RANGED_PRECISIONS, RESULT, QuantizationRequest, QuantizeError

_OUT_OF_MEMORY = (
    "MemoryError", "bad_alloc", "annot allocate memory", "failed to map segment", "OOM when",
)  # fmt: skip
_DISK_FULL = ("No space left on device", "File too large", "Disk quota exceeded")


def quantize(
    request: QuantizationRequest,
    *,
    windows: NDArray[np.float32] | None = None,
    ranged: bytes | None = None,
    progress: OnProgress | None = None,
) -> bytes:
    """Make one file.

    The converter runs in a child process: it may die of a graph that it cannot convert, and this
    process must survive that.

    Args:
        request: What to make.
        windows: (n, window_samples, 3) prepared, for the precisions that need ranges.
        ranged: The file of a RANGES request, in place of windows.
        progress: Called with what is done, how much of it, and of how much.

    Returns:
        The flatbuffer.

    Raises:
        QuantizeError: The options do not fit together, or the converter refused or died.
    """
    request.check()
    has_windows = windows is not None and len(windows) > 0
    if request.precision in RANGED_PRECISIONS and ranged is None and not has_windows:
        raise QuantizeError(
            f"precision {request.precision} needs calibration windows; give --calibration"
        )
    try:
        with tempfile.TemporaryDirectory(prefix="eqedge-convert-") as folder:
            request.write(Path(folder), windows, ranged)
            _run_child(Path(folder), request.title, progress)
            return (Path(folder) / RESULT).read_bytes()
    except OSError as error:
        raise QuantizeError(
            f"temporary folder {tempfile.gettempdir()}: {reason_of(error)}; free space "
            "there, or set TMPDIR to a folder that has 300 MB"
        ) from error


def _run_child(exchange: Path, title: str, progress: OnProgress | None) -> None:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", "eqedge.convert.quantization.worker", str(exchange)]
    with ExitStack() as files:
        log = files.enter_context(open(exchange / "log", "w+", encoding="utf-8", errors="replace"))
        child = None
        try:
            with signals_deferred():  # a child that is not yet known could not be ended
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
        logged = [line.strip() for line in log if line.strip()]
    if code or not (exchange / RESULT).exists():
        raise QuantizeError(f"{title}: {_cause(code, logged)}")


def _cause(code: int, logged: list[str]) -> str:
    """Return in a line why a child made no file, and the remedy."""
    reason = logged[-1] if logged else f"exit code {code}"
    signalled = signal.Signals(-code).name if code < 0 else ""
    if signalled == "SIGKILL" or any(sign in line for sign in _OUT_OF_MEMORY for line in logged):
        died = f"the converter died of {signalled}" if signalled else "the converter stopped"
        return f"{died}: out of memory; close other programs, or give fewer calibration records"
    if any(sign in line for sign in _DISK_FULL for line in logged):
        return (
            f"the converter could not write ({reason}); free space in {tempfile.gettempdir()}, or "
            "set TMPDIR to a folder that has 300 MB"
        )
    if signalled:
        return f"the converter died of {signalled}; try --precision mixed or float32"
    return f"the converter refused ({reason}); try another --precision"
