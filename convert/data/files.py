"""Open the labelled and continuous files that a command names: their index, teachers' labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...edge.replay.selection import EVERYTHING, TraceSelection
from .index_cache import kept_index
from .indexing import index_continuous, index_stead
from .picker import open_picker
from .records import Index, Split, merge, split_by_event
from .teacher_labels import (
    TeacherLabels,
    TeacherLabelStore,
    drop_outdated,
    label_file,
    labelled_keys,
    write_labels,
)
from .waveforms import RecordKey, Unusable, WaveformCache

LabelMap = Mapping[RecordKey, Sequence[TeacherLabels]]


@dataclass(frozen=True)
class DataFiles:
    """The files that a training or an evaluation names."""

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
    selection: TraceSelection = EVERYTHING
    """Which traces of the labelled files."""


def index_files(files: DataFiles) -> Index:
    """Index every file that has changed since it was last indexed.

    Raises:
        DataError: One of them has nothing to use, or nothing to split by.
    """
    folder = files.label_folder
    index = merge(
        [kept_index(path, folder, index_stead, files.selection) for path in files.labelled]
        + [kept_index(path, folder, index_continuous) for path in files.continuous]
    )
    return split_by_event(index) if files.split == "event" else index


def teacher_labels(files: DataFiles, index: Index, unusable: Unusable) -> TeacherLabelStore:
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
    return TeacherLabelStore(kept_of)
