"""Read one value of a field: a number, a text or a time in the forms in which programs write it."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, time, timedelta
from typing import Any

import h5py
import numpy as np

from ..types import NANOSECONDS
from ..utc import utc_ns

NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
"""Matches a text in one way only: with several, rows of digits before other text take for ever."""
_NUMBERS = re.compile(rf"[\s\[(]*({NUMBER})(?:[\s,;]+{NUMBER})*[\s\])]*")
_DECIMAL_COMMA = re.compile(r"\s*([-+]?\d+),(\d+)\s*")
_TIME = re.compile(
    r"(\d{4})(?:(?P<dash>[-/.]?)(\d\d)(?P=dash)(\d\d)|[-/.,]?(\d{3}))"
    r"(?:[T ,]\s*(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?"
    r"\s*(Z|UTC|GMT|[-+]\d\d(?::?\d\d)?)?",
    re.IGNORECASE,
)
_NOT_STATED = {"", "none", "nan", "nat", "na", "n/a", "<na>", "null"}
LEAST_SECONDS = 1e7
"""Since 1970; below it a number is a year, a spreadsheet's day or a count of something else."""
LATEST_NS = utc_ns(datetime(2200, 1, 1, tzinfo=UTC))
_UNITS_PER_SECOND = ((1e11, 1), (1e14, 10**3), (1e17, 10**6), (1e20, 10**9))
"""Numbers below the first are seconds since 1970, below the second milliseconds, and so on."""


def plain(value: Any) -> Any:
    """Return an attribute as a Python value: an array of one as that one, bytes as text."""
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size == 1 else value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def stated(value: Any) -> bool:
    """Whether a field holds something: not empty, None, NaN, or a text that stands for them."""
    value = plain(value)
    if value is None or (isinstance(value, list) and not value):
        return False
    return str(value).strip().lower() not in _NOT_STATED


def shown(value: Any) -> str:
    """Return a value as a message has it: 60 characters at most."""
    text = repr(plain(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def number(value: Any) -> float | None:
    """Read a number: 700.0, '700', '700,0', '[[2896.]]', [[2896.]]; of several the first.

    Returns:
        None where it is not stated or is anything else, also a number followed by other text.
    """
    value = plain(value)
    if isinstance(value, str):
        if comma := _DECIMAL_COMMA.fullmatch(value):
            value = f"{comma[1]}.{comma[2]}"
        found = _NUMBERS.fullmatch(value)
        value = found[1] if found else math.nan
    try:
        first = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        return None
    return float(first[0]) if first.size and math.isfinite(first[0]) else None


def parse_time(value: Any) -> int | None:
    """Read a UTC time.

    Args:
        value: Text in an ISO form (`2020-01-07 08:24:26.12`, also with slashes, with a zone, to the
            minute or the day, compact, or by the day of the year), or a number since 1970 in
            seconds (ten millions at least), milliseconds, microseconds or nanoseconds. A leap
            second is the second after.

    Returns:
        Nanoseconds since 1970, or None where it is no time of 1900 to 2199.
    """
    value = plain(value)
    text = str(value).strip()
    if found := _TIME.fullmatch(text):
        return _of_parts(found)
    return None if isinstance(value, bool) else _since_1970(value)


def _of_parts(found: re.Match[str]) -> int | None:
    year, _, month, day, day_of_year, hour, minute, second, fraction, zone = found.groups()
    leap = (hour, minute, second) == ("23", "59", "60")
    begin = f"{year}{month}{day}" if month else f"{year}{day_of_year}"
    try:
        moment = datetime.strptime(begin, "%Y%m%d" if month else "%Y%j").replace(tzinfo=UTC)
        if moment.year != int(year):
            return None  # day 366 of a year that has 365
        clock = time(int(hour or 0), int(minute or 0), 59 if leap else int(second or 0))
        moment = datetime.combine(moment, clock, UTC) + timedelta(seconds=leap) - _offset(zone)
    except (ValueError, OverflowError):
        return None
    if not 1900 <= moment.year < 2200:  # no seismogram, and beyond what a node can date
        return None
    return utc_ns(moment) + int((fraction or "0")[:9].ljust(9, "0"))


def _offset(zone: str | None) -> timedelta:
    """Return how far a zone is ahead of UTC."""
    if zone is None or zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return ahead if zone[0] == "+" else -ahead


def _since_1970(value: Any) -> int | None:
    """Read a number since 1970."""
    count = value if isinstance(value, int) else number(value)
    if count is None or count < LEAST_SECONDS:
        return None
    for limit, per_second in _UNITS_PER_SECOND:
        if count < limit:
            whole = int(count)
            scale = NANOSECONDS // per_second
            time_ns = whole * scale + round((count - whole) * scale / 1000) * 1000
            return time_ns if time_ns < LATEST_NS else None
    return None
