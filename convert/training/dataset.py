"""Open the files of the command line: index, teachers' labels, library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.index_cache import kept_index
from ..data.picker import open_picker
from ..data.records import (
    DataError,
    Index,
    Split,
    index_continuous,
    index_stead,
    merge,
    split_by_event,
)
from ..data.waveforms import RecordKey, Unusable, WaveformCache
from .label_cache import (
    LabelBook,
    TeacherLabels,
    drop_outdated,
    label_file,
    labelled_keys,
    write_labels,
)
from .library import Library

UNLABELLED = "continuous and labelled by no teacher (--teacher)"
LabelMap = Mapping[RecordKey, Sequence[TeacherLabels]]


@dataclass(frozen=True)
class DataFiles:
    """What to train on."""

    labelled: tuple[Path, ...]
    """STEAD-layout HDF5."""
    continuous: tuple[Path, ...] = ()
    """HDF5 of continuous records, labelled by the teachers."""
    teachers: tuple[Path, ...] = ()
    """The first one counts double."""
    label_folder: Path = Path("labels")
    """Where indexes and the teachers' labels are kept from one run to the next."""
    split: Split = "station"
    """What is held out of training."""


def index_files(files: DataFiles) -> Index:
    """Index every file that has changed since it was last indexed.

    Raises:
        DataError: One of them has nothing to use, or nothing to split by.
    """
    folder = files.label_folder
    index = merge(
        [kept_index(path, folder, index_stead) for path in files.labelled]
        + [kept_index(path, folder, index_continuous) for path in files.continuous]
    )
    return split_by_event(index) if files.split == "event" else index


def teacher_labels(files: DataFiles, index: Index, unusable: Unusable) -> LabelBook:
    """Open the teachers' labels, making those that are not there yet.

    Args:
        files: Data and teachers.
        index: Of all the data.
        unusable: Counts records that cannot be read.
    """
    kept_of: dict[str, list[Path]] = {}
    for teacher_path in files.teachers:
        files.label_folder.mkdir(parents=True, exist_ok=True)
        teacher = open_picker(teacher_path)
        for path in (*files.labelled, *files.continuous):
            kept = label_file(files.label_folder, path, teacher)
            drop_outdated(kept, path)
            known = labelled_keys(kept)
            missing = [r for r in index.records if r.path == str(path) and r.key not in known]
            if missing:
                write_labels(kept, missing, teacher, WaveformCache(0, unusable))
            if kept.exists():
                kept_of.setdefault(str(path), []).append(kept)
    return LabelBook(kept_of)


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


def more_sides(index: Index) -> str:
    """What to do about data that all lie on one side of the split."""
    other = index.split == "station" and any(record.event for record in index.records)
    return f"add records of other {index.split}s{' or give --split event' if other else ''}"


def summed_up(names: set[str]) -> str:
    """The first three names, and how many more there are."""
    shown = ", ".join(sorted(names)[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
