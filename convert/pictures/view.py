"""Prepare records for drawing: samples, labels, and what the node's own detector finds in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...edge.detector import Detector
from ...edge.picks import find_peaks
from ...edge.prepare import prepare
from ...edge.replay.fields import text_of
from ...edge.replay.stead import Trace
from ...models.registry import Model
from ..evaluation.subjects import facts_of
from .canvas import PlotError
from .marks import Mark, judged

FRAMED_BEFORE = 0.25
"""Where a P lies in a window cut from a longer record, unless another place is given."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What one model finds in a window.

    Attributes:
        model: Name.
        seconds: (n,) since the trace's first sample.
        probabilities: (n, 3) detection, P, S.
        marks: Its picks, judged.
        heights: Probability of each pick.
        thresholds: By head.
    """

    model: str
    seconds: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    marks: Sequence[Mark]
    heights: Sequence[float]
    thresholds: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class View:
    """One window of a record.

    Attributes:
        trace: Whole.
        first: Sample of the trace at which the window begins.
        samples: (n, 3) E, N, Z, as the file has them.
        answers: Of each model.
    """

    trace: Trace
    first: int
    samples: NDArray[np.float64]
    answers: Sequence[Answer]

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(n,) seconds since the trace's first sample."""
        return (self.first + np.arange(len(self.samples))) / self.trace.rate_hz

    @property
    def marks(self) -> list[Mark]:
        """Picks of all models."""
        return [mark for answer in self.answers for mark in answer.marks]


def facts_line(trace: Trace) -> str:
    """`M 2.1, 34 km, SNR 30 dB`: what is known of the event; empty where nothing is."""
    facts = facts_of(trace.attributes, trace, trace.rate_hz)
    forms = {"magnitude": "M {:.1f}", "distance_km": "{:.0f} km", "snr_db": "SNR {:.0f} dB"}
    return ", ".join(form.format(facts[key]) for key, form in forms.items() if key in facts)


def channel(trace: Trace, component: str) -> str:
    """SEED code where the file has band and instrument, else the component."""
    band = text_of(trace.attributes, "receiver_type")
    return f"{band}{component}" if len(band) == 2 else component


def silence_of(samples: NDArray[np.floating[Any]]) -> str:
    """Describe a component without motion; empty for any other."""
    low, high = float(samples.min()), float(samples.max())
    if low != high:
        return ""
    return "no data: every sample is 0" if low == 0 else f"dead: every sample is {low:g}"


def views_of(
    traces: Iterable[Trace], models: Sequence[Model], from_seconds: float | None
) -> list[View]:
    """Run models over one window of each trace.

    Args:
        traces: Shorter ones than a window are prepared as on a node that has just started; one
            of another rate is resampled for the model, and drawn as it is.
        models: With their cards.
        from_seconds: Where the window begins; None puts the P at a quarter of it.

    Raises:
        TraceError: A trace cannot be resampled.
        PlotError: A trace has nothing where the window begins.
        ModelError: A model cannot be run.
    """
    detectors = [Detector(model) for model in models]
    names = _distinct([model.name for model in models])
    return [_view(trace, detectors, names, from_seconds) for trace in traces]


def _view(
    trace: Trace, detectors: Sequence[Detector], names: Sequence[str], from_seconds: float | None
) -> View:
    window_s = max(d.model.spec.window_samples / d.model.spec.sampling_rate_hz for d in detectors)
    length_s = len(trace.waveform) / trace.rate_hz
    if from_seconds is None:
        p = (trace.p_arrival_sample or 0) / trace.rate_hz
        begin = min(max(0.0, p - FRAMED_BEFORE * window_s), max(0.0, length_s - window_s))
    else:
        begin = from_seconds
    first = round(begin * trace.rate_hz)
    samples = trace.waveform[first : first + round(window_s * trace.rate_hz)]
    if len(samples) < trace.rate_hz:
        raise PlotError(
            f"trace {trace.name}: {length_s:g} s long, from {begin:g} s on there is less than a "
            "second to draw; give a smaller --from or another trace"
        )
    answers = [
        _answer(trace, detector, name, begin)
        for detector, name in zip(detectors, names, strict=True)
    ]
    return View(trace, first, samples, answers)


def _answer(trace: Trace, detector: Detector, name: str, begin: float) -> Answer:
    spec = detector.model.spec
    rate = spec.sampling_rate_hz
    waveform = trace.at_rate(rate).waveform
    first = round(begin * rate)
    samples = waveform[first : first + spec.window_samples]
    probabilities = detector(prepare(samples, spec))[-len(samples) :]
    seconds = (first + np.arange(len(samples))) / rate
    thresholds = spec.thresholds["default"].by_head
    peaks = [
        (phase, peak)
        for column, phase in ((1, "P"), (2, "S"))
        for peak in find_peaks(probabilities[:, column], thresholds[phase])
    ]
    heights = {(phase, float(seconds[k.sample])): k.probability for phase, k in peaks}
    marks = judged(trace, heights)
    return Answer(
        name, seconds, probabilities, marks, [heights[m.phase, m.at] for m in marks], thresholds
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Number the names that occur before: two files may be called alike."""
    found: list[str] = []
    for name in names:
        again = sum(one == name or one.startswith(f"{name} (") for one in found)
        found.append(f"{name} ({again + 1})" if again else name)
    return found
