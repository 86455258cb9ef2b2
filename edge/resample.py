"""Resample blocks to the model's rate; how the stream is cut does not change a sample.

Rates are taken in whole millihertz, so the ratio is a fraction, up / down, and each new sample lies
at one of `up` places between two old ones: a filter for each place is made once (polyphase). The
filters are symmetric about the new sample's own time, so no time is shifted. It costs a delay: half
a filter's length of signal must follow a sample before it can be computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .. import EqedgeError
from .types import Block, ClockState

PASS_SHARE = 0.4
"""Of the lower rate: what lies below this frequency passes untouched."""
STOP_SHARE = 0.6
"""What lies above is gone. Between the two it may fold back, to no lower than PASS_SHARE."""
STOP_DB = 80.0
"""How far down it is."""
SAME_RATE = 1e-3
"""Rates that differ by less are taken for the same: a nominal 100 Hz is never exact."""
LOWEST_HZ, HIGHEST_HZ = 20.0, 2000.0
MOST_PLACES = 2000
"""Filters kept for one ratio; 62.501 Hz to 100 Hz would take 100,000 of them."""


_NO_CLOCK = ClockState(source="", synced=False)


class RateError(EqedgeError):
    """The sensor's rate cannot be resampled to the model's."""


@dataclass(frozen=True, eq=False)
class Polyphase:
    """The filters for one pair of rates.

    Attributes:
        up: New sample n lies at old sample n * down / up.
        down: As above.
        taps: (up, 2 * reach), the filter of each place; each sums to 1.
        reach: Old samples that a filter needs on either side.
    """

    up: int
    down: int
    taps: NDArray[np.float64]
    reach: int


def same_rate(rate_hz: float, wanted_hz: float) -> bool:
    """Whether samples can be taken as they are."""
    return abs(rate_hz - wanted_hz) <= SAME_RATE * wanted_hz


def ratio_of(rate_hz: float, wanted_hz: float) -> Fraction:
    """Return the ratio of two rates; it takes no time, unlike the filters for it.

    Args:
        rate_hz: Of the samples there are.
        wanted_hz: Of the samples wanted.

    Raises:
        RateError: The rate is out of range, or no fraction of reasonable size is near the ratio.
    """
    ratio = Fraction(round(wanted_hz * 1000), max(1, round(rate_hz * 1000)))
    if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ or ratio.numerator > MOST_PLACES:
        raise RateError(
            f"{rate_hz:g} Hz cannot be turned into the model's {wanted_hz:g} Hz; set the sensor's "
            f"rate to one from {LOWEST_HZ:g} to {HIGHEST_HZ:g} Hz in a simple ratio to it, such as "
            "50, 62.5, 100, 125, 200, 250 or 500 Hz"
        )
    return ratio


@lru_cache(maxsize=4)
def polyphase(rate_hz: float, wanted_hz: float) -> Polyphase:
    """Design the filters: a sinc under a Kaiser window.

    Args:
        rate_hz: Of the samples there are.
        wanted_hz: Of the samples wanted.

    Raises:
        RateError: The rate is out of range, or no fraction of reasonable size is near the ratio.
    """
    ratio = ratio_of(rate_hz, wanted_hz)
    up, down = ratio.numerator, ratio.denominator
    lower_hz = min(rate_hz, wanted_hz)
    transition = 2 * np.pi * (STOP_SHARE - PASS_SHARE) * lower_hz / rate_hz
    reach = int(np.ceil((STOP_DB - 7.95) / (2.285 * transition) / 2))
    beta = 0.1102 * (STOP_DB - 8.7)
    cycles = (PASS_SHARE + STOP_SHARE) / 2 * lower_hz / rate_hz
    place = (np.arange(up) / up)[:, None]
    distance = np.arange(1 - reach, reach + 1) - place
    inside = np.sqrt(np.maximum(0.0, 1 - (distance / reach) ** 2))
    taps = np.sinc(2 * cycles * distance) * np.i0(beta * inside)
    return Polyphase(up, down, taps / taps.sum(axis=1, keepdims=True), reach)


def resampled(
    samples: NDArray[np.floating], rate_hz: float, wanted_hz: float
) -> NDArray[np.float64]:
    """Resample a whole record as a node would.

    Args:
        samples: (n, 3), at least one.
        rate_hz: Their rate.
        wanted_hz: The rate wanted.

    Returns:
        (ceil(n * wanted_hz / rate_hz), 3); sample 0 is sample 0.

    Raises:
        RateError: The rate cannot be turned into the other.
    """
    offset = samples.astype(np.float64).mean(axis=0)  # float32 would round what rides on it
    block = Block(
        first_sample=0,
        start_time_ns=0,
        samples=(samples - offset).astype(np.float32),
        clock=_NO_CLOCK,
        rate_hz=rate_hz,
    )
    resampler = Resampler(wanted_hz)
    parts = [part.samples for part in (*resampler.push(block), *resampler.close())]
    return np.asarray(np.concatenate(parts) + offset, np.float64)


class Resampler:
    """Follows the stream; its result depends on the samples alone, not on how they are cut.

    The new samples are counted on a grid of their own whose sample 0 is the sensor's sample 0. A
    segment that begins or breaks off is continued by its first or last sample for the filter's
    sake, so every segment is as long after as before.

    Args:
        rate_hz: The model's.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._newest: Block | None = None
        self._rows = np.zeros((3, 0))
        self._first = 0
        self._next = 0

    def push(self, block: Block) -> Iterator[Block]:
        """Take a block, contiguous within its segment; yield what it makes known."""
        if self._newest is not None and block.segment != self._newest.segment:
            yield from self.close()
        if same_rate(block.rate_hz, self._rate_hz) or not len(block.samples):
            yield block
            return
        filters = polyphase(block.rate_hz, self._rate_hz)
        rows = block.samples.T.astype(np.float64)
        if self._newest is None:
            self._next = -(-block.first_sample * filters.up // filters.down)
            self._first = block.first_sample - filters.reach
            self._rows = np.repeat(rows[:, :1], filters.reach, axis=1)
        self._newest = block
        yield from self._extend(rows, filters)

    def close(self) -> Iterator[Block]:
        """End the segment: yield its last samples."""
        if self._newest is not None:
            filters = polyphase(self._newest.rate_hz, self._rate_hz)
            yield from self._extend(np.repeat(self._rows[:, -1:], filters.reach, axis=1), filters)
        self._newest = None

    def _extend(self, rows: NDArray[np.float64], filters: Polyphase) -> Iterator[Block]:
        """Append old samples, (3, n); yield the new ones that can be known now."""
        assert self._newest is not None
        self._rows = np.concatenate([self._rows, rows], axis=1)
        known = self._first + self._rows.shape[1] - filters.reach
        end = -(-known * filters.up // filters.down)
        if end <= self._next:
            return
        places = np.arange(self._next, end) * filters.down
        before = places // filters.up
        samples = _filtered(
            self._rows, before - self._first - filters.reach + 1, filters.taps[places % filters.up]
        )
        block, first, self._next = self._newest, self._next, end
        after = (first * filters.down - block.first_sample * filters.up) / filters.up
        kept = int(end * filters.down // filters.up) - filters.reach + 1 - self._first
        if kept > 0:
            self._rows = self._rows[:, kept:]
            self._first += kept
        yield replace(
            block,
            first_sample=first,
            start_time_ns=block.time_ns(after),
            samples=samples,
            rate_hz=self._rate_hz,
        )


def _filtered(
    rows: NDArray[np.float64], starts: NDArray[np.int64], taps: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Weigh (3, n) rows by one filter a start; (len(starts), 3).

    Product and sum are kept apart, and the sum runs along memory: so each result is rounded the
    same however many are computed at a time, as a matrix product's would not be.
    """
    stretches = sliding_window_view(rows, taps.shape[1], axis=1)
    products = np.empty((3, *taps.shape))
    np.multiply(stretches[:, starts], taps, out=products)
    return np.ascontiguousarray(products.sum(axis=-1).T, dtype=np.float32)
