"""Records -> samples in memory, as many as fit; files stay where they are."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import first_line
from ...edge.replay.heaps import UNREADABLE, GuardedHdf5, check_chunks
from .records import Record


class Waveforms:
    """Reads records and keeps the ones used last, up to a number of bytes.

    Attributes:
        skipped: Records that could not be used, by reason; each is read only once.
    """

    def __init__(self, budget_bytes: int = 3 << 30) -> None:
        """Keep at most `budget_bytes` of samples."""
        self.skipped: Counter[str] = Counter()
        self._budget = budget_bytes
        self._held = 0
        self._kept: OrderedDict[tuple[str, str], NDArray[np.float32] | None] = OrderedDict()
        self._files: dict[str, Any] = {}

    def read(self, record: Record) -> NDArray[np.float32] | None:
        """(n, 3) float32 samples, each component's mean taken away; None if it is unusable.

        The array is shared: never write into it.
        """
        key = (record.path, record.key)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        waveform, problem = self._load(record)
        if problem:
            self.skipped[problem] += 1
        self._kept[key] = waveform
        self._held += 0 if waveform is None else waveform.nbytes
        while self._held > self._budget and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._held -= 0 if dropped is None else dropped.nbytes
        return waveform

    def _load(self, record: Record) -> tuple[NDArray[np.float32] | None, str | None]:
        try:
            if record.path not in self._files:
                self._files[record.path] = GuardedHdf5(record.path)
            dataset = self._files[record.path][record.dataset]
            check_chunks(dataset)
            raw = dataset[record.first : record.first + record.n_samples]
            waveform = np.asarray(raw, np.float64)
        except UNREADABLE as error:
            return None, f"unreadable: {record.dataset} ({first_line(error)})"
        if not np.isfinite(waveform).all():
            return None, "NaN or infinite samples"
        waveform -= waveform.mean(axis=0)
        if not np.abs(waveform).max() > 0:
            return None, "no motion on any component"
        return waveform.astype(np.float32), None
