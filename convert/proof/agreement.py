"""Compare a converted model with its float reference, and hold it to limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class AgreementLimit:
    """What a converted model must reach.

    Attributes:
        kept_fraction: Of the float model's picks or detections, head by head.
        added_fraction: Picks the float model has not, against those it has.
        shift_median_samples: Of P and S picks.
        shift_p95_samples: Of P and S picks.
        noise_added: Detections in windows of noise that the float model has not, as a fraction of
            those windows.
        f1_lost_points: Of the F1 against the catalogue's labels, head by head, in hundredths; what
            one label makes is allowed.
        picks_needed: P and S picks of the float model below which no judgement is possible.
    """

    kept_fraction: float
    added_fraction: float
    shift_median_samples: float
    shift_p95_samples: float
    noise_added: float
    f1_lost_points: float
    picks_needed: int = 10


LIMIT = AgreementLimit(
    kept_fraction=0.90,
    added_fraction=0.10,
    shift_median_samples=5.0,
    shift_p95_samples=25.0,
    noise_added=0.02,
    f1_lost_points=5.0,
)
"""To be written without --force."""
SEARCH_LIMIT = replace(LIMIT, kept_fraction=0.95, added_fraction=0.05, f1_lost_points=2.5)
"""For windows of calibration, by which stages to keep in float are searched: half of the losses,
since others, which calibration did not see, decide."""
LOSSLESS = AgreementLimit(
    kept_fraction=0.99,
    added_fraction=0.05,
    shift_median_samples=1.0,
    shift_p95_samples=5.0,
    noise_added=0.0,
    f1_lost_points=0.5,
)
"""To be called without loss, and to be written with --lossless."""


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
        labels: Labels of the catalogue that both were scored by.
        float_f1: The float model's F1 by those labels; None without any.
        f1: The other's.
    """

    max_error: float
    mean_error: float
    kept: int
    lost: int
    added: int
    shift_median_samples: float | None
    shift_p95_samples: float | None
    labels: int = 0
    float_f1: float | None = None
    f1: float | None = None

    @property
    def kept_fraction(self) -> float:
        """Share of the float model's picks that are kept; 1 where it has none."""
        return self.kept / (self.kept + self.lost) if self.kept + self.lost else 1.0

    @property
    def f1_lost_points(self) -> float:
        """F1 lost by conversion, in percentage points (float minus converted)."""
        return 100.0 * ((self.float_f1 or 0.0) - (self.f1 or 0.0))


@dataclass(frozen=True)
class Agreement:
    """How a model compares with its float reference.

    Attributes:
        windows: Windows compared, all of traces that calibration did not see.
        noise_windows: Those of noise among them.
        noise_added: Windows of noise where only the other model detects.
        heads: By name of the head.
        latency_ms: Median processor time of one window on this machine, one thread; None where
            it was not measured.
        float_latency_ms: The float model's, in the same run, turn by turn.
    """

    windows: int
    noise_windows: int
    noise_added: int
    heads: Mapping[str, HeadAgreement]
    latency_ms: float | None = None
    float_latency_ms: float | None = None

    @property
    def latency_ratio(self) -> float | None:
        """Time of the model over that of its float reference; None where it was not measured."""
        if self.latency_ms is None or self.float_latency_ms is None:
            return None
        return self.latency_ms / self.float_latency_ms

    def to_json(self) -> dict[str, Any]:
        """Return the card's `agreement`."""
        ratio = self.latency_ratio
        return {
            "reference": "float32 of the same weights",
            "windows": self.windows,
            "noise_windows": self.noise_windows,
            "noise_added": self.noise_added,
            "heads": {
                name: {key: _rounded(value) for key, value in asdict(head).items()}
                for name, head in self.heads.items()
            },
            **({} if ratio is None else {"latency_ratio": round(ratio, 2)}),
            "limit": asdict(LIMIT),
            "loss": disagreement(self, LOSSLESS),
        }


def comparable(agreement: Agreement, limit: AgreementLimit = LIMIT) -> bool:
    """Whether the float model has enough picks for a judgement."""
    totals = (h.kept + h.lost for name, h in agreement.heads.items() if name != "detection")
    return min(totals) >= limit.picks_needed


def disagreement(agreement: Agreement, limit: AgreementLimit = LIMIT) -> str | None:
    """Return which limit a model misses first, with both numbers; None if it keeps them all."""
    for name, head in agreement.heads.items():
        total = head.kept + head.lost
        if name != "detection" and total < limit.picks_needed:
            return f"only {total} {name} picks of the float model, {limit.picks_needed} are needed"
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
        # of few labels a single one is more than the limit, and is no evidence
        if head.f1_lost_points > max(limit.f1_lost_points, 100.0 / max(1, head.labels)):
            return (
                f"{name}: F1 by {head.labels} labels {head.float_f1:.3f} in float, {head.f1:.3f} "
                f"here; the limit is {limit.f1_lost_points:g} points less"
            )
    if agreement.noise_added > limit.noise_added * agreement.noise_windows:
        return (
            f"noise: {agreement.noise_added} of {agreement.noise_windows} windows newly detected, "
            f"the limit is {limit.noise_added:.0%}"
        )
    return None


def _rounded(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value
