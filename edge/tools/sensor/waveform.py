"""Counts and a Hello become the waveform file that firmware without a converter plays."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from ....firmware_bridge.packets import UNITS, Hello

_HEADER = struct.Struct("<4sIIIfBBxxiII18s42s")


def waveform_bytes(
    hello: Hello,
    counts: NDArray[np.int32],
    crystal_ppm: float = 0.0,
    mark_sample: int | None = None,
) -> bytes:
    """The file's contents; `firmware/waveform.h` has its layout.

    Args:
        hello: Who the device will say it is; boot_id is the one of its first boot. The tick,
            the gain and the firmware's name are the board's own.
        counts: Shape (samples, channels).
        crystal_ppm: How much too fast the device's crystal runs, in parts per million.
        mark_sample: At this sample's instant, and each time as many more have been taken, the
            board gives a mark, so that a test can compare time stamps with a clock of its own.
    """
    if counts.ndim != 2 or counts.shape[1] != len(hello.channels):
        raise ValueError(f"counts of shape {counts.shape} for channels {hello.channels}")
    header = _HEADER.pack(
        b"EQW1",
        len(counts),
        counts.shape[1],
        round(hello.rate_hz * 1000),
        hello.units_per_count,
        UNITS.index(hello.unit),
        hello.adc_bits,
        round(crystal_ppm * 1000),
        hello.boot_id,
        0xFFFF_FFFF if mark_sample is None else mark_sample,
        "".join(hello.channels).encode("ascii"),
        hello.device_id.encode("ascii"),
    )
    return header + np.ascontiguousarray(counts, dtype="<i4").tobytes()
