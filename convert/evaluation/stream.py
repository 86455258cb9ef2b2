"""Run a network over continuous records hop by hop: what it announces, what is not confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...edge.picks import find_peaks
from ...edge.replay.labels import matches
from ...models.spec import RATE_HZ, WINDOW_SAMPLES
from ..data.picker import Picker
from ..data.records import Record
from ..data.waveforms import WaveformCache
from ..progress import OnProgress

HOP_SAMPLES = 25
"""From one window to the next."""
FRESH_SAMPLES = 200
"""A P this near to a window's end counts as new."""
LATER_SAMPLES = 1000
"""The window that ends this long after a pick confirms it or not."""
SAME_PICK_SAMPLES = 75
"""Picks nearer than this are one, announced once."""
BLOCK_SAMPLES = 60_000
"""Ten minutes are resampled as a whole."""
BATCH_WINDOWS = 64


@dataclass(frozen=True, eq=False)
class Stream:
    """Announcements in continuous records; n stretches of ten minutes, t thresholds.

    Attributes:
        units: Of each stretch, what is resampled as a whole.
        seconds: (n,) how long each is.
        announced: (n, t) P announced.
        unconfirmed: (n, t) those that the window ten seconds later does not have.
    """

    units: tuple[str, ...]
    seconds: NDArray[np.float64]
    announced: NDArray[np.int32]
    unconfirmed: NDArray[np.int32]


def run_hop_by_hop(
    network: Picker,
    records: Sequence[Record],
    waveforms: WaveformCache,
    thresholds: Sequence[float],
    progress: OnProgress | None = None,
) -> Stream:
    """Run a network over continuous records, hop by hop.

    Args:
        network: To be scored.
        records: Continuous ones.
        waveforms: Reads them, and counts what cannot be read.
        thresholds: Of P.
        progress: Called with what is done, how many seconds of it, and of how many.
    """
    report = progress or (lambda *_: None)
    units: list[str] = []
    seconds: list[float] = []
    rows: list[NDArray[np.int32]] = []
    for record in records:
        waveform = waveforms.read(record)
        if waveform is None:
            continue
        ends = range(WINDOW_SAMPLES, len(waveform) + 1, HOP_SAMPLES)
        what = f"{network.name}: {record.trace} hop by hop, seconds"
        found = _picks_near_the_end(network, waveform, ends, thresholds, partial(report, what))
        last = ends[-1] - LATER_SAMPLES
        for first in range(WINDOW_SAMPLES, last + 1, BLOCK_SAMPLES):
            units.append(f"{record.key}+{first}")
            seconds.append(min(BLOCK_SAMPLES, last + 1 - first) / RATE_HZ)
        begun = len(rows)
        rows += [np.zeros((2, len(thresholds)), np.int32) for _ in range(len(units) - begun)]
        for column in range(len(thresholds)):
            picks = [row[column] for row in found]
            for sample, sure in announced_picks(picks, ends):
                if WINDOW_SAMPLES <= sample <= last:
                    block = rows[begun + (sample - WINDOW_SAMPLES) // BLOCK_SAMPLES]
                    block[0, column] += 1
                    block[1, column] += not sure
    counts = np.array(rows, np.int32).reshape(-1, 2, len(thresholds))
    return Stream(tuple(units), np.array(seconds), counts[:, 0], counts[:, 1])


def announced_picks(picks: Sequence[Sequence[int]], ends: Sequence[int]) -> list[tuple[int, bool]]:
    """Return what is announced, and whether a later window confirms it.

    Args:
        picks: Samples of P in each window.
        ends: First sample after each window, rising.

    Returns:
        (sample, confirmed) of each P that is new where a window ends; those of the last ten
        seconds, which cannot be confirmed yet, are left out.
    """
    announced: list[int] = []
    for found, end in zip(picks, ends, strict=True):
        for sample in found:
            old = any(abs(sample - known) <= SAME_PICK_SAMPLES for known in announced[-8:])
            if end - sample <= FRESH_SAMPLES and not old:
                announced.append(sample)
    judged = []
    for sample in announced:
        later = int(np.searchsorted(ends, sample + LATER_SAMPLES))
        if later < len(ends):
            sure = any(matches(sample, other, RATE_HZ) for other in picks[later])
            judged.append((sample, sure))
    return judged


def _picks_near_the_end(
    network: Picker,
    waveform: NDArray[np.float32],
    ends: Sequence[int],
    thresholds: Sequence[float],
    report: Callable[[int, int], None],
) -> list[list[list[int]]]:
    """Samples of P near each window's end, window by window and threshold by threshold."""
    reach = LATER_SAMPLES + 2 * FRESH_SAMPLES
    found: list[list[list[int]]] = []
    for begin in range(0, len(ends), BATCH_WINDOWS):
        batch = ends[begin : begin + BATCH_WINDOWS]
        answers = network.answer([waveform[end - WINDOW_SAMPLES : end] for end in batch])
        for end, answer in zip(batch, answers, strict=True):
            curve = answer[-reach:, 1]
            found.append(
                [[end - reach + k.sample for k in find_peaks(curve, t)] for t in thresholds]
            )
        report(round(batch[-1] / RATE_HZ), round(ends[-1] / RATE_HZ))
    return found
