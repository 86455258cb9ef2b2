"""Describe a replay: the file that is played in place of a sensor, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Replay:
    """A file that is played in place of a sensor.

    Attributes:
        path: STEAD-layout HDF5.
        labels: CSV of labels, or None for the one beside the file.
        traces: Play this many at random; None for all.
        seed: Of the choice, and of the noise between traces.
        spacing_seconds: Noise between traces.
        speed: Multiple of real time, None for as fast as possible.
    """

    path: Path
    labels: Path | None = None
    traces: int | None = None
    seed: int = 0
    spacing_seconds: float = 30.0
    speed: float | None = None
