"""Find earthquakes without a label: where every teacher has a pick."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .files import LabelMap
from .matching import NOWHERE, near
from .records import Record
from .windows import Cut

SURE = 0.3
"""Probability from which on a teacher's peak is a pick."""


def unlabelled_in(cut: Cut, labels: LabelMap) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Samples of a window where all teachers have a P, and where all have an S."""
    p, s = (seen_by_all(labels, cut.record, phase) - cut.first for phase in ("p", "s"))
    return p, s


def seen_by_all(labels: LabelMap, record: Record, phase: str) -> NDArray[np.int64]:
    """Samples where every teacher picks a phase."""
    answers = labels.get((record.path, record.key), [])
    common: NDArray[np.int64] | None = None
    for answer in answers:
        peaks = getattr(answer, phase)
        samples = peaks[peaks[:, 1] >= SURE, 0].astype(np.int64)
        if common is not None:
            samples = np.array([k for k in common if near(samples, int(k))], np.int64)
        common = samples
    return NOWHERE if common is None else common
