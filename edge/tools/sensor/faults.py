"""Simulate a bad line: lose frames and damage bytes, reproducibly."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Faults:
    """Faults of a simulated sensor; none by default."""

    drop: float = 0.0
    """Fraction of frames that are lost, 0 to 1."""
    corrupt: float = 0.0
    """Fraction of bytes with one wrong bit, 0 to 1."""
    stall_every_seconds: float = 0.0
    """After each of these periods of data the line sends nothing for `stall_seconds`."""
    stall_seconds: float = 0.0
    """Samples taken in this time are sent together at its end."""
    drift_ppm: float = 0.0
    """Error of the sensor's crystal; positive is too fast."""
    jump_every_seconds: float = 0.0
    """After each of these periods of data the sensor leaves out `jump_seconds`."""
    jump_seconds: float = 0.0
    """Data left out; sample numbers and tick go on as if it had been sampled."""
    seed: int = 0


class FaultyLine:
    """Loses frames and damages bytes, the same ones for the same seed."""

    def __init__(self, faults: Faults) -> None:
        """Use `drop`, `corrupt` and `seed`; the other faults are the player's."""
        self._faults = faults
        self._random = Random(faults.seed)

    def carry(self, data: bytes) -> bytes:
        """Take whole frames; return the bytes that arrive."""
        if not (self._faults.drop or self._faults.corrupt):
            return data
        frames = data.split(b"\0")[:-1]
        kept = (f + b"\0" for f in frames if self._random.random() >= self._faults.drop)
        return b"".join(self._damage(f) for f in kept)

    def _damage(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        for position in range(len(damaged)):
            if self._random.random() < self._faults.corrupt:
                damaged[position] ^= 1 << self._random.randrange(8)
        return bytes(damaged)
