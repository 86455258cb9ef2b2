"""A network's file and data in, the card's scores out: what `eqedge evaluate` does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.spec import ModelSpec
from .dataset import DataFiles, index_files, teacher_labels
from .records import DataError
from .run import TRIAL_DRAWS, TRIAL_SEED
from .score import make_trial, score
from .teachers import open_teacher

BATCH_WINDOWS = 64


def evaluate_file(
    network: Path, files: DataFiles, thresholds: Sequence[float], all_stations: bool = False
) -> dict[str, Any]:
    """Score a network at some thresholds, by `P 0.3, S 0.3` and the like.

    Args:
        network: Whatever can teach can be scored; it is prepared for as it likes best.
        files: Labelled data, and teachers that tell unlabelled earthquakes.
        thresholds: The same for P and S.
        all_stations: Also stations that training may have seen.

    Raises:
        DataError: No station of the data is held out.
    """
    index = index_files(files)
    records = index.records if all_stations else index.held_out()
    if not any(record.kind == "event" for record in records):
        raise DataError("no earthquake of a held-out station in the data; see --all-stations")
    labels = teacher_labels(files, index, lambda line: print(line, file=sys.stderr))
    scored = open_teacher(network)
    spec = ModelSpec("scored", "leqnet-gru", preparation=scored.views[0])
    trial = make_trial(records, labels, spec, TRIAL_SEED, TRIAL_DRAWS)
    known: dict[int, NDArray[np.float32]] = {}

    def predict(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        # The same windows come back for each threshold.
        key = hash(windows[:, ::500].tobytes())
        if key not in known:
            starts = range(0, len(windows), BATCH_WINDOWS)
            parts = [scored.predict(windows[k : k + BATCH_WINDOWS]) for k in starts]
            known[key] = np.concatenate(parts)
        return known[key]

    return {f"P {t:g}, S {t:g}": score(predict, trial, t, t) for t in thresholds}
