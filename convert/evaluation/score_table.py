"""Collect what a network, or a run, found and missed: arrays that every figure is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...edge.picks import find_peaks
from ...edge.replay.labels import matches
from ...edge.types import PHASES
from ...models.spec import RATE_HZ, WINDOW_SAMPLES
from ..data.files import LabelMap
from ..data.matching import Outcomes, Packed, judge_detection, packed, verdicts_of
from ..data.records import Record
from ..data.unlabelled import unlabelled_in
from ..data.windows import LATE_SAMPLES, Cut, Use
from .stream import Stream
from .subjects import Subject


@dataclass(frozen=True, eq=False)
class Noise:
    """Picks where no earthquake is known; n stretches, t thresholds.

    Attributes:
        units: Of each stretch, what is resampled as a whole.
        seconds: (n,) how long each is.
        p: (n, t) P picks.
        s: (n, t) S picks.
        late_p: (n, t) P picks in the last 2 s of a window; None of a run.
        detections: (n, t) stretches of detection; None of a run.
    """

    units: tuple[str, ...]
    seconds: NDArray[np.float64]
    p: NDArray[np.int32]
    s: NDArray[np.int32]
    late_p: NDArray[np.int32] | None = None
    detections: NDArray[np.int32] | None = None


@dataclass(frozen=True, eq=False)
class Detections:
    """Verdicts on detection; a row for each window of an event and each one of noise.

    Attributes:
        units: Of each window, what is resampled as a whole.
        by_hand: (n,) whether a person picked the record, or it is noise.
        source: (n,) its data set.
        outcomes: Labelled where the window is of an event, else false where anything is detected.
    """

    units: tuple[str, ...]
    by_hand: NDArray[np.bool_]
    source: NDArray[np.str_]
    outcomes: Outcomes


@dataclass(frozen=True, eq=False)
class Onsets:
    """How soon a P is announced; m events, t thresholds.

    Attributes:
        units: Of each event, what is resampled as a whole.
        hop_s: From one window to the next; None for a run, whose messages have their times.
        first_s: (m, t) from the P to its first announcement, infinite where there was none.
        announced_at_age: By the age of P at a window's end in seconds, (m, t) whether that window
            has it.
    """

    units: tuple[str, ...]
    hop_s: float | None
    first_s: NDArray[np.float64]
    announced_at_age: dict[float, NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """All scores of one network or run.

    Attributes:
        thresholds: The columns of all arrays; empty for a run, which has one column.
        events: Of each row of `P` and `S`.
        P: Verdicts on P.
        S: Verdicts on S.
        noise: Where there is no earthquake.
        onsets: How soon.
        stream: What is announced in continuous records; None where none were given.
        detections: Of a network; None of a run, whose events are counted instead.
        teachers: Whether teachers marked unlabelled earthquakes.
    """

    thresholds: tuple[float, ...]
    events: tuple[Subject, ...]
    P: Outcomes
    S: Outcomes
    noise: Noise
    onsets: Onsets
    stream: Stream | None = None
    detections: Detections | None = None
    teachers: bool = False

    @property
    def units(self) -> tuple[str, ...]:
        """Of each row of `P` and `S`, what is resampled as a whole."""
        return tuple(subject.event for subject in self.events)

    def column(self, threshold: float) -> int:
        """Where a threshold's verdicts stand."""
        return self.thresholds.index(threshold)


class Ledger:
    """Gathers one network's answers into a table of scores.

    Args:
        thresholds: In any order.
        labels: Teachers' answers, to recognise unlabelled earthquakes; empty without a teacher.
        hop_s: From one onset window to the next.
    """

    def __init__(self, thresholds: Sequence[float], labels: LabelMap, hop_s: float) -> None:
        self._thresholds = tuple(sorted(thresholds))
        self._labels = labels
        self._hop_s = hop_s
        self._events: list[Subject] = []
        self._verdicts: tuple[list[Packed], ...] = ([], [])
        self._labelled: tuple[list[bool], ...] = ([], [])
        self._noise: list[tuple[str, list[list[int]]]] = []
        self._detected: list[tuple[Subject, Use]] = []
        self._detections: list[Packed] = []
        self._onsets: dict[Record, dict[float, list[bool]]] = {}
        self._onset_units: dict[Record, str] = {}

    def add(self, cut: Cut, subject: Subject, answer: NDArray[np.float32]) -> None:
        """Take one window's (6000, 3) probabilities."""
        stretches = []
        if cut.use != "onset":
            stretches = [find_peaks(answer[:, 0], t) for t in self._thresholds]
            judged = [judge_detection(peaks, cut.labels) for peaks in stretches]
            self._detected.append((subject, cut.use))
            self._detections.append(packed([one.verdict for one in judged]))
        if cut.use == "event":
            self._events.append(subject)
            unlabelled = unlabelled_in(cut, self._labels)
            for column, phase in enumerate(PHASES):
                label = cut.labels.arrival(phase)
                self._labelled[column].append(label is not None)
                self._verdicts[column].append(
                    verdicts_of(answer[:, column + 1], self._thresholds, label, unlabelled[column])
                )
        elif cut.use == "noise":
            picks = [[find_peaks(answer[:, h], t) for t in self._thresholds] for h in (1, 2)]
            late = [
                sum(pick.sample >= WINDOW_SAMPLES - LATE_SAMPLES for pick in row)
                for row in picks[0]
            ]
            counts = [[len(row) for row in rows] for rows in (*picks, stretches)]
            self._noise.append((subject.event, [*counts, late]))
        else:
            p = WINDOW_SAMPLES - cut.age
            self._onset_units[cut.record] = subject.event
            self._onsets.setdefault(cut.record, {})[cut.age / RATE_HZ] = [
                any(matches(k.sample, p, RATE_HZ) for k in find_peaks(answer[:, 1], t))
                for t in self._thresholds
            ]

    def table(self) -> ScoreTable:
        """Return what was gathered."""
        n = len(self._thresholds)
        p, s = (
            Outcomes.of(labelled, verdicts, n)
            for labelled, verdicts in zip(self._labelled, self._verdicts, strict=True)
        )
        counts = np.array([rows for _, rows in self._noise], np.int32).reshape(-1, 4, n)
        return ScoreTable(
            thresholds=self._thresholds,
            events=tuple(self._events),
            P=p,
            S=s,
            noise=Noise(
                units=tuple(unit for unit, _ in self._noise),
                seconds=np.full(len(counts), WINDOW_SAMPLES / RATE_HZ),
                p=counts[:, 0],
                s=counts[:, 1],
                late_p=counts[:, 3],
                detections=counts[:, 2],
            ),
            onsets=self._onset_rows(n),
            detections=self._detection_rows(n),
            teachers=bool(self._labels),
        )

    def _detection_rows(self, n: int) -> Detections:
        of_event = [use == "event" for _, use in self._detected]
        subjects = [subject for subject, _ in self._detected]
        by_hand = [
            subject.record.manual or not event
            for subject, event in zip(subjects, of_event, strict=True)
        ]
        return Detections(
            units=tuple(subject.event for subject in subjects),
            by_hand=np.array(by_hand, np.bool_),
            source=np.array([subject.record.source for subject in subjects], dtype=str),
            outcomes=Outcomes.of(of_event, self._detections, n),
        )

    def _onset_rows(self, n: int) -> Onsets:
        # Near the end of a record there is not every age.
        ages = sorted({age for own in self._onsets.values() for age in own})
        whole = {r: own for r, own in self._onsets.items() if len(own) == len(ages)}
        table = np.array(
            [[own[age] for age in ages] for own in whole.values()],
            np.bool_,
        )
        table = table.reshape(len(whole), len(ages), n)
        first_s = np.full((len(whole), n), np.inf)
        for k in reversed(range(len(ages))):
            first_s[table[:, k]] = ages[k]
        announced_at_age = {age: table[:, k] for k, age in enumerate(ages)}
        units = tuple(self._onset_units[record] for record in whole)
        return Onsets(units, self._hop_s, first_s, announced_at_age)
