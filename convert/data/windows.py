"""Cut the windows that networks are calibrated, verified and scored on.

`cut_windows` makes prepared windows of traces for a conversion, at any window length; `cuts` makes
raw windows of held-out records for scoring, one at a time, so that memory does not grow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...edge.prepare import prepare
from ...edge.replay.labels import Labelled
from ...edge.replay.stead import Trace
from ...models.spec import WINDOW_SAMPLES, ModelSpec
from .example import noise_example
from .records import CONTINUOUS_SAMPLES, Record
from .waveforms import WaveformCache

LEAST_BEFORE_P = 450
"""An onset is scored where at least this many samples precede it; their mirror precedes them."""
NOISE_BEFORE_P = 2500
"""The window that ends just before P counts as noise where at least this much is recorded."""
CLEAR_OF_P = 30
"""Samples before a labelled P that may not be quiet."""
LEAST_IN_VIEW = 100
"""A window of an event shows at least this many samples on either side of its P."""
SCORED_AFTER_P = 500
"""A window to be scored shows at least this many samples from its P on."""
TRIAL_SEED = 20260101
TRIAL_DRAWS = 3
"""Windows of each scored event, P at another place in each; the seed makes them the same."""
ONSET_AGES_SAMPLES = (50, 100, 200, 300, 500)
"""From P to the end of the onset windows of a training card."""
LATE_SAMPLES = 200
"""Picks this near to a window's end are counted separately."""
MAX_CROPS = 8
"""Windows cut from one trace at most."""
QUIET_WINDOWS = 100
"""Windows of noise cut from before the P of events, beside the file's own noise."""

Use = Literal["event", "noise", "onset"]


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Prepared windows.

    Attributes:
        windows: (n, window_samples, 3).
        is_noise: (n,) whether each holds no earthquake that the catalogue knows of.
        labels: Of each; None where it cannot be scored: a window shorter than the network's holds
            its arrivals twice, the second time in the mirror.
        traces: How many traces they come from.
    """

    windows: NDArray[np.float32]
    is_noise: NDArray[np.bool_]
    labels: tuple[Labelled | None, ...]
    traces: int

    def every(self, stride: int) -> WindowSet:
        """Return every `stride`-th window."""
        return WindowSet(
            self.windows[::stride], self.is_noise[::stride], self.labels[::stride], self.traces
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
        quiet: Number of windows from before the P of events to add, at most.
    """
    crops = [*_crops(traces, wanted, spec, rng), *_quiet(traces, quiet, spec)]
    return WindowSet(
        np.stack([prepare(trace.waveform[part], spec) for trace, part, _ in crops]),
        np.array([is_noise for _, _, is_noise in crops]),
        tuple(_labels(trace, part, spec) for trace, part, _ in crops),
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
    if total > window_samples:
        start = place(total, window_samples, arrival, LEAST_IN_VIEW, rng)
        return slice(start, start + window_samples)
    if rng.random() < 1 / 3:
        return slice(0, total)
    latest = total // 2 if arrival is None else min(total // 2, max(1, arrival - LEAST_IN_VIEW))
    if rng.random() < 1 / 2:
        return slice(int(rng.integers(0, max(1, latest))), total)
    earliest = total // 2 if arrival is None else max(total // 2, arrival + LEAST_IN_VIEW)
    return slice(0, int(rng.integers(min(earliest, total - 1), total)))


def place(
    n_samples: int, window_samples: int, arrival: int | None, after: int, rng: np.random.Generator
) -> int:
    """Draw the first sample of a window at a random place, the arrival in it if there is one.

    Args:
        n_samples: Length of the record; at least a window.
        window_samples: Length of the window.
        arrival: Sample of P, or None.
        after: Samples from P on that the window shows, as far as the record has them; before P it
            shows `LEAST_IN_VIEW`.
        rng: Draws it.
    """
    first, last = 0, n_samples - window_samples
    if arrival is not None:
        first = max(first, min(last, arrival + after - window_samples))
        last = min(last, max(first, arrival - LEAST_IN_VIEW))
    return int(rng.integers(first, last + 1))


def noise_end(labels: Labelled) -> int | None:
    """Return the end of the noise before P; None where there is too little of it or no P."""
    p = labels.p_arrival_sample
    return None if p is None or p < NOISE_BEFORE_P else int(p) - CLEAR_OF_P


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
        end = noise_end(trace)
        if end is not None and wanted > 0:
            wanted -= 1
            yield trace, slice(max(0, end - spec.window_samples), end), True


def _labels(trace: Trace, part: slice, spec: ModelSpec) -> Labelled | None:
    length = part.stop - part.start
    return None if length < spec.window_samples else trace.inside(part.start, length)


@dataclass(frozen=True, eq=False)
class Cut:
    """One window of a record.

    Attributes:
        record: Where it is from.
        use: `event`: P at random in it. `noise`: no P in it. `onset`: it ends soon after P.
        first: Sample of the record at which it begins; below zero where it begins in the record's
            quiet beginning, mirrored.
        samples: (6000, 3) E, N, Z; a view, never to be written to.
    """

    record: Record
    use: Use
    first: int
    samples: NDArray[np.float32]

    @property
    def labels(self) -> Labelled:
        """Labels of the window; one before a P is noise."""
        inside = self.record.inside(self.first, WINDOW_SAMPLES)
        return replace(inside, kind="noise") if self.use == "noise" else inside

    @property
    def age(self) -> int:
        """Samples from P to the window's end."""
        assert self.record.p_arrival_sample is not None
        return self.first + WINDOW_SAMPLES - int(self.record.p_arrival_sample)


def cuts(
    records: Sequence[Record],
    waveforms: WaveformCache,
    seed: int,
    draws: int,
    ages: Sequence[int],
    onset_events: int | None = None,
) -> Iterator[Cut]:
    """Cut windows; the same seed gives the same ones.

    P lies uniformly over an event's window as far as the record allows. A continuous record is
    cut from end to end, and all of it is noise.

    Args:
        records: In order.
        waveforms: Reads them, and counts what cannot be read.
        seed: Of the positions.
        draws: Windows an event.
        ages: Of P at the end of the onset windows, samples.
        onset_events: Number of events whose onset is scored, drawn at random; None for all.
    """
    rng = np.random.default_rng(seed)
    judged = _with_onset(records, onset_events, seed)
    for record in records:
        waveform = waveforms.read(record)
        if waveform is None:
            continue
        n, p = record.n_samples, record.p_arrival_sample
        if p is None:
            last = min(n - WINDOW_SAMPLES, CONTINUOUS_SAMPLES - 1)
            for first in range(0, last + 1 if record.kind == "continuous" else 1, WINDOW_SAMPLES):
                yield Cut(record, "noise", first, waveform[first : first + WINDOW_SAMPLES])
            continue
        for _ in range(draws):
            first = place(n, WINDOW_SAMPLES, int(p), SCORED_AFTER_P, rng)
            yield Cut(record, "event", first, waveform[first : first + WINDOW_SAMPLES])
        if record.manual and p >= LEAST_BEFORE_P:
            yield from _endings(record, waveform, ages if record in judged else ())


def _endings(record: Record, waveform: NDArray[np.float32], ages: Sequence[int]) -> Iterator[Cut]:
    """Windows that end soon after P, and the one that ends just before it."""
    assert record.p_arrival_sample is not None
    p = int(record.p_arrival_sample)
    led = noise_example(waveform).with_mirrored_lead(WINDOW_SAMPLES, p - CLEAR_OF_P).waveform
    for age in ages:
        end = p + age
        if end <= record.n_samples:
            yield Cut(record, "onset", end - WINDOW_SAMPLES, led[end : end + WINDOW_SAMPLES])
    quiet_end = noise_end(record)
    if quiet_end is not None:
        samples = led[quiet_end : quiet_end + WINDOW_SAMPLES]
        yield Cut(record, "noise", quiet_end - WINDOW_SAMPLES, samples)


def _with_onset(records: Sequence[Record], at_most: int | None, seed: int) -> set[Record]:
    fit = [
        r
        for r in records
        if r.manual and r.p_arrival_sample is not None and r.p_arrival_sample >= LEAST_BEFORE_P
    ]
    if at_most is None or len(fit) <= at_most:
        return set(fit)
    chosen = np.random.default_rng(seed).choice(len(fit), at_most, replace=False)
    return {fit[k] for k in chosen.tolist()}
