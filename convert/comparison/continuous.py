"""Count how many picks of the first network each network has in continuous records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...models.spec import WINDOW_SAMPLES
from ..data.indexing import index_continuous
from ..data.picker import Picker
from ..data.records import DataError, merge
from ..data.waveforms import WaveformCache
from ..data.windows import TRIAL_SEED, WindowSet
from ..progress import OnProgress
from ..proof.agreement import Agreement
from ..proof.verify import Detects, compare_detectors

WINDOWS = 500


def draw_windows(paths: Sequence[Path], all_stations: bool, wanted: int = WINDOWS) -> WindowSet:
    """Cut windows at random places, any second of the records being as likely.

    Args:
        paths: HDF5 with continuous (n, 3) datasets.
        all_stations: Also stations that this package's training may have seen.
        wanted: How many.

    Returns:
        (wanted, 6000, 3) raw windows without labels, the same for the same files; fewer where a
        record cannot be read.

    Raises:
        DataError: There is none.
    """
    index = merge([index_continuous(path) for path in paths])
    records = index.records if all_stations else index.held_out()
    names = ", ".join(path.name for path in paths)
    if not records:
        raise DataError(
            f"{names}: no continuous record of a station held out of training; give --all-stations "
            "or another file"
        )
    rng, waveforms = np.random.default_rng(TRIAL_SEED), WaveformCache(budget_bytes=0)
    lengths = np.array([record.n_samples for record in records])
    drawn = Counter(rng.choice(len(records), wanted, p=lengths / lengths.sum()).tolist())
    windows: list[NDArray[np.float32]] = []
    for number, count in sorted(drawn.items()):
        waveform = waveforms.read(records[number])
        if waveform is not None:
            starts = rng.integers(0, len(waveform) - WINDOW_SAMPLES, count, endpoint=True)
            windows += [waveform[start : start + WINDOW_SAMPLES] for start in starts]
    if not windows:
        reasons = ", ".join(waveforms.skipped)
        raise DataError(f"{names}: no continuous record can be used ({reasons}); copy it again")
    unknown = np.zeros(len(windows), dtype=np.bool_)
    return WindowSet(np.stack(windows), unknown, (None,) * len(windows), len(drawn))


def agree(
    pickers: Sequence[Picker], windows: WindowSet, progress: OnProgress | None = None
) -> list[Agreement]:
    """Compare each network's picks with the first one's, by the first one's thresholds.

    Args:
        pickers: With windows of 6000 samples.
        windows: From `draw_windows`.
        progress: Called with what is done, how much of it, and of how much.
    """
    first = pickers[0]
    return [
        compare_detectors(first.spec, (_from_raw(first), _from_raw(picker)), windows, progress)
        for picker in pickers
    ]


def _from_raw(picker: Picker) -> Detects:
    """Give a network raw samples, which it prepares itself."""
    return lambda window: np.asarray(picker.answer([window])[0])
