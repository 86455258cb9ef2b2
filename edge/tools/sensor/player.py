"""A STEAD record becomes a live sensor on a line, in its own time or faster, with faults."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .... import EqedgeError, first_line
from ....firmware_bridge.packets import Hello
from ....firmware_bridge.telemetry import MAX_RATE_HZ
from ....firmware_bridge.virtual import VirtualSensor
from .faults import Faults, FaultyLine
from .outlet import Outlet

RATE_HZ = 100.0
"""STEAD's rate, which its files do not state."""
RATE_FIELD = "sampling_rate_hz"
"""States another one."""


class RecordError(EqedgeError):
    """A record that cannot be played.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, why: str) -> None:
        """Names the file and what is wrong with it."""
        super().__init__(f"{path}: {why}")
        self.path = path


@dataclass(frozen=True, eq=False)
class Record:
    """Counts of one trace as a sensor would have given them."""

    name: str
    channels: tuple[str, ...]
    counts: NDArray[np.int32]
    rate_hz: float


def read_record(path: Path, trace: str | None = None) -> Record:
    """Reads one trace, the first by default, of a STEAD-layout file.

    Raises:
        RecordError: the file is none, or has no such trace.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            group = file["data"]
            name = trace or next(iter(group))
            dataset = group[name]
            waveform = np.asarray(dataset, dtype=np.float64)
            kind = dataset.attrs.get("receiver_type", "HN")
            stated = dataset.attrs.get(RATE_FIELD, RATE_HZ)
    except FileNotFoundError as error:
        raise RecordError(path, "there is no such file") from error
    except StopIteration as error:
        raise RecordError(path, "its group data/ is empty") from error
    except KeyError as error:
        what = f"trace {trace!r}" if trace else "data/"
        raise RecordError(path, f"it has no {what} (STEAD layout: data/<trace>)") from error
    except (OSError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(path, f"it cannot be read as HDF5: {first_line(error)}") from error
    if waveform.ndim != 2 or waveform.shape[1] != 3 or not np.isfinite(waveform).all():
        raise RecordError(path, f"{name} has shape {waveform.shape}, wanted (samples, 3), finite")
    try:
        rate_hz = float(stated)
    except (TypeError, ValueError):
        rate_hz = math.nan
    if not 0.0 < rate_hz <= MAX_RATE_HZ:
        raise RecordError(path, f"{name} has {RATE_FIELD} {stated!r}, wanted up to {MAX_RATE_HZ:g}")
    band = kind.decode() if isinstance(kind, bytes) else str(kind)
    band = band if len(band) == 2 and band.isascii() and band.isalnum() else "HN"
    limit = 2**31 - 1
    counts = np.clip(np.rint(waveform), -limit, limit).astype(np.int32)
    return Record(name, tuple(band.upper() + axis for axis in "ENZ"), counts, rate_hz)


class Player:
    """Plays counts over an outlet.

    Args:
        hello: who the sensor says it is.
        counts: what it measures, shape (samples, channels).
        speed: 1 for the pace of life; infinite for the reader's pace.
        faults: what goes wrong.
        monotonic: the clock; a test may put its own here.
    """

    def __init__(
        self,
        hello: Hello,
        counts: NDArray[np.int32],
        *,
        speed: float = 1.0,
        faults: Faults | None = None,
        samples_per_packet: int = 25,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is sent before ``play``."""
        self._faults = faults or Faults()
        self._line = FaultyLine(self._faults)
        self._counts = counts
        self._speed = speed
        self._monotonic = monotonic
        self._began = 0.0
        self._step = samples_per_packet
        self._patient = speed == float("inf")
        self._true_rate_hz = hello.rate_hz * (1.0 + self._faults.drift_ppm * 1e-6)
        self._sensor = VirtualSensor(
            hello, samples_per_packet, now_tick=None if self._patient else self._tick
        )
        self._tick_hz = hello.tick_hz * (1.0 + self._faults.drift_ppm * 1e-6)

    def play(self, outlet: Outlet) -> None:
        """Greets, plays to the end, answers meanwhile."""
        self._began = self._monotonic()
        outlet.send(self._line.carry(self._sensor.greet()), self._patient)
        stall_until, held = 0.0, b""
        stall_at, jump_at = self._faults.stall_every_seconds, self._faults.jump_every_seconds
        at = 0
        while at < len(self._counts):
            block = self._counts[at : at + self._step]
            at += len(block)
            seconds = at / self._true_rate_hz
            self._wait_until(seconds, outlet)
            held += self._sensor.push(block)
            if jump_at and seconds >= jump_at:
                jump_at += self._faults.jump_every_seconds
                missed = round(self._faults.jump_seconds * self._true_rate_hz)
                held += self._sensor.skip(missed)
                at += missed
            if stall_at and seconds >= stall_at:
                stall_at += self._faults.stall_every_seconds
                stall_until = seconds + self._faults.stall_seconds
            if seconds >= stall_until:
                outlet.send(self._line.carry(held), self._patient)
                held = b""
        outlet.send(self._line.carry(held + self._sensor.flush()), self._patient)

    def _tick(self) -> int:
        return int((self._monotonic() - self._began) * self._speed * self._tick_hz)

    def _wait_until(self, seconds: float, outlet: Outlet) -> None:
        while True:
            due = 0.0 if self._patient else self._began + seconds / self._speed
            wait = min(max(0.0, due - self._monotonic()), 0.05)
            answer = self._sensor.receive(outlet.receive(wait))
            if answer:
                outlet.send(self._line.carry(answer), self._patient)
            if self._monotonic() >= due:
                return
