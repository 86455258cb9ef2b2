"""Make the waveform file that firmware without a converter plays."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from ....firmware_bridge.packets import UNITS, Hello

HEADER = struct.Struct("<4sIIIfBBxxiII18s42s")


def waveform_bytes(
    hello: Hello,
    counts: NDArray[np.int32],
    crystal_ppm: float = 0.0,
    mark_sample: int | None = None,
) -> bytes:
    """Return the file's contents; `firmware/waveform.h` has the layout.

    Args:
        hello: The device's description of itself; boot_id is that of its first boot. The board
            has its own tick, gain and firmware name.
        counts: Shape (samples, channels).
        crystal_ppm: Error of the device's crystal, parts per million; positive is too fast.
        mark_sample: The board sends a mark at this sample's instant and at each multiple of it,
            for a test that compares time stamps with its own clock.
    """
    if counts.ndim != 2 or counts.shape[1] != len(hello.channels):
        raise ValueError(f"counts of shape {counts.shape} for channels {hello.channels}")
    header = HEADER.pack(
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
