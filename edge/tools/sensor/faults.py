"""A sensor's bytes pass through a bad line: frames lost, bytes damaged, seeded."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Faults:
    """What is wrong with a simulated sensor; nothing by default."""

    drop: float = 0.0
    """Share of frames that are lost, 0 to 1."""
    corrupt: float = 0.0
    """Share of bytes of which one bit is wrong, 0 to 1."""
    stall_every_seconds: float = 0.0
    """After so much data the line is silent ..."""
    stall_seconds: float = 0.0
    """... for so long; what was taken meanwhile then comes at once."""
    drift_ppm: float = 0.0
    """How much too fast the sensor's crystal runs."""
    jump_every_seconds: float = 0.0
    """After so much data the sensor misses ..."""
    jump_seconds: float = 0.0
    """... so much of it: sample numbers and tick go on as if it had been taken."""
    seed: int = 0


class FaultyLine:
    """Loses frames and damages bytes as told, the same ones for the same seed."""

    def __init__(self, faults: Faults) -> None:
        """Only `drop`, `corrupt` and `seed` matter here."""
        self._faults = faults
        self._random = Random(faults.seed)

    def carry(self, data: bytes) -> bytes:
        """Returns what arrives of whole frames sent."""
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
