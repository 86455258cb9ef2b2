"""Divide a sensor's samples into gapless runs and date them, for a writer."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ....firmware_bridge.packets import Samples
from ...dating.samples import Dated
from .listener import Received

HELD_SECONDS = 5.0
"""The start of a run waits this long for the sensor's first reply, which dates it better."""
BY_ARRIVAL = "host"
"""Source of a clock that no reply has reached yet."""


class Writer(Protocol):
    """A file that takes runs."""

    def begin(self, dated: Dated) -> None:
        """Begin a run, after a gap or a boot, with the sample that `dated` dates."""

    def add(self, counts: NDArray[np.int32], dated: Dated) -> None:
        """Add the next samples of the run.

        Args:
            counts: Shape (samples, channels).
            dated: Of the first of them.
        """

    def close(self) -> None:
        """Close the file."""


class Recorder:
    """Sends each gapless run of samples, dated as a node would date them, to a writer.

    Attributes:
        runs: Number of runs begun.
        samples: Number of samples taken.
    """

    def __init__(self, writer: Writer) -> None:
        self.runs = 0
        self.samples = 0
        self._writer = writer
        self._newest: Dated | None = None
        self._next_sample = 0
        self._held: list[tuple[int, NDArray[np.int32]]] = []
        self._begun = False

    def take(self, received: Received) -> None:
        """Record one packet if it holds samples of a known sensor, in their order."""
        packet, dated = received.packet, received.dated
        if dated is None or not isinstance(packet, Samples):
            return
        if self._newest is not None:
            if dated.first_sample < self._next_sample:
                return  # late: its place has been passed over
            if dated.first_sample > self._next_sample or not _alike(dated, self._newest):
                self._end_run()
        self._newest = dated
        self._next_sample = dated.first_sample + len(packet.counts)
        self.samples += len(packet.counts)
        if self._begun:
            self._writer.add(packet.counts, dated)
            return
        self._held.append((dated.first_sample, packet.counts))
        held_samples = self._next_sample - self._held[0][0]
        answered = dated.clock.source != BY_ARRIVAL
        if answered or held_samples >= HELD_SECONDS * dated.hello.rate_hz:
            self._begin_run()

    def close(self) -> None:
        """Write what is held back."""
        self._end_run()

    def _begin_run(self) -> None:
        """Begin with the samples held back, all dated by the newest packet."""
        assert self._newest is not None
        held, self._held = self._held, []
        self._begun = True
        self.runs += 1
        self._writer.begin(_moved(self._newest, held[0][0]))
        for first, counts in held:
            self._writer.add(counts, _moved(self._newest, first))

    def _end_run(self) -> None:
        if self._held:
            self._begin_run()
        self._begun = False


def _moved(dated: Dated, sample: int) -> Dated:
    """Date another sample by the same clock."""
    return replace(dated, first_sample=sample, start_time_ns=dated.time_ns(sample))


def _alike(one: Dated, other: Dated) -> bool:
    """Whether samples of two announcements fit into one run."""
    return (one.hello.channels, one.hello.rate_hz) == (other.hello.channels, other.hello.rate_hz)
