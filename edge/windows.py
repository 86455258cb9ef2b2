"""Cut blocks into overlapping windows, by a ring buffer whose newest rows are contiguous."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .settings.node import WindowSettings
from .settings.validation import SettingsError
from .types import Block, Window


class Ring:
    """The newest samples, readable as one array without copying.

    Rows are written forward into a buffer made once; when its end is reached, the newest window is
    moved to the front. In a buffer of n windows a row is thus moved once in n - 1 windows' time.

    Args:
        capacity: Rows that can be read back.
        rows: Length of the buffer, at least twice the capacity.
        columns: Width of a row.
    """

    def __init__(self, capacity: int, rows: int, columns: int = 3) -> None:
        self._capacity = capacity
        self._rows = np.zeros((rows, columns), dtype=np.float32)
        self._end = 0
        self._filled = 0

    def __len__(self) -> int:
        """Rows that can be read back now, at most the capacity."""
        return self._filled

    def write(self, rows: NDArray[np.float32]) -> None:
        """Append at most `capacity` rows."""
        if self._end + len(rows) > len(self._rows):
            kept = self.newest(self._filled)
            self._rows[: len(kept)] = kept
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


class Windower:
    """Cuts each segment into windows of `length` samples, one every hop.

    The windows depend on the samples alone, not on how they were portioned into blocks: the first
    comes when the segment has warmed up, then one follows every hop, and one lies at the end of
    the segment, so that its last samples are seen too. While a segment is shorter than a window,
    so are its windows.

    Args:
        length: Samples of a window.
        rate_hz: Samples a second.
        settings: Hop, warm-up and length of the buffer.

    Raises:
        SettingsError: The hop is longer than a window and would leave samples unseen, or the
            buffer is too short.
    """

    def __init__(self, length: int, rate_hz: float, settings: WindowSettings) -> None:
        self._rate_hz = rate_hz
        self._hop = max(1, round(settings.hop_seconds * rate_hz))
        if self._hop > length:
            raise SettingsError(
                f"hop {settings.hop_seconds:g} s is longer than the model's window of "
                f"{length / rate_hz:g} s and leaves samples unseen; use a shorter hop"
            )
        rows = round(settings.buffer_seconds * rate_hz)
        if rows < 2 * length:
            raise SettingsError(
                f"buffer_seconds {settings.buffer_seconds:g}: the model's window is "
                f"{length / rate_hz:g} s; use {2 * length / rate_hz:g} or more"
            )
        self._warm_up = length
        if settings.warm_up_seconds is not None:
            self._warm_up = min(length, max(1, round(settings.warm_up_seconds * rate_hz)))
        self._length = length
        self._ring = Ring(length, rows)
        self._written = 0
        self._newest: Block | None = None

    def push(self, block: Block) -> Iterator[Window]:
        """Take a block; yield the windows it completes, each valid until the next is requested."""
        if self._newest is None or block.segment != self._newest.segment:
            yield from self.close()
            self._ring.clear()
            self._written = 0
        self._newest = block
        rows, at = block.samples, 0
        while at < len(rows):
            part = rows[at : at + min(self._until_window(), self._length)]
            self._ring.write(part)
            at += len(part)
            self._written += len(part)
            if self._written >= self._warm_up and self._until_window() == self._hop:
                yield self._window(block.first_sample + at, closes=False)

    def close(self) -> Iterator[Window]:
        """End the segment: yield the window that ends with its very last sample."""
        if self._newest is not None and len(self._ring):
            yield self._window(self._newest.first_sample + len(self._newest.samples), closes=True)
        self._newest = None

    def _until_window(self) -> int:
        """Samples until the next window is due: a whole hop where one is due now."""
        over = self._written - self._warm_up
        return -over if over < 0 else self._hop - over % self._hop

    def _window(self, end: int, closes: bool) -> Window:
        assert self._newest is not None
        block = self._newest
        samples = self._ring.newest(len(self._ring))
        first = end - len(samples)
        return Window(
            first_sample=first,
            start_time_ns=block.time_ns(first - block.first_sample),
            samples=samples,
            rate_hz=self._rate_hz,
            clock=block.clock,
            degraded=block.degraded,
            segment=block.segment,
            closes_segment=closes,
            received_ns=block.received_ns,
            rate_factor=block.rate_factor * block.rate_hz / self._rate_hz,
        )
