"""STEAD-layout files in, windows as the device prepares them out: to calibrate and to verify on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import EqedgeError
from ..edge.prepare import prepare
from ..edge.replay.stead import SteadFile, Trace, TraceError
from ..models.spec import ModelSpec

MIN_TRACES = 10
"""Usable traces without which ranges and agreement mean nothing."""
MIN_EVENT_TRACES = 5
MAX_TRACES = 600
"""Traces read at most: more cost time and change no range."""
VERIFY_SHARE = 3
"""Every third trace is kept from calibration, to verify on."""
CALIBRATION_WINDOWS = 1600
VERIFICATION_WINDOWS = 400
MAX_CROPS = 8
"""Windows cut from one trace at most."""
EDGE_SAMPLES = 100
"""A crop shows at least this much of an event after its P arrival."""

Progress = Callable[[str, int, int], None]


class CalibrationError(EqedgeError):
    """The calibration files cannot stand for what the device will see."""


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Prepared windows.

    Attributes:
        windows: (n, window_samples, 3).
        is_noise: (n,) whether each was cut from a trace labelled as noise.
        traces: How many traces they come from.
    """

    windows: NDArray[np.float32]
    is_noise: NDArray[np.bool_]
    traces: int


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """What conversion needs to see of the world.

    Attributes:
        calibrate: Windows for the ranges of activations.
        verify: Windows of other traces, for the agreement.
        skipped: Traces that could not be used.
        first_skip: Why the first of them could not, or empty.
    """

    calibrate: WindowSet
    verify: WindowSet
    skipped: int
    first_skip: str


def load_windows(
    paths: Sequence[Path], spec: ModelSpec, *, seed: int = 0, progress: Progress | None = None
) -> CalibrationData:
    """Cut windows at random places of the files' traces and prepare them.

    Args:
        paths: STEAD-layout HDF5 files.
        spec: The model's contract: rate, window, component order, preparation.
        seed: Of the choice of traces and crops.
        progress: Called with what is done, how much of it, and of how much.

    Raises:
        CalibrationError: Too few traces can be used, or all of them are noise; the message gives
            the first trace's reason.
        SteadError: A file cannot be read.
    """
    rng = np.random.default_rng(seed)
    traces, reasons = _usable_traces(paths, spec, rng, progress)
    events = sum(not trace.is_noise for trace in traces)
    files = ", ".join(path.name for path in paths)
    if len(traces) < MIN_TRACES:
        because = f"; {len(reasons)} skipped, the first: {reasons[0]}" if reasons else ""
        raise CalibrationError(
            f"calibration {files}: {len(traces)} usable traces, at least {MIN_TRACES} are needed"
            f"{because}"
        )
    if events < MIN_EVENT_TRACES:
        raise CalibrationError(
            f"calibration {files}: {events} of {len(traces)} traces hold an earthquake, at least "
            f"{MIN_EVENT_TRACES} are needed; add a file with events"
        )
    verify = [trace for number, trace in enumerate(traces) if number % VERIFY_SHARE == 0]
    calibrate = [trace for number, trace in enumerate(traces) if number % VERIFY_SHARE]
    return CalibrationData(
        _window_set(calibrate, CALIBRATION_WINDOWS, spec, rng),
        _window_set(verify, VERIFICATION_WINDOWS, spec, rng),
        len(reasons),
        reasons[0] if reasons else "",
    )


def crop(
    trace: Trace, window_samples: int, rng: np.random.Generator
) -> NDArray[np.floating | np.integer]:
    """Cut a window at a random place, the P arrival in it if there is one.

    A record no longer than the window is cut at one end instead: the device sees such short pieces
    after a gap, and the arrival must not always sit where the catalogue put it.

    Returns:
        (n, 3) with n <= window_samples.
    """
    total = len(trace.waveform)
    arrival = None if trace.p_arrival_sample is None else round(trace.p_arrival_sample)
    spare = total - window_samples
    if spare > 0:
        first, last = 0, spare
        if arrival is not None:
            first = max(first, min(last, arrival + EDGE_SAMPLES - window_samples))
            last = min(last, max(first, arrival - EDGE_SAMPLES))
        start = int(rng.integers(first, last + 1))
        return trace.waveform[start : start + window_samples]
    if rng.random() < 1 / 3:
        return trace.waveform
    latest = total // 2 if arrival is None else min(total // 2, max(1, arrival - EDGE_SAMPLES))
    if rng.random() < 1 / 2:
        return trace.waveform[int(rng.integers(0, max(1, latest))) :]
    earliest = total // 2 if arrival is None else max(total // 2, arrival + EDGE_SAMPLES)
    return trace.waveform[: int(rng.integers(min(earliest, total - 1), total))]


def _usable_traces(
    paths: Sequence[Path], spec: ModelSpec, rng: np.random.Generator, progress: Progress | None
) -> tuple[list[Trace], list[str]]:
    traces, reasons = [], []
    share = max(1, MAX_TRACES // max(1, len(paths)))
    for path in paths:
        with SteadFile(path) as file:
            names = list(file.names)
            chosen = rng.permutation(len(names))[:share]
            for done, index in enumerate(chosen, start=1):
                try:
                    trace = file.read(names[int(index)])
                    if trace.rate_hz != spec.sampling_rate_hz:
                        raise TraceError(
                            f"trace {trace.name}: {trace.rate_hz:g} samples a second, the network "
                            f"takes {spec.sampling_rate_hz:g}; resample it"
                        )
                    traces.append(trace)
                except TraceError as error:
                    reasons.append(str(error))
                if progress is not None:
                    progress(f"reading {path.name}", done, len(chosen))
    return traces, reasons


def _window_set(
    traces: Sequence[Trace], wanted: int, spec: ModelSpec, rng: np.random.Generator
) -> WindowSet:
    crops = list(_crops(traces, wanted, spec, rng))
    return WindowSet(
        np.stack([window for window, _ in crops]),
        np.array([is_noise for _, is_noise in crops]),
        len(traces),
    )


def _crops(
    traces: Sequence[Trace], wanted: int, spec: ModelSpec, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], bool]]:
    """One crop of each trace, then a second of each, until there are enough."""
    number = min(wanted, MAX_CROPS * len(traces))
    for index in range(number):
        trace = traces[index % len(traces)]
        yield prepare(crop(trace, spec.window_samples, rng), spec), trace.is_noise
