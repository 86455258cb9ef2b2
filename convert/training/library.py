"""Find events and quiet stretches in annotated records, in memory and on disk."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.spec import WINDOW_SAMPLES
from ..data.example import Example
from ..data.records import DataError, Record
from ..data.teacher_labels import DETECTION_STEP_SAMPLES, TeacherLabels
from ..data.waveforms import Unusable, WaveformCache
from .labels import annotate

SURE_HEIGHT = 0.3
QUIET_PROBABILITY = 0.08
STATION_EXPONENT = 0.6
"""An event's chance falls with its station's number of events to this power."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A sample of a record: of an onset, or where quiet begins."""

    record: int
    sample: int


class Library:
    """Records with labels, drawn from by `sampling`.

    Args:
        records: To train on.
        labels: Teachers' answers by (path, key); may lack records that are not continuous.
        budget_bytes: Of samples kept in memory.
        unusable: Counts records that cannot be used; by default one of its own.

    Attributes:
        events: P onsets of labelled records, and those that teachers found in continuous ones.
        quiet: Starts of windows in which no earthquake is known.
        continuous: Positions in `records` of the continuous ones.
        unusable: Records that were found unusable when they were read.

    Raises:
        DataError: There is no event at all.
    """

    def __init__(
        self,
        records: Sequence[Record],
        labels: Mapping[tuple[str, str], Sequence[TeacherLabels]],
        budget_bytes: int = 3 << 30,
        unusable: Unusable | None = None,
    ) -> None:
        self.records = list(records)
        self._labels = labels
        self.unusable = Unusable() if unusable is None else unusable
        self._waveforms = WaveformCache(budget_bytes=0, unusable=self.unusable)
        self._budget = budget_bytes
        self._held = 0
        self._kept: OrderedDict[int, Example | None] = OrderedDict()
        self.labelled: list[Spot] = []
        self.found: list[Spot] = []
        self.quiet: list[Spot] = []
        self.continuous: list[int] = []
        for number, record in enumerate(self.records):
            self._index(number, record)
        if not self.labelled and not self.found:
            raise DataError("no earthquake in the training data; add labelled records or a teacher")
        self._chances = {
            name: self._chance(spots)
            for name, spots in (("labelled", self.labelled), ("found", self.found))
        }

    def example(self, number: int) -> Example | None:
        """Annotated record, or None where it cannot be read."""
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        record = self.records[number]
        waveform = self._waveforms.read(record)
        example = (
            None
            if waveform is None
            else annotate(record, waveform, self._labels.get((record.path, record.key), ()))
        )
        self._kept[number] = example
        self._held += _size(example)
        while self._held > self._budget and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._held -= _size(dropped)
        return example

    def draw_event(self, rng: np.random.Generator, labelled_share: float) -> Spot:
        """Draw a P onset, rarer stations more often than their share."""
        name, spots = "labelled", self.labelled
        if not spots or (self.found and rng.random() >= labelled_share):
            name, spots = "found", self.found
        return spots[int(np.searchsorted(self._chances[name], rng.random()))]

    def _index(self, number: int, record: Record) -> None:
        if record.kind == "event" and record.p_arrival_sample is not None:
            self.labelled.append(Spot(number, int(record.p_arrival_sample)))
        elif record.kind == "noise":
            self.quiet.append(Spot(number, 0))
        elif record.kind == "continuous":
            self.continuous.append(number)
            answers = self._labels[record.path, record.key]
            loudest = np.max([answer.detection for answer in answers], axis=0)
            height = np.zeros(record.n_samples + 1, np.float32)
            for weight, answer in zip((2 / 3, 1 / 3), answers, strict=False):
                height[answer.p[:, 0].astype(int)] += np.float32(weight) * answer.p[:, 1]
            for sample in answers[0].p[:, 0].astype(int):
                if height[max(0, sample - 50) : sample + 50].sum() > SURE_HEIGHT:
                    self.found.append(Spot(number, int(sample)))
            length = WINDOW_SAMPLES // DETECTION_STEP_SAMPLES
            for first in range(0, len(loudest) - length, length // 2):
                begin = first * DETECTION_STEP_SAMPLES
                window = slice(begin, begin + WINDOW_SAMPLES)
                if loudest[first : first + length].max() < QUIET_PROBABILITY * 3 and not any(
                    len(_within(onsets, window))
                    for answer in answers
                    for onsets in (answer.p, answer.s)
                ):
                    self.quiet.append(Spot(number, begin))

    def _chance(self, spots: Sequence[Spot]) -> NDArray[np.float64]:
        stations = Counter(self.records[spot.record].station for spot in spots)
        weights = np.array(
            [stations[self.records[spot.record].station] ** -STATION_EXPONENT for spot in spots]
        )
        return np.asarray(np.cumsum(weights) / max(weights.sum(), 1e-9))


def _within(onsets: NDArray[np.float32], window: slice) -> NDArray[np.float32]:
    inside = (onsets[:, 0] >= window.start) & (onsets[:, 0] < window.stop)
    return np.asarray(onsets[inside & (onsets[:, 1] > QUIET_PROBABILITY)])


def _size(example: Example | None) -> int:
    return 0 if example is None else example.waveform.nbytes + example.detection.nbytes
