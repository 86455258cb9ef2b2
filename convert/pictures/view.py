"""Prepare one record for drawing: samples, labels, and the node's own detector's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...edge.detector import Detector
from ...edge.picks import Peak, find_peaks
from ...edge.prepare import prepare
from ...edge.replay.stead import SteadFile, Trace, TraceError
from ...models.registry import Model
from ..evaluation.subjects import facts_of
from .canvas import PlotError

FRAMED_BEFORE = 0.25
"""Where a P lies in a window cut from a longer record, unless another place is given."""


@dataclass(frozen=True, eq=False)
class View:
    """One window of a record.

    Attributes:
        trace: Whole.
        first: Sample of the trace at which the window begins.
        samples: (n, 3) E, N, Z, as the file has them.
        probabilities: (n, 3) detection, P, S.
        picks: Peaks of P and of S above the model's thresholds, samples of the window.
        thresholds: Of P and of S.
        model: Name.
    """

    trace: Trace
    first: int
    samples: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    picks: Mapping[str, list[Peak]]
    thresholds: Mapping[str, float]
    model: str

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(n,) seconds since the trace's first sample."""
        return (self.first + np.arange(len(self.samples))) / self.trace.rate_hz


def arrivals(trace: Trace) -> dict[str, float]:
    """Labels in seconds since the trace's first sample, by phase; those it has."""
    return {phase: sample / trace.rate_hz for phase, sample in trace.arrivals().items()}


def caption(trace: Trace) -> str:
    """Name of a trace and the attributes of its event."""
    facts = facts_of(trace.attributes, trace, trace.rate_hz)
    forms = {"magnitude": "M {:.1f}", "distance_km": "{:.0f} km", "snr_db": "SNR {:.0f} dB"}
    return ", ".join([trace.name, *(f.format(facts[k]) for k, f in forms.items() if k in facts)])


def read_trace(file: SteadFile, name: str | None) -> Trace:
    """Read a trace by name, or the first with a labelled P, or else the first that can be read.

    Raises:
        PlotError: There is no such trace, or none can be read.
    """
    if name is not None:
        return _read(file, name)
    fallback: Trace | None = None
    problem = "it has none"
    for known in file.names:
        try:
            trace = file.read(known)
        except TraceError as error:
            problem = str(error)
            continue
        if trace.p_arrival_sample is not None:
            return trace
        fallback = fallback or trace
    if fallback is None:
        raise PlotError(f"{file.path}: no trace can be read; {problem}")
    return fallback


def view_of(trace: Trace, model: Model, from_seconds: float | None) -> View:
    """Run the model over one window of a trace.

    Args:
        trace: Shorter ones than a window are prepared as on a node that has just started.
        model: With its card.
        from_seconds: Where the window begins; None puts the P at a quarter of it.

    Raises:
        PlotError: The trace has another rate than the model, or nothing where the window begins.
        ModelError: The model cannot be run.
    """
    spec = model.spec
    if trace.rate_hz != spec.sampling_rate_hz:
        raise PlotError(
            f"trace {trace.name}: {trace.rate_hz:g} Hz, model {model.name} wants "
            f"{spec.sampling_rate_hz:g} Hz; resample it"
        )
    last = max(0, len(trace.waveform) - spec.window_samples)
    if from_seconds is None:
        p = trace.p_arrival_sample or 0
        first = int(min(max(0, p - FRAMED_BEFORE * spec.window_samples), last))
    else:
        first = round(from_seconds * trace.rate_hz)
    samples = trace.waveform[first : first + spec.window_samples]
    if len(samples) < trace.rate_hz:
        raise PlotError(
            f"trace {trace.name}: {len(trace.waveform) / trace.rate_hz:g} s long; --from "
            f"{first / trace.rate_hz:g} leaves nothing to draw"
        )
    probabilities = Detector(model)(prepare(samples, spec))[-len(samples) :]
    preset = spec.thresholds["default"]
    thresholds = {"P": preset.P_threshold, "S": preset.S_threshold}
    picks = {
        phase: find_peaks(probabilities[:, column], thresholds[phase])
        for phase, column in (("P", 1), ("S", 2))
    }
    return View(trace, first, samples, probabilities, picks, thresholds, model.name)


def _read(file: SteadFile, name: str) -> Trace:
    if name not in file.names:
        near = [known for known in file.names if name.lower() in known.lower()][:3]
        hint = f"; did you mean {', '.join(near)}" if near else "; eqedge run --sim plays them all"
        raise PlotError(f"trace {name}: not in {file.path.name}{hint}")
    return file.read(name)


def attribute(values: Mapping[str, Any], key: str) -> str:
    """A text attribute, empty where the file has none."""
    value = str(values.get(key) or "")
    return "" if value in ("None", "nan") else value
