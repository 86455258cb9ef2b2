"""Read the fields of a trace as STEAD, SeisBench, ObsPy and spreadsheets write them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

import h5py
import numpy as np

from ... import EqedgeError
from ..types import NANOSECONDS
from ..utc import utc_ns
from .field_names import (
    INTERVAL_FIELDS,
    LABEL_FIELDS,
    RATE_FIELDS,
    START_FIELD,
    UNIT_FIELDS,
    steads_name,
)
from .labels import Labelled

STEAD_RATE_HZ = 100.0
"""STEAD's sampling rate; its files do not state it."""
HIGHEST_RATE_HZ = 10_000

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBERS = re.compile(rf"[\s\[(]*({_NUMBER})(?:[\s,;]+{_NUMBER})*[\s\])]*")
_DECIMAL_COMMA = re.compile(r"\s*([-+]?\d+),(\d+)\s*")
_RATE = re.compile(rf"({_NUMBER})\s*(?:hz|hertz|sps|samples/s)", re.IGNORECASE)
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


class TraceError(EqedgeError):
    """One trace of a file cannot be used; the others can."""


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


def by_steads_names(pairs: Iterable[tuple[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return fields by STEAD's names, in small letters: programs write `Sampling_Rate_Hz` too.

    Args:
        pairs: Names and values; of one name the first that is stated counts.

    Returns:
        The fields, and for each that is stated twice with different values a text with both.
    """
    fields: dict[str, Any] = {}
    written: dict[str, str] = {}
    twice: dict[str, str] = {}
    for name, value in pairs:
        key = steads_name(name)
        if key not in fields or (stated(value) and not stated(fields[key])):
            fields[key], written[key] = value, name
        elif stated(value) and differ(key, fields[key], value):
            both = f"{written[key]} {shown(fields[key])} and {name} {shown(value)} differ"
            twice.setdefault(key, both)
    return fields, twice


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


def rate_of(name: str, attributes: Mapping[str, Any]) -> float:
    """Return samples a second: what the attributes state, else STEAD's.

    Raises:
        TraceError: A stated value is not a sampling rate, or two contradict each other.
    """
    found: dict[str, float] = {}
    for key in (*RATE_FIELDS, *INTERVAL_FIELDS):
        value = plain(attributes.get(key))
        if not stated(value):
            continue
        rate = _rate(value)
        if rate and key in INTERVAL_FIELDS:
            rate = round(1 / rate, 4)
        if rate is None or not 0 < rate <= HIGHEST_RATE_HZ:
            raise TraceError(
                f"trace {name}: {key} {shown(value)} is not a sampling {_kind(key)}; "
                "write the number alone"
            )
        found[key] = rate
    if not found:
        return STEAD_RATE_HZ
    (first, rate), *others = found.items()
    for key, other in others:
        if abs(other - rate) > 1e-3 * rate:
            raise TraceError(
                f"trace {name}: {first} states {rate:g} Hz, {key} {other:g} Hz; remove one of them"
            )
    return rate


def labels_of(name: str, attributes: Mapping[str, Any]) -> Labelled:
    """Return a trace's labels as they are stated, also those that lie outside it.

    `trace_category` decides whether it is noise; where that is not stated, the end `_NO` of its
    name does.
    """
    category = text_of(attributes, "trace_category").lower()
    noise = category == "noise" or (not category and name.endswith("_NO"))
    p, s, coda = (number(attributes.get(field)) for field in LABEL_FIELDS)
    return Labelled(
        kind="noise" if noise else "event",
        p_arrival_sample=p,
        s_arrival_sample=s,
        coda_end_sample=coda if coda is None or p is None or p < coda else None,
        manual=(text_of(attributes, "p_status").lower() or "manual") == "manual",
    )


def has_unreadable_label(attributes: Mapping[str, Any]) -> bool:
    """Whether a label is stated and is not a number."""
    return any(
        stated(attributes.get(field)) and number(attributes[field]) is None
        for field in LABEL_FIELDS
    )


def unreadable_fields(attributes: Mapping[str, Any]) -> list[str]:
    """Return a text for each label or time that is stated and cannot be read."""
    odd = [
        f"{field} {shown(attributes[field])} is not a number, so there is no such label"
        for field in LABEL_FIELDS
        if stated(attributes.get(field)) and number(attributes[field]) is None
    ]
    if stated(attributes.get(START_FIELD)) and parse_time(attributes[START_FIELD]) is None:
        odd.append(
            f"{START_FIELD} {shown(attributes[START_FIELD])} cannot be read; "
            "write it as 2026-01-31 23:59:59.000000"
        )
    return odd


def text_of(attributes: Mapping[str, Any], field: str) -> str:
    """Return a field as text without spaces around it, empty where it is not stated."""
    value = plain(attributes.get(field))
    return str(value).strip() if stated(value) else ""


def unit_of(attributes: Mapping[str, Any]) -> str:
    """Return the unit of the samples as it is written, empty where none is stated."""
    return next((unit for field in UNIT_FIELDS if (unit := text_of(attributes, field))), "")


def differ(field: str, one: Any, other: Any) -> bool:
    """Whether two stated values of a field mean different things."""
    if field == START_FIELD:
        return parse_time(one) != parse_time(other)
    a, b = number(one), number(other)
    if a is not None and b is not None:
        return abs(a - b) > 1e-6 * max(1.0, abs(a))
    return str(plain(one)).strip().lower() != str(plain(other)).strip().lower()


def _rate(value: Any) -> float | None:
    """Return one number; None also for a truth value and for several numbers that differ."""
    if isinstance(value, bool) or (isinstance(value, list) and len(np.unique(value)) > 1):
        return None
    found = _RATE.fullmatch(value.strip(" []")) if isinstance(value, str) else None
    return float(found[1]) if found else number(value)


def _kind(key: str) -> str:
    return "interval" if key in INTERVAL_FIELDS else "rate"


def shown(value: Any) -> str:
    """Return a value as a message has it: 60 characters at most."""
    text = repr(plain(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


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
