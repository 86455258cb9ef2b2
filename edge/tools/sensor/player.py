"""Play counts as a live sensor on a line, in real time or faster, with faults."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ....firmware_bridge.packets import Hello
from ....firmware_bridge.virtual import VirtualSensor
from .faults import Faults, FaultyLine
from .outlet import Outlet


class Player:
    """Plays counts over an outlet.

    Args:
        hello: The sensor's description of itself.
        counts: Its samples, shape (samples, channels).
        speed: Multiple of real time; infinite for the reader's pace.
        faults: Faults to simulate.
        monotonic: The clock; a test may pass its own.
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
        """Send Hello and all samples, and reply to requests meanwhile."""
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
