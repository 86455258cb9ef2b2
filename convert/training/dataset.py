"""Files named on the command line -> index, teachers' labels, library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .index_cache import kept_index
from .label_cache import (
    LabelBook,
    RecordKey,
    TeacherLabels,
    drop_outdated,
    label_file,
    labelled_keys,
    write_labels,
)
from .library import Library
from .records import Index, Record, index_continuous, index_stead, merge
from .teachers import open_teacher
from .waveforms import Unusable, Waveforms

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


def index_files(files: DataFiles) -> Index:
    """Index every file that has changed since it was last indexed.

    Raises:
        DataError: One of them has nothing to use.
    """
    folder = files.label_folder
    return merge(
        [kept_index(path, folder, index_stead) for path in files.labelled]
        + [kept_index(path, folder, index_continuous) for path in files.continuous]
    )


def teacher_labels(files: DataFiles, index: Index, unusable: Unusable) -> LabelBook:
    """Open the teachers' labels, making those that are not there yet.

    Args:
        files: Data and teachers.
        index: Of all the data.
        unusable: Told of records that cannot be read.
    """
    kept_of: dict[str, list[Path]] = {}
    for teacher_path in files.teachers:
        files.label_folder.mkdir(parents=True, exist_ok=True)
        teacher = open_teacher(teacher_path)
        for path in (*files.labelled, *files.continuous):
            kept = label_file(files.label_folder, path, teacher)
            drop_outdated(kept, path)
            known = labelled_keys(kept)
            missing = [r for r in index.records if r.path == str(path) and r.key not in known]
            if missing:
                write_labels(kept, missing, teacher, Waveforms(0, unusable))
            if kept.exists():
                kept_of.setdefault(str(path), []).append(kept)
    return LabelBook(kept_of)


def training_library(
    records: Sequence[Record],
    labels: LabelMap,
    budget_bytes: int,
    unusable: Unusable | None = None,
) -> Library:
    """Library of the records whose stations are not held out."""
    return Library([r for r in records if not r.held_out], labels, budget_bytes, unusable)
