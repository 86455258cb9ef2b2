"""Strict scoring on held-out stations: what a network finds, misses, invents, and how soon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...edge.picks import find_peaks
from ...edge.prepare import prepare
from ...models.spec import ModelSpec
from .dataset import LabelMap
from .example import Example
from .library import Library
from .records import RATE_HZ, WINDOW_SAMPLES, DataError, Record

TOLERANCE_SAMPLES = 50
EDGE_SAMPLES = 200
ONSET_AGES_SAMPLES = (50, 100, 200, 300, 500)
NOWHERE = np.zeros(0, np.int64)
SURE = 0.3
"""Of a teacher: a peak it would call a pick."""
Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(n, 6000, 3) prepared windows -> (n, 6000, 3) detection, P, S."""


@dataclass(frozen=True)
class EventWindow:
    """One event in one window."""

    window: NDArray[np.float32]
    source: str
    p_sample: int
    s_sample: int | None
    manual: bool = True
    """Whether a person picked it and so, one hopes, everything in the record."""
    unlabelled: tuple[NDArray[np.int64], NDArray[np.int64]] = (NOWHERE, NOWHERE)
    """Samples where all teachers have a P, or an S, that the record's own label is not."""


@dataclass(frozen=True)
class Trial:
    """What a network is scored on; made once, the same for every network."""

    events: list[EventWindow] = field(default_factory=list)
    """P at random."""
    noise: list[NDArray[np.float32]] = field(default_factory=list)
    """Before the P of manually picked records, and noise records."""
    onsets: list[tuple[int, NDArray[np.float32]]] = field(default_factory=list)
    """(age of the P at the window's end in samples, window)."""


@dataclass(frozen=True)
class PhaseScore:
    """One phase's picks."""

    found: int
    missed: int
    false: int
    mean_absolute_s: float | None
    """Of the found ones' residuals; None without any."""

    @property
    def precision(self) -> float:
        """Share of the picks that are right."""
        return self.found / max(1, self.found + self.false)

    @property
    def recall(self) -> float:
        """Share of the labels that are found."""
        return self.found / max(1, self.found + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.found / max(1, 2 * self.found + self.missed + self.false)


def make_trial(
    records: Sequence[Record], labels: LabelMap, spec: ModelSpec, seed: int, draws: int = 1
) -> Trial:
    """Cut windows from held-out records.

    P lies uniformly over the window as far as the record allows; the same seed gives the same
    windows.

    Args:
        records: Held-out ones.
        labels: Teachers' answers, to tell unlabelled earthquakes; may lack any record.
        spec: Says how a window is prepared.
        seed: Of the positions.
        draws: Windows an event.
    """
    rng = np.random.default_rng(seed)
    trial = Trial()
    try:
        library = Library([r for r in records if r.kind != "continuous"], {})
    except DataError:
        return trial
    for number, record in enumerate(library.records):
        example = library.example(number)
        if example is None:
            continue
        n, p = record.n_samples, record.p_sample
        if p is None:
            trial.noise.append(prepare(example.waveform[:WINDOW_SAMPLES], spec))
            continue
        for _ in range(draws):
            earliest, latest = max(0, p - WINDOW_SAMPLES + 500), min(n - WINDOW_SAMPLES, p - 100)
            first = int(rng.integers(earliest, max(earliest, latest) + 1))
            window = prepare(example.waveform[first : first + WINDOW_SAMPLES], spec)
            s = None if record.s_sample is None else record.s_sample - first
            s = s if s is not None and s < WINDOW_SAMPLES else None
            others = (
                seen_by_all(labels, record, "p") - first,
                seen_by_all(labels, record, "s") - first,
            )
            trial.events.append(
                EventWindow(window, record.source, p - first, s, record.manual, others)
            )
        if record.manual and p >= 450:
            led = example.preceded(WINDOW_SAMPLES, p - 30)
            for age in ONSET_AGES_SAMPLES:
                end = p + WINDOW_SAMPLES + age
                cut = led.waveform[end - WINDOW_SAMPLES : end]
                trial.onsets.append((age, prepare(cut, spec)))
            if p >= 2500:
                trial.noise.append(prepare(_quiet(led, p), spec))
    return trial


def score(
    predict: Predict, trial: Trial, p_threshold: float = 0.3, s_threshold: float = 0.3
) -> dict[str, Any]:
    """Score a network; every number of the result is plain.

    Of a phase: a pick within 0.5 s of the label is right, any other is false, also where it marks
    a real earthquake that nobody labelled. Automatic catalogues lack most aftershocks, so two
    more rows are given: manually picked records alone, and all records with picks set aside
    where every teacher has one too. Where a record has no label for S, its S picks are not
    counted. Announced: a P pick within 0.5 s of the arrival while the window ends that long after.
    """
    thresholds = {1: p_threshold, 2: s_threshold}
    answers = predict(np.stack([e.window for e in trial.events])) if trial.events else ()
    pairs = list(zip(trial.events, answers, strict=True))
    by_hand = [(event, answer) for event, answer in pairs if event.manual]
    sources = {
        event.source: [p for p in pairs if p[0].source == event.source] for event in trial.events
    }
    tables: dict[str, Any] = {}
    for name, head in (("P", 1), ("S", 2)):
        threshold = thresholds[head]
        tables[name] = {
            "pooled": _row(_phase(pairs, head, threshold)),
            "manually_picked": _row(_phase(by_hand, head, threshold)),
            "unlabelled_set_aside": _row(_phase(pairs, head, threshold, set_aside=True)),
        } | {source: _row(_phase(own, head, threshold)) for source, own in sorted(sources.items())}
    result = {"events": len(trial.events), "P": tables["P"], "S": tables["S"]}
    if trial.noise:
        heard = predict(np.stack(trial.noise))
        hours = len(trial.noise) * WINDOW_SAMPLES / RATE_HZ / 3600
        picks = [p for answer in heard for p in find_peaks(answer[:, 1], p_threshold)]
        late = [p for p in picks if p.sample >= WINDOW_SAMPLES - EDGE_SAMPLES]
        result["noise"] = {
            "windows": len(trial.noise),
            "false_p_per_hour": round(len(picks) / hours, 2),
            "of_these_in_last_2_s": round(len(late) / hours, 2),
            "false_s_per_hour": round(
                sum(len(find_peaks(answer[:, 2], s_threshold)) for answer in heard) / hours, 2
            ),
        }
    if trial.onsets:
        result["announced_by_s"] = _announced(predict, trial, p_threshold)
    return result


def predictor(network: Any, batch: int = 64) -> Predict:
    """Wrap a Keras network of three outputs."""

    def predict(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = []
        for first in range(0, len(windows), batch):
            heads = network.predict_on_batch(windows[first : first + batch])
            parts.append(np.concatenate([np.asarray(head) for head in heads], axis=-1))
        return np.concatenate(parts)

    return predict


def seen_by_all(labels: LabelMap, record: Record, phase: str) -> NDArray[np.int64]:
    """Samples where every teacher picks a phase."""
    answers = labels.get((record.path, record.key), [])
    common: NDArray[np.int64] | None = None
    for answer in answers:
        peaks = getattr(answer, phase)
        samples = peaks[peaks[:, 1] >= SURE, 0].astype(np.int64)
        if common is not None:
            samples = np.array([k for k in common if _near(samples, int(k))], np.int64)
        common = samples
    return NOWHERE if common is None else common


def _near(samples: NDArray[np.int64], sample: int) -> bool:
    return bool((np.abs(samples - sample) <= TOLERANCE_SAMPLES).any())


def _phase(
    pairs: Sequence[tuple[EventWindow, NDArray[np.float32]]],
    head: int,
    threshold: float,
    set_aside: bool = False,
) -> PhaseScore:
    found = missed = false = 0
    residuals: list[int] = []
    for event, answer in pairs:
        label = event.p_sample if head == 1 else event.s_sample
        if label is None:
            continue
        picks = [peak.sample for peak in find_peaks(answer[:, head], threshold)]
        hits = [abs(k - label) for k in picks if abs(k - label) <= TOLERANCE_SAMPLES]
        others = [k for k in picks if abs(k - label) > TOLERANCE_SAMPLES]
        if set_aside:
            others = [k for k in others if not _near(event.unlabelled[head - 1], k)]
        found += bool(hits)
        missed += not hits
        false += len(others) + max(0, len(hits) - 1)
        residuals += [min(hits)] if hits else []
    mean = float(np.mean(residuals)) / RATE_HZ if residuals else None
    return PhaseScore(found, missed, false, mean)


def _row(score: PhaseScore) -> dict[str, float | None]:
    rates = {name: round(getattr(score, name), 4) for name in ("f1", "precision", "recall")}
    return rates | {k: v if v is None else round(v, 4) for k, v in asdict(score).items()}


def _announced(predict: Predict, trial: Trial, threshold: float) -> dict[str, float]:
    answers = predict(np.stack([window for _, window in trial.onsets]))
    shares = {}
    for age in ONSET_AGES_SAMPLES:
        p = WINDOW_SAMPLES - age
        heard = [
            any(abs(k.sample - p) <= TOLERANCE_SAMPLES for k in find_peaks(a[:, 1], threshold))
            for (own, _), a in zip(trial.onsets, answers, strict=True)
            if own == age
        ]
        shares[f"{age / RATE_HZ:g}"] = round(float(np.mean(heard)), 4)
    return shares


def _quiet(led: Example, p_sample: int) -> NDArray[np.float32]:
    """The 60 s that end 0.3 s before P, the earlier part mirrored where the record is short."""
    end = p_sample + WINDOW_SAMPLES - 30
    return led.waveform[end - WINDOW_SAMPLES : end]
