"""A float model against a quantised one, through the device's own detector and pick finding."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..edge.detector import Detector
from ..edge.picks import Peak, find_peaks
from ..models.shelf import Model
from ..models.spec import HEADS
from .calibrate import WindowSet

MATCH_SAMPLES = 50
"""A P or S pick within half a second of the float model's is the same pick."""
LATENCY_ROUNDS = 60

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class AgreementLimit:
    """What a converted model must reach to be written without --force: the one place that says so.

    Attributes:
        kept_fraction: Of the float model's picks or detections, head by head.
        added_fraction: Picks the float model has not, against those it has.
        shift_median_samples: Of P and S picks.
        shift_p95_samples: Of P and S picks.
        noise_added: Detections in windows of noise that the float model has not, as a fraction of
            those windows.
        picks_needed: P and S picks of the float model without which nothing can be said.
    """

    kept_fraction: float = 0.90
    added_fraction: float = 0.10
    shift_median_samples: float = 5.0
    shift_p95_samples: float = 25.0
    noise_added: float = 0.02
    picks_needed: int = 10


LIMIT = AgreementLimit()


@dataclass(frozen=True)
class HeadAgreement:
    """One head of both models over the same windows.

    Attributes:
        max_error: Largest difference of probability.
        mean_error: Mean difference of probability.
        kept: Picks (detection: stretches) of the float model that the other has too.
        lost: Those it has not.
        added: Those only it has.
        shift_median_samples: Of the kept ones; None if there are none. Of a detection: its start.
        shift_p95_samples: The same, 95th percentile.
    """

    max_error: float
    mean_error: float
    kept: int
    lost: int
    added: int
    shift_median_samples: float | None
    shift_p95_samples: float | None

    @property
    def kept_fraction(self) -> float:
        """Share of the float model's picks that are kept; 1 where it has none."""
        return self.kept / (self.kept + self.lost) if self.kept + self.lost else 1.0


@dataclass(frozen=True)
class Agreement:
    """How a model compares with its float reference.

    Attributes:
        windows: Windows compared, all of traces that calibration did not see.
        noise_windows: Those of noise among them.
        noise_added: Windows of noise where only the other model detects.
        heads: By name of the head.
        latency_ms: Median time of one window on this machine, one thread.
        float_latency_ms: The float model's, in the same run, turn by turn.
    """

    windows: int
    noise_windows: int
    noise_added: int
    heads: Mapping[str, HeadAgreement]
    latency_ms: float
    float_latency_ms: float

    @property
    def latency_ratio(self) -> float:
        """Time of the model over that of its float reference."""
        return self.latency_ms / self.float_latency_ms

    def to_json(self) -> dict[str, Any]:
        """Return the card's `agreement`."""
        return {
            "reference": "float32 of the same weights",
            "windows": self.windows,
            "noise_windows": self.noise_windows,
            "noise_added": self.noise_added,
            "heads": {
                name: {key: _rounded(value) for key, value in asdict(head).items()}
                for name, head in self.heads.items()
            },
            "latency_ratio": round(self.latency_ratio, 2),
            "limit": asdict(LIMIT),
        }


def compare(
    reference: Model, candidate: Model, windows: WindowSet, progress: Progress | None = None
) -> Agreement:
    """Run both models over the windows.

    Args:
        reference: The float model; its thresholds are used for both.
        candidate: The model to be judged.
        windows: Prepared windows that calibration did not use.
        progress: Called with what is done, how much of it, and of how much.
    """
    detectors = (Detector(reference), Detector(candidate))
    expected, found = [], []
    for number, window in enumerate(windows.windows):
        expected.append(detectors[0](window))
        found.append(detectors[1](window))
        if progress is not None:
            progress("verifying", number + 1, len(windows.windows))
    thresholds = _thresholds(reference)
    heads = {
        head: _head_agreement(
            head,
            [curves[:, column] for curves in expected],
            [curves[:, column] for curves in found],
            thresholds[head],
        )
        for column, head in enumerate(HEADS)
    }
    noise_added = sum(
        bool((after[:, 0] >= thresholds["detection"]).any())
        and not (before[:, 0] >= thresholds["detection"]).any()
        for before, after, is_noise in zip(expected, found, windows.is_noise, strict=True)
        if is_noise
    )
    float_ms, other_ms = _latencies(detectors, windows.windows[0])
    return Agreement(
        len(windows.windows), int(windows.is_noise.sum()), noise_added, heads, other_ms, float_ms
    )


def disagreement(agreement: Agreement, limit: AgreementLimit = LIMIT) -> str | None:
    """Say why a model must not be shipped: the first limit it misses, or None."""
    for name, head in agreement.heads.items():
        total = head.kept + head.lost
        if name != "detection" and total < limit.picks_needed:
            return (
                f"only {total} {name} picks of the float model to compare, {limit.picks_needed} "
                "are needed; add calibration records with events"
            )
        if head.kept_fraction < limit.kept_fraction:
            return (
                f"{name}: {head.kept} of {total} kept ({head.kept_fraction:.1%}), "
                f"the limit is {limit.kept_fraction:.0%}"
            )
        if head.added > max(1.0, limit.added_fraction * total):
            return f"{name}: {head.added} added to {total}, the limit is {limit.added_fraction:.0%}"
        for what, shift, most in (
            ("median", head.shift_median_samples, limit.shift_median_samples),
            ("95th percentile of the", head.shift_p95_samples, limit.shift_p95_samples),
        ):
            if name != "detection" and shift is not None and shift > most:
                return f"{name}: {what} shift {shift:g} samples, the limit is {most:g}"
    if agreement.noise_added > limit.noise_added * agreement.noise_windows:
        return (
            f"noise: {agreement.noise_added} of {agreement.noise_windows} windows newly detected, "
            f"the limit is {limit.noise_added:.0%}"
        )
    return None


def _thresholds(model: Model) -> dict[str, float]:
    default = model.spec.thresholds["default"]
    return {
        "detection": default.detection_threshold,
        "P": default.P_threshold,
        "S": default.S_threshold,
    }


def _head_agreement(
    head: str,
    expected: Sequence[NDArray[np.float32]],
    found: Sequence[NDArray[np.float32]],
    threshold: float,
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
    return HeadAgreement(
        max(float(error.max()) for error in errors),
        float(np.mean([error.mean() for error in errors])),
        kept,
        lost,
        added,
        float(np.median(shifts)) if shifts else None,
        float(np.percentile(shifts, 95)) if shifts else None,
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
    return abs(a.sample - b.sample) <= MATCH_SAMPLES


def _moment(head: str, peak: Peak) -> int:
    return peak.start_sample if head == "detection" else peak.sample


def _latencies(detectors: Sequence[Detector], window: NDArray[np.float32]) -> list[float]:
    """Median milliseconds of each, taken turn by turn so that a busy machine is busy for all."""
    times: list[list[float]] = [[] for _ in detectors]
    for _ in range(LATENCY_ROUNDS):
        for detector, spent in zip(detectors, times, strict=True):
            start = time.perf_counter()
            detector(window)
            spent.append(time.perf_counter() - start)
    return [1000.0 * float(np.median(spent)) for spent in times]


def _rounded(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value
