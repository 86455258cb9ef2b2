"""Read one trace of a STEAD file as the counts of a sensor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....firmware_bridge.packets import Hello
from ...replay.fields import TraceError, unit_of
from ...replay.stead import SteadFile, Trace
from ...replay.values import number

FULL_SCALE = 2**31 - 1
SCALED_PEAK = 2**30
"""Counts of the largest sample of a record that is not in counts; float32 has no finer steps."""
LEAST_DEVIATION = 30.0
"""Median deviation from which on a rounding to whole numbers, half at most, is less than 2 %."""
LEAST_MOTION = 4.0
"""Standard deviation in counts from which on rounding is less than a tenth of the motion."""
LEAST_PEAK = 1e-30
"""Below it a record's scale would not fit the Hello."""
KIND = "HN"
"""Band and instrument of a trace that does not state them: an accelerometer."""
UNITS = {"": "", "counts": "", "count": "", "m/s": "M/S", "mps": "M/S", "m/s**2": "M/S**2",
         "m/s2": "M/S**2", "m/s^2": "M/S**2", "m/s/s": "M/S**2", "mps2": "M/S**2"}  # fmt: skip
"""Units as files state them, and as a Hello has them."""


@dataclass(frozen=True, eq=False)
class PlayableRecord:
    """One trace as a sensor would have measured it.

    Attributes:
        name: STEAD's `trace_name`.
        channels: SEED codes of E, N, Z.
        counts: (samples, 3).
        rate_hz: Samples a second.
        unit: Of the file, by the Hello's names; empty for counts and for one that it has not.
        units_per_count: What one count is in the file's unit; 1 where the file has counts.
    """

    name: str
    channels: tuple[str, ...]
    counts: NDArray[np.int32]
    rate_hz: float
    unit: str = ""
    units_per_count: float = 1.0

    def hello(self, device_id: str, firmware: str, boot_id: int) -> Hello:
        """Return the Hello of a sensor that measures the record."""
        return Hello(
            device_id=device_id,
            firmware=firmware,
            rate_hz=self.rate_hz,
            channels=self.channels,
            adc_bits=32,
            boot_id=boot_id,
            unit=self.unit,
            units_per_count=self.units_per_count,
        )


def read_record(path: Path, trace: str | None = None) -> PlayableRecord:
    """Read one trace of a STEAD-layout file, the first by default.

    Whole numbers of up to 32 bits are counts, and so are others of no stated unit to which rounding
    does nothing. Anything else, such as m/s, is scaled so that the largest sample is `SCALED_PEAK`
    counts, and `units_per_count` states the scale.

    Raises:
        SteadError: The file cannot be read as STEAD.
        TraceError: The trace is missing or damaged, or states no sampling rate.
    """
    with SteadFile(path) as file:
        try:
            found = file.read(trace or next(iter(file)), motionless=True)
            counts, units_per_count = _counts(found)
        except TraceError as error:
            raise TraceError(f"{path}: {error}") from error
    kind = str(found.attributes.get("receiver_type", KIND))
    kind = kind if len(kind) == 2 and kind.isascii() and kind.isalnum() else KIND
    channels = tuple(kind.upper() + axis for axis in "ENZ")
    unit = UNITS.get(unit_of(found.attributes).lower(), "")
    return PlayableRecord(found.name, channels, counts, found.rate_hz, unit, units_per_count)


def _counts(trace: Trace) -> tuple[NDArray[np.int32], float]:
    """Return a trace's samples as counts, and what one count is in the file's unit.

    Raises:
        TraceError: They are too small to be scaled, or a component would be rounded away.
    """
    waveform = trace.waveform
    peak = float(np.abs(waveform).max())
    if peak <= FULL_SCALE and _in_counts(trace):
        # a recording of a sensor states what its counts are
        own = number(trace.attributes.get("units_per_count")) or 1.0
        return np.rint(waveform).astype(np.int32), own if own > 0 else 1.0
    if peak < LEAST_PEAK:
        raise TraceError(
            f"trace {trace.name}: its largest sample is {peak:.3g}, too small to be sent as counts;"
            " multiply it"
        )
    units_per_count = float(np.float32(peak / SCALED_PEAK))
    counts = np.rint(waveform / units_per_count).astype(np.int32)
    lost = [
        component
        for component, x, y in zip("ENZ", waveform.T, counts.T, strict=True)
        if x.min() != x.max() and np.std(y) < LEAST_MOTION
    ]
    if lost:
        raise TraceError(
            f"trace {trace.name}: component {', '.join(lost)} would be lost in the rounding to "
            f"counts beside the largest sample, {peak:.3g}; remove the offset, or write all "
            "components in one unit"
        )
    return counts, units_per_count


def _in_counts(trace: Trace) -> bool:
    """Whether a trace's samples can be rounded to whole numbers without loss."""
    if np.array_equal(trace.waveform, np.rint(trace.waveform)):
        return True
    deviation = np.median(np.abs(trace.waveform - np.median(trace.waveform, axis=0)), axis=0)
    moving = deviation[deviation > 0]
    loud = len(moving) > 0 and float(moving.min()) >= LEAST_DEVIATION
    return loud and UNITS.get(unit_of(trace.attributes).lower(), "other") == ""
