"""Describe a replay: the file that is played in place of a sensor, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .selection import EVERYTHING, TraceSelection


@dataclass(frozen=True)
class Replay:
    """A file that is played in place of a sensor.

    Attributes:
        path: STEAD-layout HDF5.
        selection: Which of its traces; its seed is also that of the noise between them.
        spacing_seconds: Noise between traces.
        speed: Multiple of real time, None for as fast as possible.
    """

    path: Path
    selection: TraceSelection = EVERYTHING
    spacing_seconds: float = 30.0
    speed: float | None = None
