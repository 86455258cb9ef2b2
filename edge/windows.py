"""Blocks -> overlapping windows, through a ring buffer whose newest rows lie in one piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .records import NANOSECONDS, Block, Window
from .settings import SettingsError, WindowSettings


class Ring:
    """The newest samples, readable as one array without copying.

    Rows are written forward into a buffer several windows long; when its end is reached, the newest
    window is moved to the front. A row is thus moved once in several windows' time.

    Args:
        capacity: Rows that can be read back.
        columns: Width of a row.
    """

    SLACK = 4
    """Length of the buffer in capacities."""

    def __init__(self, capacity: int, columns: int = 3) -> None:
        self._capacity = capacity
        self._rows = np.zeros((self.SLACK * capacity, columns), dtype=np.float32)
        self._end = 0
        self._filled = 0

    def __len__(self) -> int:
        """Rows that can be read back now, at most the capacity."""
        return self._filled

    def write(self, rows: NDArray[np.float32]) -> None:
        """Append at most `capacity` rows."""
        if self._end + len(rows) > len(self._rows):
            kept = self.newest(self._filled)
            self._rows[: len(kept)] = kept  # the source lies behind the target: they never overlap
            self._end = len(kept)
        self._rows[self._end : self._end + len(rows)] = rows
        self._end += len(rows)
        self._filled = min(self._filled + len(rows), self._capacity)

    def newest(self, length: int) -> NDArray[np.float32]:
        """Return a view of the newest rows, good until the next write."""
        return self._rows[self._end - length : self._end]

    def clear(self) -> None:
        """Forget everything."""
        self._end = self._filled = 0


@dataclass
class StreamCounts:
    """What the stream went through, for the health record."""

    samples: int = 0
    gaps_filled: int = 0
    gaps: int = 0
    samples_lost: int = 0
    samples_late: int = 0
    windows: int = 0


class Windower:
    """Cuts the stream into windows of `length` samples, one every hop.

    The windows depend on the samples alone, not on how they were portioned into blocks: the first
    is the first whole window of a segment, then one follows every hop, and one lies at the end of
    the segment, so that its last samples are seen too.

    Args:
        length: Samples of a window.
        rate_hz: Samples a second.
        settings: Hop and gap policy.

    Raises:
        SettingsError: The hop is longer than a window and would leave samples unseen.
    """

    def __init__(self, length: int, rate_hz: float, settings: WindowSettings) -> None:
        self.counts = StreamCounts()
        self._length = length
        self._rate_hz = rate_hz
        self._hop = max(1, round(settings.hop_seconds * rate_hz))
        if self._hop > length:
            raise SettingsError(
                f"hop {settings.hop_seconds:g} s is longer than the model's window of "
                f"{length / rate_hz:g} s and leaves samples unseen; use a shorter hop"
            )
        self._fill = round(settings.fill_seconds * rate_hz)
        self._ring = Ring(length)
        self._segment = 0
        self._segment_start = 0
        self._next: int | None = None
        self._newest: Block | None = None

    def push(self, block: Block) -> Iterator[Window]:
        """Take a block; yield the windows it completes, each good until the next is asked for."""
        if self._next is None:
            self._begin(block.first_sample)
        assert self._next is not None
        missing = block.first_sample - self._next
        if missing > self._fill:
            self.counts.gaps += 1
            self.counts.samples_lost += missing
            yield from self.close()
            self._begin(block.first_sample)
        elif missing > 0:
            self.counts.gaps_filled += 1
            self.counts.samples_lost += missing
            yield from self._append(self._bridge(block.samples[0], missing), block)
        elif missing < 0:
            self.counts.samples_late += min(-missing, len(block.samples))
        fresh = block.samples[max(0, -missing) :]
        self.counts.samples += len(fresh)
        yield from self._append(fresh, block)

    def close(self) -> Iterator[Window]:
        """End the segment: yield the window that ends with its very last sample."""
        if self._next is not None and len(self._ring):
            yield self._window(closes=True)
        self._next = None

    def _begin(self, first_sample: int) -> None:
        self._segment += 1
        self._segment_start = self._next = first_sample
        self._ring.clear()

    def _append(self, rows: NDArray[np.float32], block: Block) -> Iterator[Window]:
        """Write rows up to each window's end in turn."""
        assert self._next is not None
        at = 0
        while at < len(rows):
            part = rows[at : at + self._until_window()]
            self._ring.write(part)
            at += len(part)
            self._next += len(part)
            self._newest = block
            if self._until_window() == self._hop and len(self._ring) == self._length:
                yield self._window(closes=False)

    def _until_window(self) -> int:
        """Samples until the next window is due: a whole hop where one is due now."""
        assert self._next is not None
        over = self._next - self._segment_start - self._length
        return -over if over < 0 else self._hop - over % self._hop

    def _bridge(self, after: NDArray[np.float32], missing: int) -> NDArray[np.float32]:
        before = self._ring.newest(1)[0]
        share = (np.arange(1, missing + 1, dtype=np.float32) / (missing + 1))[:, None]
        return np.asarray(before + share * (after - before), dtype=np.float32)

    def _window(self, closes: bool) -> Window:
        assert self._next is not None and self._newest is not None
        block = self._newest
        samples = self._ring.newest(len(self._ring))
        first = self._next - len(samples)
        ahead = (first - block.first_sample) * NANOSECONDS / self._rate_hz
        self.counts.windows += 1
        return Window(
            first_sample=first,
            start_time_ns=block.start_time_ns + round(ahead),
            samples=samples,
            rate_hz=self._rate_hz,
            clock=block.clock,
            degraded=block.degraded,
            segment=self._segment,
            closes_segment=closes,
            received_ns=block.received_ns,
        )
