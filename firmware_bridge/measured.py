"""Describe what a dataclass counts and measures, so that metrics are derived from its fields.

A field made by `counter`, `gauge` or `label` is published under its metric's name, with its help
text: in the health record, in Prometheus' text and in `docs/metrics.md`. Other fields are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

Kind = Literal["counter", "gauge", "label"]
KEY = "measured"


@dataclass(frozen=True)
class Measured:
    """What is published of a field.

    Attributes:
        metric: Key in the health record; Prometheus' name is `eqedge_<metric>`.
        kind: A counter starts at 0 with the program and only grows. A gauge or label that is None
            is unknown. A label is text.
        help: One sentence.
        digits: Decimals that are published; None for all.
    """

    metric: str
    kind: Kind
    help: str
    digits: int | None = None


def published(
    metric: str, kind: Kind, help: str, *, digits: int | None = None
) -> Mapping[str, Measured]:
    """Return the metadata of a field without a default: `field(metadata=published(...))`."""
    return {KEY: Measured(metric, kind, help, digits)}


def counter(metric: str, help: str, *, digits: int | None = None) -> Any:
    """Make a field that counts from 0. Several fields of one metric are added."""
    return field(default=0, metadata=published(metric, "counter", help, digits=digits))


def gauge(metric: str, help: str, *, default: Any = None, digits: int | None = None) -> Any:
    """Make a field for a value of the moment."""
    return field(default=default, metadata=published(metric, "gauge", help, digits=digits))


def descriptions(counts: type) -> Iterator[Measured]:
    """Yield what a dataclass publishes, and what those that its fields hold by default do."""
    for one in fields(counts):
        if KEY in one.metadata:
            yield one.metadata[KEY]
        elif isinstance(one.default_factory, type) and is_dataclass(one.default_factory):
            yield from descriptions(one.default_factory)


def values(counts: Any) -> Iterator[tuple[Measured, Any]]:
    """Yield the same of an instance, with the values, rounded."""
    for one in fields(counts):
        value = getattr(counts, one.name)
        if KEY in one.metadata:
            description: Measured = one.metadata[KEY]
            is_whole = value is None or description.digits is None
            yield description, value if is_whole else round(value, description.digits)
        elif is_dataclass(value):
            yield from values(value)
