"""Read the samples of records into memory, as many as fit; files stay where they are."""

from __future__ import annotations

import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import first_line
from ...edge.replay.heaps import UNREADABLE, GuardedHdf5, check_chunks
from ...edge.replay.stead import LARGEST
from ...edge.resample import resampled
from ...models.spec import RATE_HZ
from .records import Record

NAMED = 20
"""Records that cannot be used and are named one by one; further ones are counted."""

RecordKey = tuple[str, str]
"""Path of the data file and `Record.key`."""


class Unusable:
    """Records that could not be used when they were read: each named once, and counted.

    Args:
        report: Called with a line for each record, `NAMED` of them at most.

    Attributes:
        reasons: By (path, key), in the order in which they were found.
    """

    def __init__(self, report: Callable[[str], None] | None = None) -> None:
        self.reasons: dict[RecordKey, str] = {}
        self._report = report

    def add(self, record: RecordKey, reason: str) -> None:
        """Keep a record's reason, unless it is known already."""
        if record in self.reasons:
            return
        self.reasons[record] = reason
        if self._report is None or len(self.reasons) > NAMED + 1:
            return
        if len(self.reasons) <= NAMED:
            path, key = record
            self._report(f"skipped {Path(path).name} {key.removesuffix('@0')}: {reason}")
        else:
            self._report("more are skipped; from here on they are only counted")

    def counts(self) -> Counter[str]:
        """Number of records by reason."""
        return Counter(self.reasons.values())


class WaveformCache:
    """Reads records and keeps the ones used last, up to a number of bytes.

    Its files stay open until it is closed or no longer used.

    Args:
        budget_bytes: Of samples kept.
        unusable: Counts what cannot be used; by default one of its own.

    Attributes:
        unusable: Records that could not be used; each is read only once.
    """

    def __init__(self, budget_bytes: int = 3 << 30, unusable: Unusable | None = None) -> None:
        self.unusable = Unusable() if unusable is None else unusable
        self._budget = budget_bytes
        self._held = 0
        self._kept: OrderedDict[RecordKey, NDArray[np.float32]] = OrderedDict()
        self._files: dict[str, Any] = {}
        # of a dropped cache too: HDF5 does not close the bytes that it reads through
        self.close = weakref.finalize(self, _close, self._files)

    @property
    def skipped(self) -> Counter[str]:
        """Number of records that could not be used, by reason."""
        return self.unusable.counts()

    def read(self, record: Record) -> NDArray[np.float32] | None:
        """(n, 3) float32 samples, each component's mean taken away; None if it is unusable.

        The array is shared: never write into it.
        """
        key = (record.path, record.key)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key in self.unusable.reasons:
            return None
        waveform, problem = self._load(record)
        if waveform is None:
            self.unusable.add(key, problem)
            return None
        self._kept[key] = waveform
        self._held += waveform.nbytes
        while self._held > self._budget and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._held -= dropped.nbytes
        return waveform

    def _load(self, record: Record) -> tuple[NDArray[np.float32] | None, str]:
        try:
            if record.path not in self._files:
                self._files[record.path] = GuardedHdf5(record.path)
            dataset = self._files[record.path][record.dataset]
            check_chunks(dataset)
            length = _samples_in_file(record)
            waveform = np.asarray(dataset[record.first : record.first + length], np.float64)
        except UNREADABLE as error:
            return None, f"unreadable ({first_line(error)})"
        if not np.isfinite(waveform).all():
            return None, "NaN or infinite samples"
        if np.abs(waveform).max() > LARGEST:
            return None, "samples beyond float32"
        waveform -= waveform.mean(axis=0)
        if not np.abs(waveform).max() > 0:
            return None, "no motion on any component"
        if record.rate_hz != RATE_HZ:
            waveform = resampled(waveform, record.rate_hz, RATE_HZ)
        return waveform.astype(np.float32), ""


def _close(files: dict[str, Any]) -> None:
    for file in files.values():
        file.close()
    files.clear()


def _samples_in_file(record: Record) -> int:
    """Return the length of a record at its dataset's rate."""
    if record.rate_hz == RATE_HZ:
        return record.n_samples
    return int((record.n_samples - 1) * record.rate_hz / RATE_HZ + 1e-6) + 1
