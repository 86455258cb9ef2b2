"""Read one trace of a STEAD file as the counts of a sensor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...replay.stead import SteadFile, TraceError

FULL_SCALE = 2**31 - 1
KIND = "HN"
"""Band and instrument of a trace that does not state them: an accelerometer."""


@dataclass(frozen=True, eq=False)
class PlayableRecord:
    """One trace as a sensor would have measured it.

    Attributes:
        name: STEAD's `trace_name`.
        channels: SEED codes of E, N, Z.
        counts: (samples, 3).
        rate_hz: Samples a second.
    """

    name: str
    channels: tuple[str, ...]
    counts: NDArray[np.int32]
    rate_hz: float


def read_record(path: Path, trace: str | None = None) -> PlayableRecord:
    """Read one trace of a STEAD-layout file, the first by default.

    Raises:
        SteadError: The file cannot be read as STEAD.
        TraceError: The trace is missing or damaged, or states no sampling rate.
    """
    with SteadFile(path) as file:
        try:
            found = file.read(trace or next(iter(file)), motionless=True)
        except TraceError as error:
            raise TraceError(f"{path}: {error}") from error
    kind = str(found.attributes.get("receiver_type", KIND))
    kind = kind if len(kind) == 2 and kind.isascii() and kind.isalnum() else KIND
    counts = np.rint(found.waveform.astype(np.float64)).clip(-FULL_SCALE, FULL_SCALE)
    channels = tuple(kind.upper() + axis for axis in "ENZ")
    return PlayableRecord(found.name, channels, counts.astype(np.int32), found.rate_hz)
