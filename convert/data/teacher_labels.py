"""Keep teachers' labels on disk: peaks of P and S, and the detection at 10 Hz."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError
from ...edge.picks import find_peaks
from ..progress import report
from .kept import file_state, kept_name
from .label_track import label_track
from .picker import Picker
from .records import Record
from .waveforms import RecordKey, WaveformCache


class LabelCacheError(EqedgeError):
    """A label cache that was cut off while it was written."""


DATA_STATE = "data_size_and_mtime_ns"
"""Attribute: of the data file when it was first labelled."""
LOWEST_PEAK = 0.05
DETECTION_STEP_SAMPLES = 10
HOP_SAMPLES = {"event": 500, "noise": 500, "continuous": 1500}
"""Short records are few, and every window end lies in the middle of another window."""


@dataclass(frozen=True)
class TeacherLabels:
    """A teacher's answer to one record."""

    p: NDArray[np.float32]
    """(k, 2) sample and probability of each peak of P."""
    s: NDArray[np.float32]
    """(k, 2) of S."""
    detection: NDArray[np.float32]
    """Mean detection probability of each tenth of a second."""


def label_file(folder: Path, data: Path, teacher: Picker) -> Path:
    """Where a teacher's labels of a data file are kept.

    Another teacher, another preparation of its windows or another path is another file.
    """
    views = [view.preparation for view in teacher.views]
    prepared = hashlib.sha256(repr(views).encode()).hexdigest()[:6]
    return folder / kept_name(data, f"{teacher.name}.{teacher.sha256[:12]}.{prepared}.labels.hdf5")


def drop_outdated(path: Path, data: Path) -> None:
    """Delete labels of a data file that has changed since, and report it.

    Raises:
        LabelCacheError: The label file is damaged.
    """
    if not path.exists():
        return
    try:
        with h5py.File(path, "r") as file:
            outdated = [int(n) for n in file.attrs.get(DATA_STATE, ())] != file_state(data)
    except (OSError, RuntimeError) as error:
        raise LabelCacheError(f"{path}: damaged label cache ({error}); delete it") from error
    if outdated:
        report(f"{data.name} has changed, {path.name} is made anew")
        path.unlink()


def write_labels(
    path: Path, records: Iterable[Record], teacher: Picker, waveforms: WaveformCache
) -> Counter[str]:
    """Label every record that the file does not hold yet; each is on disk once it is done.

    Returns:
        How many were skipped, by reason.
    """
    todo = list(records)
    started = time.monotonic()
    for done, record in enumerate(todo):
        with h5py.File(path, "a") as file:
            file.attrs.setdefault(DATA_STATE, file_state(Path(record.path)))
            if _name(record.key) in file:
                continue
            waveform = waveforms.read(record)
            if waveform is not None:
                hop = HOP_SAMPLES[record.kind]
                _store(file, record, summarise(label_track(teacher, waveform, hop)))
        if done % 20 == 0 or done == len(todo) - 1:
            report(
                f"{teacher.name}: {path.name} {done + 1}/{len(todo)} records, "
                f"{time.monotonic() - started:.0f} s"
            )
    return waveforms.skipped


def summarise(track: NDArray[np.float32]) -> TeacherLabels:
    """Reduce a (n, 3) track of detection, P and S to what is kept."""
    p, s = (
        np.array([(k.sample, k.probability) for k in find_peaks(track[:, head], LOWEST_PEAK)])
        .reshape(-1, 2)
        .astype(np.float32)
        for head in (1, 2)
    )
    whole = len(track) // DETECTION_STEP_SAMPLES * DETECTION_STEP_SAMPLES
    detection = track[:whole, 0].reshape(-1, DETECTION_STEP_SAMPLES).mean(1)
    return TeacherLabels(p, s, detection)


class TeacherLabelStore(Mapping[RecordKey, Sequence[TeacherLabels]]):
    """Teachers' answers by record, read when needed: memory does not grow with the data.

    Args:
        files: Of each data file its label files, one a teacher, in the teachers' order.
    """

    def __init__(self, files: Mapping[str, Sequence[Path]]) -> None:
        self._files = {path: tuple(kept) for path, kept in files.items()}
        self._open: dict[Path, Any] = {}

    def __getitem__(self, record: RecordKey) -> Sequence[TeacherLabels]:
        """Answers of the teachers that labelled the record.

        Raises:
            KeyError: None did.
            LabelCacheError: A file is damaged.
        """
        path, key = record
        answers = []
        for kept in self._files.get(path, ()):
            try:
                if kept not in self._open:
                    self._open[kept] = h5py.File(kept, "r")
                group = self._open[kept].get(_name(key))
                if group is not None:
                    detection = group["detection"][()].astype(np.float32) / 255
                    answers.append(TeacherLabels(group["p"][()], group["s"][()], detection))
            except (OSError, KeyError, RuntimeError) as error:
                raise LabelCacheError(
                    f"{kept}: damaged label cache ({error}); delete it"
                ) from error
        if not answers:
            raise KeyError(record)
        return answers

    def __iter__(self) -> Iterator[RecordKey]:
        """Every record that any teacher labelled."""
        for path, files in self._files.items():
            names: dict[str, None] = {}
            for kept in files:
                with h5py.File(kept, "r") as file:
                    names |= dict.fromkeys(file)
            yield from ((path, name.replace("|", "/")) for name in names)

    def __bool__(self) -> bool:
        """Whether there is a teacher that labelled anything; opens no file."""
        return bool(self._files)

    def __len__(self) -> int:
        """Number of records that any teacher labelled."""
        return sum(1 for _ in self)

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files behind when sent to another process."""
        return {"_files": self._files, "_open": {}}


def labelled_keys(path: Path) -> set[str]:
    """Keys of the records that a label file holds.

    Raises:
        LabelCacheError: The file is damaged.
    """
    if not path.exists():
        return set()
    try:
        with h5py.File(path, "r") as file:
            return {name.replace("|", "/") for name in file}
    except (OSError, RuntimeError) as error:
        raise LabelCacheError(f"{path}: damaged label cache ({error}); delete it") from error


def _name(key: str) -> str:
    return key.replace("/", "|")


def _store(file: h5py.File, record: Record, labels: TeacherLabels) -> None:
    group = file.create_group(_name(record.key))
    group["p"], group["s"] = labels.p, labels.s
    group["detection"] = np.rint(labels.detection * 255).astype(np.uint8)
