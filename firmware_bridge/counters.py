"""Unwrap counters that start again from zero at 2**bits."""

from __future__ import annotations


def distance(new: int, old: int, bits: int) -> int:
    """Return the steps from `old` to `new`, signed, the short way round a `bits`-wide counter."""
    half = 1 << (bits - 1)
    return ((new - old + half) & ((1 << bits) - 1)) - half


def unwrap(value: int, near: int, bits: int) -> int:
    """Return the integer nearest to `near` that a `bits`-wide counter shows as `value`.

    After an outage, pass the value that the counter should have reached by now (last value plus
    elapsed monotonic time times its rate): the result is right while that estimate is off by
    less than half a turn.
    """
    return near + distance(value, near, bits)


class Unwrapper:
    """Follows one wrapping counter.

    Attributes:
        last: The latest unwrapped value, or `None` before the first.
    """

    def __init__(self, bits: int) -> None:
        """Follow a counter that wraps at `2**bits`."""
        self.bits = bits
        self.last: int | None = None

    def __call__(self, value: int, expected: int | None = None) -> int:
        """Unwrap `value` next to `expected`, or next to the last value if none is given."""
        near = expected if expected is not None else self.last
        self.last = value if near is None else unwrap(value, near, self.bits)
        return self.last

    def restart(self) -> None:
        """Forget the last value, as after the device has booted again."""
        self.last = None
