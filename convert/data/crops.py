"""Traces in, windows at random places of them out, prepared as the device prepares them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...edge.prepare import prepare
from ...edge.replay.stead import Trace
from ...models.spec import ModelSpec
from .labelled import Marks

MAX_CROPS = 8
"""Windows cut from one trace at most."""
EDGE_SAMPLES = 100
"""A crop shows at least this much of an event after its P arrival."""
QUIET_WINDOWS = 100
"""Windows of noise cut from before the P of events, beside the file's own noise."""
QUIET_SAMPLES = 2500
"""Least length of noise before a P that makes one."""
EARLY_SAMPLES = 30
"""Such noise ends this long before the catalogue's P."""


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Prepared windows.

    Attributes:
        windows: (n, window_samples, 3).
        is_noise: (n,) whether each holds no earthquake that the catalogue knows of.
        marks: What the catalogue says of each; None where it cannot be scored: a window shorter
            than the network's holds its arrivals twice, the second time in the mirror.
        traces: How many traces they come from.
    """

    windows: NDArray[np.float32]
    is_noise: NDArray[np.bool_]
    marks: tuple[Marks | None, ...]
    traces: int

    def every(self, stride: int) -> WindowSet:
        """Every so many-th of the windows."""
        return WindowSet(
            self.windows[::stride], self.is_noise[::stride], self.marks[::stride], self.traces
        )


def cut_windows(
    traces: Sequence[Trace],
    wanted: int,
    spec: ModelSpec,
    rng: np.random.Generator,
    quiet: int = 0,
) -> WindowSet:
    """Cut windows of some traces.

    Args:
        traces: To cut from.
        wanted: Windows at most; each trace gives one before any gives a second.
        spec: The model's contract.
        rng: Chooses their places.
        quiet: So many of what came before the P of events besides, at most.
    """
    crops = [*_crops(traces, wanted, spec, rng), *_quiet(traces, quiet, spec)]
    return WindowSet(
        np.stack([prepare(trace.waveform[part], spec) for trace, part, _ in crops]),
        np.array([is_noise for _, _, is_noise in crops]),
        tuple(_marks(trace, part, spec) for trace, part, _ in crops),
        len(traces),
    )


def crop(trace: Trace, window_samples: int, rng: np.random.Generator) -> slice:
    """Choose a window at a random place of a trace, the P arrival in it if there is one.

    A record no longer than the window is cut at one end instead: the device sees such short pieces
    after a gap, and the arrival must not always sit where the catalogue put it.

    Returns:
        Of the trace's samples, at most window_samples of them.
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
        return slice(start, start + window_samples)
    if rng.random() < 1 / 3:
        return slice(0, total)
    latest = total // 2 if arrival is None else min(total // 2, max(1, arrival - EDGE_SAMPLES))
    if rng.random() < 1 / 2:
        return slice(int(rng.integers(0, max(1, latest))), total)
    earliest = total // 2 if arrival is None else max(total // 2, arrival + EDGE_SAMPLES)
    return slice(0, int(rng.integers(min(earliest, total - 1), total)))


def _crops(
    traces: Sequence[Trace], wanted: int, spec: ModelSpec, rng: np.random.Generator
) -> Iterator[tuple[Trace, slice, bool]]:
    """One crop of each trace, then a second of each, until there are enough."""
    for index in range(min(wanted, MAX_CROPS * len(traces))):
        trace = traces[index % len(traces)]
        yield trace, crop(trace, spec.window_samples, rng), trace.is_noise


def _quiet(
    traces: Sequence[Trace], wanted: int, spec: ModelSpec
) -> Iterator[tuple[Trace, slice, bool]]:
    """What came before the P of events."""
    for trace in traces:
        end = int(trace.p_arrival_sample or 0) - EARLY_SAMPLES
        if end >= QUIET_SAMPLES and wanted > 0:
            wanted -= 1
            yield trace, slice(max(0, end - spec.window_samples), end), True


def _marks(trace: Trace, part: slice, spec: ModelSpec) -> Marks | None:
    if part.stop - part.start < spec.window_samples:
        return None
    p, s = (
        None
        if sample is None or not part.start <= sample < part.stop
        else round(sample) - part.start
        for sample in (trace.p_arrival_sample, trace.s_arrival_sample)
    )
    return Marks(trace.is_noise, p, s)
