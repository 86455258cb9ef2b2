"""Compare a float model with a quantised one, by the device's own detector and pick finding."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...edge.detector import Detector
from ...edge.picks import Peak, find_peaks
from ...edge.replay.labels import matches
from ...edge.timing import interleaved
from ...models.registry import Model
from ...models.spec import HEADS, RATE_HZ, ModelSpec
from ..data.matching import PhaseScore, judge_head, summed
from ..data.windows import WindowSet
from ..progress import OnProgress
from .agreement import Agreement, HeadAgreement

LATENCY_ROUNDS = 60

Detects = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(window_samples, 3) prepared in, (window_samples, 3) probabilities out."""


def compare(
    reference: Model, candidate: Model, windows: WindowSet, progress: OnProgress | None = None
) -> Agreement:
    """Run both models over the windows.

    Args:
        reference: The float model; its thresholds are used for both.
        candidate: The model to be judged.
        windows: Prepared windows that calibration did not use.
        progress: Called with what is done, how much of it, and of how much.

    Returns:
        How they agree, and what each scores by the windows' labels.
    """
    detectors = (Detector(reference), Detector(candidate))
    agreement = compare_detectors(reference.spec, detectors, windows, progress)
    float_ms, other_ms = _latencies(detectors, windows.windows[0], LATENCY_ROUNDS)
    return replace(agreement, latency_ms=other_ms, float_latency_ms=float_ms)


def compare_detectors(
    reference: ModelSpec,
    detectors: tuple[Detects, Detects],
    windows: WindowSet,
    progress: OnProgress | None = None,
) -> Agreement:
    """Run two detectors over the windows, whatever interpreters they have.

    Args:
        reference: Its thresholds are used for both.
        detectors: What is right, and what is to be judged.
        windows: Windows as both detectors take them, that calibration did not use.
        progress: Called with what is done, how much of it, and of how much.

    Returns:
        As `compare`, without times.
    """
    expected, found = [], []
    for number, window in enumerate(windows.windows):
        expected.append(detectors[0](window))
        found.append(detectors[1](window))
        if progress is not None:
            progress("verifying", number + 1, len(windows.windows))
    thresholds = reference.thresholds["default"].by_head
    heads = {
        head: _head_agreement(
            head,
            [curves[:, column] for curves in expected],
            [curves[:, column] for curves in found],
            thresholds[head],
            windows,
        )
        for column, head in enumerate(HEADS)
    }
    noise_added = sum(
        bool((after[:, 0] >= thresholds["detection"]).any())
        and not (before[:, 0] >= thresholds["detection"]).any()
        for before, after, is_noise in zip(expected, found, windows.is_noise, strict=True)
        if is_noise
    )
    return Agreement(
        windows=len(windows.windows),
        noise_windows=int(windows.is_noise.sum()),
        noise_added=noise_added,
        heads=heads,
    )


def _head_agreement(
    head: str,
    expected: Sequence[NDArray[np.float32]],
    found: Sequence[NDArray[np.float32]],
    threshold: float,
    windows: WindowSet,
) -> HeadAgreement:
    errors = [np.abs(a - b) for a, b in zip(expected, found, strict=True)]
    kept = lost = added = 0
    shifts: list[int] = []
    for before, after in zip(expected, found, strict=True):
        peaks = find_peaks(after, threshold)
        pairs = _matched(head, find_peaks(before, threshold), peaks)
        kept += sum(other is not None for _, other in pairs)
        lost += sum(other is None for _, other in pairs)
        added += len(peaks) - sum(other is not None for _, other in pairs)
        shifts += [abs(_moment(head, a) - _moment(head, b)) for a, b in pairs if b is not None]
    float_score, score = (
        _by_labels(head, curves, threshold, windows) for curves in (expected, found)
    )
    labels = score.found + score.missed
    return HeadAgreement(
        max_error=max(float(error.max()) for error in errors),
        mean_error=float(np.mean([error.mean() for error in errors])),
        kept=kept,
        lost=lost,
        added=added,
        shift_median_samples=float(np.median(shifts)) if shifts else None,
        shift_p95_samples=float(np.percentile(shifts, 95)) if shifts else None,
        labels=labels,
        float_f1=float_score.f1 if labels else None,
        f1=score.f1 if labels else None,
    )


def _by_labels(
    head: str, curves: Sequence[NDArray[np.float32]], threshold: float, windows: WindowSet
) -> PhaseScore:
    return summed(
        judge_head(head, curve, labels, threshold)
        for curve, labels in zip(curves, windows.labels, strict=True)
        if labels is not None
    )


def _matched(
    head: str, expected: Sequence[Peak], found: Sequence[Peak]
) -> list[tuple[Peak, Peak | None]]:
    """Pair each peak with the nearest one not yet taken: picks by time, detections by overlap."""
    free = list(found)
    pairs: list[tuple[Peak, Peak | None]] = []
    for peak in expected:
        near = [other for other in free if _same(head, peak, other)]
        best = min(near, key=lambda o: abs(_moment(head, o) - _moment(head, peak)), default=None)
        if best is not None:
            free.remove(best)
        pairs.append((peak, best))
    return pairs


def _same(head: str, a: Peak, b: Peak) -> bool:
    if head == "detection":
        return a.start_sample < b.end_sample and b.start_sample < a.end_sample
    return matches(a.sample, b.sample, RATE_HZ)


def _moment(head: str, peak: Peak) -> int:
    return peak.start_sample if head == "detection" else peak.sample


def _latencies(
    detectors: Sequence[Detects], window: NDArray[np.float32], rounds: int
) -> list[float]:
    """Median milliseconds of processor time of each, taken turn by turn.

    On an idle core that is the latency, one thread doing all; on a busy one it does not count the
    time that others had.
    """
    runs = [partial(detector, window) for detector in detectors]
    seconds = interleaved(runs, rounds, clock=time.process_time)
    return [1000.0 * float(median) for median in np.median(seconds, axis=1)]
