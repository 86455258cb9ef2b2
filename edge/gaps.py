"""Make blocks contiguous: bridge short gaps, end a segment at long ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..firmware_bridge.measured import counter
from .dating.arrivals import Arrival
from .settings.node import WindowSettings
from .types import Block

SILENCE_NS = 30_000_000_000
"""After this long without samples the partial window is scored and open events are closed."""


@dataclass
class StreamCounts:
    """Samples and gaps of the stream, at the sensor's own rate."""

    samples: int = counter("samples_total", "Samples received, per component.")
    seconds: float = counter("data_seconds_total", "Samples received, as time.", digits=3)
    gaps_filled: int = counter("gaps_filled_total", "Short gaps that were bridged.")
    gaps: int = counter("gaps_total", "Gaps too long to be bridged.", degrades=1)
    samples_lost: int = counter(
        "samples_lost_total", "Samples missing in gaps, per component.", degrades=1
    )
    samples_late: int = counter(
        "samples_late_total", "Samples left out since their place was taken, per component."
    )


class GapPolicy:
    """Makes segments: stretches of the stream within which each sample follows the one before.

    A gap of at most `fill_seconds` is bridged by a straight line. A longer one, a change of the
    sampling rate or a long silence ends the segment. Repeated samples, and late ones whose place
    was bridged already, are dropped.

    Args:
        settings: The longest gap that is bridged.
    """

    def __init__(self, settings: WindowSettings) -> None:
        self.counts = StreamCounts()
        self._fill_seconds = settings.fill_seconds
        self._segment = 0
        self._next = 0
        self._newest: Block | None = None
        self._received_ns = 0
        self._silent = False

    def push(self, block: Block) -> Iterator[Block]:
        """Take a block; yield it with its segment's number, after one that bridges a gap."""
        self._received_ns = block.received_ns
        if self._newest is None or block.rate_hz != self._newest.rate_hz:
            self._begin(block)
        missing = block.first_sample - self._next
        if missing > round(self._fill_seconds * block.rate_hz):
            self.counts.gaps += 1
            self.counts.samples_lost += missing
            self._begin(block)
        elif missing > 0:
            self.counts.gaps_filled += 1
            self.counts.samples_lost += missing
            yield self._bridge(block, missing)
        elif missing < 0:
            self.counts.samples_late += min(-missing, len(block.samples))
            block = _without(block, -missing)
        if not len(block.samples):
            return
        self.counts.samples += len(block.samples)
        self.counts.seconds += len(block.samples) / block.rate_hz
        self._newest = block
        self._silent = False
        self._next = block.first_sample + len(block.samples)
        yield replace(block, segment=self._segment)

    def wait(self, arrival: Arrival) -> Iterator[Block]:
        """Call whenever samples, or none, came; after a silence yield an empty block once.

        That block belongs to the next segment, so that the one before is closed.
        """
        if self._newest is None or self._silent:
            return
        if arrival.monotonic_ns - self._received_ns > SILENCE_NS:
            self._silent = True
            self._segment += 1
            end = _without(self._newest, len(self._newest.samples))
            yield replace(end, segment=self._segment)

    def _begin(self, block: Block) -> None:
        self._segment += 1
        self._next = block.first_sample

    def _bridge(self, block: Block, missing: int) -> Block:
        assert self._newest is not None
        last = self._newest.samples[-1]
        share = (np.arange(1, missing + 1, dtype=np.float32) / (missing + 1))[:, None]
        line = last + share * (block.samples[0] - last)
        return replace(
            block,
            first_sample=block.first_sample - missing,
            start_time_ns=block.time_ns(-missing),
            samples=np.asarray(line, dtype=np.float32),
            segment=self._segment,
        )


def _without(block: Block, samples: int) -> Block:
    """Return the block without its first samples."""
    return replace(
        block,
        first_sample=block.first_sample + samples,
        start_time_ns=block.time_ns(samples),
        samples=block.samples[samples:],
    )
