"""Label tracks on disk, small: peaks of P and S, and the detection at 10 Hz."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError
from ...edge.picks import find_peaks
from .records import Record
from .teachers import Teacher, label_track
from .waveforms import Waveforms


class LabelCacheError(EqedgeError):
    """A label cache that was cut off while it was written."""


LOWEST_PEAK = 0.05
DETECTION_STEP_SAMPLES = 10
HOP_SAMPLES = {"event": 500, "noise": 500, "continuous": 1500}
"""Short records are few, and every window end lies in the middle of another window."""


@dataclass(frozen=True)
class TeacherLabels:
    """What a teacher says of one record."""

    p: NDArray[np.float32]
    """(k, 2) sample and probability of each peak of P."""
    s: NDArray[np.float32]
    """(k, 2) of S."""
    detection: NDArray[np.float32]
    """Mean detection probability of each tenth of a second."""


def label_file(folder: Path, data: Path, teacher: Teacher) -> Path:
    """Where a teacher's labels of a data file are kept."""
    return folder / f"{data.stem}.{teacher.name}.labels.hdf5"


def write_labels(
    path: Path, records: Iterable[Record], teacher: Teacher, waveforms: Waveforms
) -> Counter[str]:
    """Label every record that the file does not hold yet; each is on disk once it is done.

    Returns:
        How many were skipped, by reason.
    """
    todo = list(records)
    started = time.monotonic()
    for done, record in enumerate(todo):
        with h5py.File(path, "a") as file:
            if record.key.replace("/", "|") in file:
                continue
            waveform = waveforms.read(record)
            if waveform is not None:
                hop = HOP_SAMPLES[record.kind]
                _store(file, record, summarise(label_track(teacher, waveform, hop)))
        if done % 20 == 0 or done == len(todo) - 1:
            print(
                f"{teacher.name}: {path.name} {done + 1}/{len(todo)} records, "
                f"{time.monotonic() - started:.0f} s",
                file=sys.stderr,
                flush=True,
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


def read_labels(path: Path, records: Iterable[Record]) -> dict[str, TeacherLabels]:
    """Labels by `Record.key`; a record that was never labelled is absent.

    Raises:
        LabelCacheError: The file is damaged.
    """
    labels: dict[str, TeacherLabels] = {}
    try:
        with h5py.File(path, "r") as file:
            for record in records:
                name = record.key.replace("/", "|")
                if name in file:
                    group = file[name]
                    detection = group["detection"][()].astype(np.float32) / 255
                    labels[record.key] = TeacherLabels(group["p"][()], group["s"][()], detection)
    except (OSError, KeyError, RuntimeError) as error:
        raise LabelCacheError(f"{path}: damaged label cache ({error}); delete it") from error
    return labels


def _store(file: h5py.File, record: Record, labels: TeacherLabels) -> None:
    group = file.create_group(record.key.replace("/", "|"))
    group["p"], group["s"] = labels.p, labels.s
    group["detection"] = np.rint(labels.detection * 255).astype(np.uint8)
