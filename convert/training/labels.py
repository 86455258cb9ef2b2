"""Draw the labels of EQTransformer: a detection box, and a bump at each P and S."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.example import Example, onsets
from ..data.records import Record
from ..data.teacher_labels import DETECTION_STEP_SAMPLES, TeacherLabels
from .options import LabelOptions

SAME_ONSET_SAMPLES = 50
OVERRIDE_SAMPLES = 100
"""A label replaces a teacher's answer this near to it."""
CODA_FACTOR = 1.4
"""The box ends this many S-P times after S where the coda's end is unknown."""


def target_curves(example: Example, options: LabelOptions) -> NDArray[np.float32]:
    """Turn an example's labels into the network's targets.

    Returns:
        (n, 3) detection, P, S, each between 0 and 1.
    """
    targets = np.zeros((len(example.waveform), 3), np.float32)
    targets[:, 0] = example.detection
    for head, known, width in (
        (1, example.p, options.p_width_samples),
        (2, example.s, options.s_width_samples),
    ):
        for sample, height in known:
            _bump(targets[:, head], round(float(sample)), height, width, options.label_type)
    return targets


def _bump(
    curve: NDArray[np.float32], sample: int, height: float, width: float, label_type: str
) -> None:
    reach = int(np.ceil(4 * width))
    first, last = max(0, sample - reach), min(len(curve), sample + reach + 1)
    distance = (np.arange(first, last) - sample) / width
    if label_type == "gaussian":
        shape = np.exp(-0.5 * distance**2)
    else:
        shape = np.maximum(0.0, 1.0 - np.abs(distance))
    curve[first:last] = np.maximum(curve[first:last], height * shape)


def detection_box(record: Record) -> tuple[int, int]:
    """First sample of an event's box and the first one after it, both inside the record."""
    p, s = record.p_arrival_sample, record.s_arrival_sample
    if p is None:
        return 0, 0
    end = p
    if record.coda_end_sample is not None:
        end = record.coda_end_sample
    elif s is not None:
        end = s + CODA_FACTOR * (s - p)
    return int(p), min(int(end), record.n_samples)


def annotate(
    record: Record, waveform: NDArray[np.float32], answers: Sequence[TeacherLabels]
) -> Example:
    """Join a record's own labels and its teachers'.

    A person's pick stands above the teachers; an automatic one is moved to the teachers' nearest,
    and counts half where they have none. The teachers decide where no label is.

    Args:
        record: With labels or without.
        waveform: Its (n, 3) samples.
        answers: One for each teacher; the first counts double.
    """
    weights = np.array([2.0] + [1.0] * (len(answers) - 1))[: len(answers)]
    weights = weights / max(weights.sum(), 1.0)
    if record.kind == "noise":
        answers = ()
    p = _trusted(_joined([answer.p for answer in answers], weights))
    s = _trusted(_joined([answer.s for answer in answers], weights))
    detection = np.zeros(len(waveform), np.float32)
    for answer, weight in zip(answers, weights, strict=False):
        slow = np.repeat(answer.detection, DETECTION_STEP_SAMPLES)[: len(waveform)]
        detection[: len(slow)] += np.float32(weight) * slow
    detection = np.clip((detection - 0.2) / 0.6, 0.0, 1.0).astype(np.float32)
    if record.p_arrival_sample is not None:
        # Whoever labelled the record looked at its beginning: only a sure teacher contradicts.
        early = p[:, 0] < record.p_arrival_sample - OVERRIDE_SAMPLES
        p = p[~early | (p[:, 1] > 0.9)]
        p = _override(p, record.p_arrival_sample, record.manual)
        begin, end = detection_box(record)
        detection[begin:end] = 1.0
    if record.s_arrival_sample is not None:
        s = _override(s, record.s_arrival_sample, record.manual)
    return Example(waveform, p, s, detection)


def _joined(
    peaks: Sequence[NDArray[np.float32]], weights: NDArray[np.float64]
) -> list[list[float]]:
    """Weighted mean of the teachers' peaks; one without a peak at a place counts as 0 there."""
    joined: list[list[float]] = []
    for found, weight in zip(peaks, weights, strict=False):
        for sample, height in found:
            near = [q for q in joined if abs(q[0] - sample) <= SAME_ONSET_SAMPLES]
            if near:
                near[0][1] += float(weight * height)
            else:
                joined.append([float(sample), float(weight * height)])
    return joined


def _trusted(peaks: list[list[float]]) -> NDArray[np.float32]:
    """Peaks as (k, 2) onsets: a probability near the threshold makes a label of little height."""
    heights = ((height - 0.2) / 0.3 for _, height in peaks)
    kept = [(q[0], min(h, 1.0)) for q, h in zip(peaks, heights, strict=True) if h > 0]
    return onsets(*kept)


def _override(known: NDArray[np.float32], label: float, manual: bool) -> NDArray[np.float32]:
    near = np.abs(known[:, 0] - label) <= OVERRIDE_SAMPLES
    own = onsets((float(label), 1.0 if manual else 0.5))
    if near.any() and not manual:
        own = onsets((float(known[near][np.argmax(known[near][:, 1]), 0]), 1.0))
    return np.concatenate([known[~near], own])
