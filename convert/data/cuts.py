"""Held-out records -> the windows that networks are scored on, one at a time, not yet prepared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..training.example import nothing_in
from .records import CONTINUOUS_SAMPLES, WINDOW_SAMPLES, Record
from .waveforms import Waveforms

LEAST_BEFORE_P = 450
"""An onset is judged where so many samples lie before it; before them their mirror is put."""
NOISE_BEFORE_P = 2500
"""The window that ends just before P counts as noise where so much of it is real."""
CLEAR_OF_P = 30
"""Samples before a labelled P that are not trusted to be quiet."""

Use = Literal["event", "noise", "onset"]


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
    def age(self) -> int:
        """Samples from P to the window's end."""
        assert self.record.p_sample is not None
        return self.first + WINDOW_SAMPLES - self.record.p_sample

    def sample_of(self, label: int | None) -> int | None:
        """Where a sample of the record lies in the window; None outside of it."""
        at = None if label is None else label - self.first
        return at if at is not None and 0 <= at < WINDOW_SAMPLES else None


def cuts(
    records: Sequence[Record],
    waveforms: Waveforms,
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
        onset_events: Judge the onset of so many events at most, drawn at random; None: of all.
    """
    rng = np.random.default_rng(seed)
    judged = _with_onset(records, onset_events, seed)
    for record in records:
        waveform = waveforms.read(record)
        if waveform is None:
            continue
        n, p = record.n_samples, record.p_sample
        if p is None:
            last = min(n - WINDOW_SAMPLES, CONTINUOUS_SAMPLES - 1)
            for first in range(0, last + 1 if record.kind == "continuous" else 1, WINDOW_SAMPLES):
                yield Cut(record, "noise", first, waveform[first : first + WINDOW_SAMPLES])
            continue
        for _ in range(draws):
            earliest, latest = max(0, p - WINDOW_SAMPLES + 500), min(n - WINDOW_SAMPLES, p - 100)
            first = int(rng.integers(earliest, max(earliest, latest) + 1))
            first = min(first, n - WINDOW_SAMPLES)
            yield Cut(record, "event", first, waveform[first : first + WINDOW_SAMPLES])
        if record.manual and p >= LEAST_BEFORE_P:
            yield from _endings(record, waveform, ages if record in judged else ())


def _endings(record: Record, waveform: NDArray[np.float32], ages: Sequence[int]) -> Iterator[Cut]:
    """Windows that end soon after P, and the one that ends just before it."""
    assert record.p_sample is not None
    p = record.p_sample
    led = nothing_in(waveform).preceded(WINDOW_SAMPLES, p - CLEAR_OF_P).waveform
    for age in ages:
        end = p + age
        if end <= record.n_samples:
            yield Cut(record, "onset", end - WINDOW_SAMPLES, led[end : end + WINDOW_SAMPLES])
    if p >= NOISE_BEFORE_P:
        end = p - CLEAR_OF_P
        yield Cut(record, "noise", end - WINDOW_SAMPLES, led[end : end + WINDOW_SAMPLES])


def _with_onset(records: Sequence[Record], at_most: int | None, seed: int) -> set[Record]:
    fit = [
        r for r in records if r.manual and r.p_sample is not None and r.p_sample >= LEAST_BEFORE_P
    ]
    if at_most is None or len(fit) <= at_most:
        return set(fit)
    chosen = np.random.default_rng(seed).choice(len(fit), at_most, replace=False)
    return {fit[k] for k in chosen.tolist()}
