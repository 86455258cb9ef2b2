"""Heard samples become gapless runs, each dated once, that a writer takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ....firmware_bridge.counters import distance
from ....firmware_bridge.packets import Hello, Samples
from .link import Heard
from .monitor import Monitor


class Writer(Protocol):
    """Where runs go."""

    def begin(self, hello: Hello, start: datetime, dated_by: str) -> None:
        """A run begins, after a gap or a boot."""

    def add(self, counts: NDArray[np.int32]) -> None:
        """More samples of the run, shape (samples, channels)."""

    def close(self) -> None:
        """Nothing more comes."""


class Recorder:
    """Dates each gapless run once, by the device's tick, and hands its samples on."""

    def __init__(
        self, writer: Writer, monitor: Monitor, utc_seconds: Callable[[], float] = time.time
    ) -> None:
        """The monitor must be given each packet before the recorder is."""
        self.runs = 0
        self.samples = 0
        self._writer = writer
        self._monitor = monitor
        self._utc_seconds = utc_seconds
        self._hello: Hello | None = None
        self._next: tuple[int, int] | None = None  # boot, sample number

    def take(self, heard: Heard) -> None:
        """Records one packet if it holds samples of a known device, in their order."""
        packet = heard.packet
        if isinstance(packet, Hello):
            self._hello = packet
        if not isinstance(packet, Samples) or self._hello is None:
            return
        if packet.boot != self._hello.boot or packet.counts.shape[1] != len(self._hello.channels):
            return
        if self._next is not None and self._next[0] == packet.boot:
            step = distance(packet.first_sample, self._next[1], 32)
            if step < 0:
                return  # late: its place has been passed over
            if step > 0:
                self._begin(packet, heard)
        else:
            self._begin(packet, heard)
        self._writer.add(packet.counts)
        self.samples += len(packet.counts)
        self._next = packet.boot, packet.first_sample + len(packet.counts) & 0xFFFF_FFFF

    def _begin(self, packet: Samples, heard: Heard) -> None:
        assert self._hello is not None
        host = self._monitor.host_seconds(packet.tick)
        dated_by = "tick"
        if host is None:
            host = heard.heard_seconds - len(packet.counts) / self._hello.rate_hz
            dated_by = "arrival"
        age = time.monotonic() - host
        start = datetime.fromtimestamp(self._utc_seconds(), UTC) - timedelta(seconds=age)
        self._writer.begin(self._hello, start, dated_by)
        self.runs += 1
