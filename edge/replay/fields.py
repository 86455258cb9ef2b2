"""Read the fields of a trace as STEAD, SeisBench, ObsPy and spreadsheets write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ... import EqedgeError
from .field_names import (
    INTERVAL_FIELDS,
    LABEL_FIELDS,
    RATE_FIELDS,
    START_FIELD,
    UNIT_FIELDS,
    steads_name,
)
from .labels import Labelled
from .values import NUMBER, number, parse_time, plain, shown, stated

STEAD_RATE_HZ = 100.0
"""STEAD's sampling rate; its files do not state it."""
HIGHEST_RATE_HZ = 10_000

_RATE = re.compile(rf"({NUMBER})\s*(?:hz|hertz|sps|samples/s)", re.IGNORECASE)


class TraceError(EqedgeError):
    """One trace of a file cannot be used; the others can."""


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
    read = _rate if field in RATE_FIELDS else number
    a, b = read(one), read(other)
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
