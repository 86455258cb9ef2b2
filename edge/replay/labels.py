"""Hold a catalogue's labels of a stretch of samples, and decide whether a pick matches one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..types import PHASES, Phase

TOLERANCE_SECONDS = 0.5
"""A pick within this time of its label is right."""

Kind = Literal["event", "noise", "continuous"]
"""`continuous` is a record without labels, in which there may be earthquakes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A stretch of samples with its labels: a trace, part of one, or its place on a timeline.

    Attributes:
        kind: Whether the stretch holds an earthquake.
        p_arrival_sample: P, counted from the stretch's first sample, or None.
        s_arrival_sample: S, or None.
        coda_end_sample: First sample after the earthquake, or None.
        manual: Whether a person made the picks.
    """

    kind: Kind = "event"
    p_arrival_sample: float | None = None
    s_arrival_sample: float | None = None
    coda_end_sample: float | None = None
    manual: bool = False

    @property
    def is_noise(self) -> bool:
        """Whether the catalogue states that there is no earthquake."""
        return self.kind == "noise"

    def arrival(self, phase: Phase) -> float | None:
        """Return the label of a phase, or None."""
        return self.p_arrival_sample if phase == "P" else self.s_arrival_sample

    def arrivals(self) -> dict[Phase, float]:
        """Return the labels that there are, by phase."""
        labels = {phase: self.arrival(phase) for phase in PHASES}
        return {phase: sample for phase, sample in labels.items() if sample is not None}

    def moved(self, samples: float) -> Labelled:
        """Return the labels counted from a sample that lies `samples` before the first."""
        return self._mapped(lambda sample: sample + samples)

    def scaled(self, factor: float) -> Labelled:
        """Return the labels at a rate that is `factor` times as high."""
        return self._mapped(lambda sample: sample * factor)

    def inside(self, first: int, n_samples: int) -> Labelled:
        """Return the labels of a part, counted from its first sample; None for those outside.

        Args:
            first: Where the part begins.
            n_samples: Its length.
        """
        moved = self.moved(-first)
        coda = moved.coda_end_sample
        return Labelled(
            kind=self.kind,
            p_arrival_sample=_within(moved.p_arrival_sample, n_samples),
            s_arrival_sample=_within(moved.s_arrival_sample, n_samples),
            coda_end_sample=coda if coda is not None and 0 < coda <= n_samples else None,
            manual=self.manual,
        )

    def problem(self, n_samples: int) -> str | None:
        """Return what is wrong with an earthquake's labels in a stretch of `n_samples`."""
        p, s = self.p_arrival_sample, self.s_arrival_sample
        if self.is_noise:
            return None
        if any(label != _within(label, n_samples) for label in (p, s)):
            return "label outside the trace"
        if p is not None and s is not None and s <= p:
            return "S not after P"
        return None

    def _mapped(self, change: Callable[[float], float]) -> Labelled:
        p, s, coda = (
            None if sample is None else change(sample)
            for sample in (self.p_arrival_sample, self.s_arrival_sample, self.coda_end_sample)
        )
        return Labelled(
            kind=self.kind,
            p_arrival_sample=p,
            s_arrival_sample=s,
            coda_end_sample=coda,
            manual=self.manual,
        )


def matches(pick: float, label: float, rate_hz: float) -> bool:
    """Whether a pick is right: within the tolerance of its label.

    Args:
        pick: Sample.
        label: Sample, on the same axis.
        rate_hz: Samples a second of that axis; 1 where both are seconds.
    """
    return abs(pick - label) <= TOLERANCE_SECONDS * rate_hz


def _within(sample: float | None, n_samples: int) -> float | None:
    return sample if sample is not None and 0 <= sample < n_samples else None
