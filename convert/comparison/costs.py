"""Measure what each network takes of a machine, in one run: size, time and memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...edge.timing import interleaved
from ..data.picker import Picker
from ..quantization.request import QuantizeError

ROUNDS = 60
RUNS_A_TURN = 3
"""The quickest counts: the first finds the caches full of the other networks."""


@dataclass(frozen=True)
class PickerCost:
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


def costs_of(pickers: Sequence[Picker]) -> list[PickerCost]:
    """Measure all networks, turn by turn, so that a busy machine is busy for all alike."""
    rng = np.random.default_rng(0)
    windows = [
        rng.standard_normal((picker.spec.window_samples, 3)).astype(np.float32)
        for picker in pickers
    ]
    runs = [
        partial(picker.predict, window[None])
        for picker, window in zip(pickers, windows, strict=True)
    ]
    seconds = interleaved(runs, ROUNDS, runs_a_turn=RUNS_A_TURN, clock=time.process_time)
    medians = [1000.0 * float(median) for median in np.median(seconds, axis=1)]
    return [
        PickerCost(len(picker.data), median, median / medians[0], peak_rss_mb(picker))
        for picker, median in zip(pickers, medians, strict=True)
    ]


def peak_rss_mb(picker: Picker) -> float:
    """Run a network once in a process of its own and return that one's peak memory, MB.

    Raises:
        QuantizeError: The process died.
    """
    with tempfile.TemporaryDirectory(prefix="eqedge-compare-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(picker.data)
        done = subprocess.run(
            [sys.executable, "-m", f"{__package__}.memory", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise QuantizeError(f"model {picker.name}: cannot be run alone ({last}); convert it again")
    return float(done.stdout)
