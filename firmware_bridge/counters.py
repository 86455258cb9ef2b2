"""A counter that wraps at 2**bits becomes an integer that does not."""

from __future__ import annotations


def distance(new: int, old: int, bits: int) -> int:
    """Steps from ``old`` to ``new``, signed and the short way round a ``bits``-wide counter."""
    half = 1 << (bits - 1)
    return ((new - old + half) & ((1 << bits) - 1)) - half


def unwrap(value: int, near: int, bits: int) -> int:
    """The integer nearest to ``near`` that reads as ``value`` on a ``bits``-wide counter.

    After an outage pass what the counter should have reached by now (last value plus elapsed
    monotonic time times its rate): the answer is right as long as that guess is off by less
    than half a turn.
    """
    return near + distance(value, near, bits)


class Unwrapper:
    """Follows one wrapping counter.

    Attributes:
        last: the latest unwrapped value, or ``None`` before the first.
    """

    def __init__(self, bits: int) -> None:
        """Follows a counter that wraps at ``2**bits``."""
        self.bits = bits
        self.last: int | None = None

    def __call__(self, value: int, expected: int | None = None) -> int:
        """Unwraps ``value`` next to ``expected``, or next to the last value if none is given."""
        near = expected if expected is not None else self.last
        self.last = value if near is None else unwrap(value, near, self.bits)
        return self.last

    def restart(self) -> None:
        """Forgets the past, as after the device booted anew."""
        self.last = None
