"""Turn nanoseconds since 1970 into UTC as a moment or as text, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_moment(time_ns: int) -> datetime:
    """Return the moment, its microseconds rounded down.

    Args:
        time_ns: Nanoseconds since 1970.

    Raises:
        OverflowError: The year is not one of 1 to 9999.
    """
    return EPOCH + timedelta(microseconds=time_ns // 1000)


def utc_ns(moment: datetime) -> int:
    """Return nanoseconds since 1970.

    Args:
        moment: With its time zone.

    Raises:
        TypeError: It has no time zone.
    """
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def utc_text(time_ns: int) -> str:
    """Return UTC as `2026-11-23T01:14:27.123456Z`."""
    return f"{utc_moment(time_ns):%Y-%m-%dT%H:%M:%S.%f}Z"


def stead_text(moment: datetime) -> str:
    """Return UTC as STEAD's `trace_start_time` has it: `2026-11-23 01:14:27.123456`."""
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"
