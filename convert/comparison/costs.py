"""Networks in, what each takes of a machine out: size, time and memory in one run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..quantization.quantize import QuantizeError
from .entrants import Entrant

ROUNDS = 60
RUNS_A_TURN = 3
"""The quickest counts: the first finds the caches full of the other networks."""


@dataclass(frozen=True)
class Cost:
    """What one network takes.

    Attributes:
        size_bytes: Of its file.
        latency_ms: Median processor time of a window, one thread, caches warm: on an idle core its
            latency.
        latency_ratio: That over the first network's.
        rss_mb: Peak memory of a process with Python, numpy, the runtime and this network in it.
    """

    size_bytes: int
    latency_ms: float
    latency_ratio: float
    rss_mb: float


def costs_of(entrants: Sequence[Entrant]) -> list[Cost]:
    """Measure all networks, turn by turn, so that a busy machine is busy for all alike."""
    rng = np.random.default_rng(0)
    windows = [
        rng.standard_normal((entrant.spec.window_samples, 3)).astype(np.float32)
        for entrant in entrants
    ]
    times: list[list[float]] = [[] for _ in entrants]
    for _ in range(ROUNDS):
        for entrant, window, taken in zip(entrants, windows, times, strict=True):
            taken.append(min(_timed(entrant, window) for _ in range(RUNS_A_TURN)))
    medians = [1000.0 * float(np.median(taken)) for taken in times]
    return [
        Cost(len(entrant.data), median, median / medians[0], peak_rss_mb(entrant))
        for entrant, median in zip(entrants, medians, strict=True)
    ]


def _timed(entrant: Entrant, window: NDArray[np.float32]) -> float:
    start = time.process_time()
    entrant.detect(window)
    return time.process_time() - start


def peak_rss_mb(entrant: Entrant) -> float:
    """Run a network once in a process of its own and return that one's peak memory, MB.

    Raises:
        QuantizeError: The process died.
    """
    with tempfile.TemporaryDirectory(prefix="eqedge-compare-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(entrant.data)
        done = subprocess.run(
            [sys.executable, "-m", f"{__package__}.memory", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise QuantizeError(f"model {entrant.name}: cannot be run alone ({last}); convert it again")
    return float(done.stdout)
