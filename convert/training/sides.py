"""Leave out what cannot be learned from, and refuse data that lie on one side of the split."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..data.files import LabelMap
from ..data.records import DataError, Index
from ..data.waveforms import Unusable, WaveformCache
from .library import Library

UNLABELLED = "continuous and labelled by no teacher (--teacher)"


def without_unlabelled(index: Index, labels: LabelMap, unusable: Unusable) -> Index:
    """Leave out continuous records that no teacher labelled: they are neither event nor quiet.

    They are counted, but for those that `unusable` has counted.
    """
    unlabelled = {
        key
        for key in ((r.path, r.key) for r in index.records if r.kind == "continuous")
        if key not in labels
    }
    counted = Counter({UNLABELLED: len(unlabelled - unusable.reasons.keys())})
    return replace(
        index,
        records=[r for r in index.records if (r.path, r.key) not in unlabelled],
        skipped=index.skipped + counted,
    )


def check_sides(index: Index, labels: LabelMap) -> None:
    """Refuse data of which every earthquake is held out, or that have none.

    Raises:
        DataError: There is nothing to learn from.
    """
    training = index.training()
    if any(record.kind == "event" for record in training):
        return
    events = [record for record in index.records if record.kind == "event"]
    if not events or any(record.kind == "continuous" for record in training):
        Library(training, labels)  # raises where the teachers found none
        return
    raise DataError(
        f"all {len(events)} earthquakes are of {index.split}s that are held out of training "
        f"({summed_up({getattr(r, index.split) for r in events})}); {more_sides(index)}"
    )


def check_readable(index: Index, unusable: Unusable) -> None:
    """Refuse data of whose earthquakes none can be read; one that can is enough.

    Without them a training would learn from computed noise alone.

    Raises:
        DataError: It has the reasons.
    """
    waveforms = WaveformCache(0, unusable)
    events = [record for record in index.training() if record.kind != "noise"]
    if all(waveforms.read(record) is None for record in events):
        reasons = "; ".join(waveforms.skipped)
        raise DataError(f"no earthquake of the training data can be read ({reasons})")


def more_sides(index: Index) -> str:
    """What to do about data that all lie on one side of the split."""
    other = index.split == "station" and any(record.event for record in index.records)
    return f"add records of other {index.split}s{' or give --split event' if other else ''}"


def summed_up(names: set[str]) -> str:
    """The first three names, and how many more there are."""
    shown = ", ".join(sorted(names)[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
