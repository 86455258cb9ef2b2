"""Describe what a dataclass counts and measures, so that metrics are derived from its fields.

A field made by `counter`, `gauge` or `label` is published under its metric's name, with its help
text: in the health record, in Prometheus' text and in `docs/metrics.md`. Other fields are not.
What a value means for the node's state is a part of its description.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

Kind = Literal["counter", "gauge", "label"]
KEY = "measured"
REASON = "reason"


@dataclass(frozen=True)
class Limit:
    """When the value of a gauge degrades the node's state.

    Attributes:
        above: A value above this does.
        below: A value below this does; of a flag, 0 is False.
        lasts: Only where it has been so for `degraded_seconds`.
    """

    above: float | None = None
    below: float | None = None
    lasts: bool = False

    def is_passed(self, value: float) -> bool:
        """Whether a value does."""
        too_high = self.above is not None and value > self.above
        return too_high or (self.below is not None and value < self.below)


@dataclass(frozen=True)
class Measured:
    """What is published of a field.

    Attributes:
        metric: Key in the health record; Prometheus' name is `eqedge_<metric>`.
        kind: A counter starts at 0 with the program and only grows. A gauge or label that is None
            is unknown. A label is text.
        help: One sentence.
        digits: Decimals that are published; None for all.
        degrades: Effect on the node's state, None for none. Of a counter: it has grown by at least
            this much within `degraded_seconds`. Of a gauge: see `Limit`.
    """

    metric: str
    kind: Kind
    help: str
    digits: int | None = None
    degrades: int | Limit | None = None


def published(
    metric: str, kind: Kind, help: str, *, digits: int | None = None
) -> Mapping[str, Measured]:
    """Return the metadata of a field without a default: `field(metadata=published(...))`."""
    return {KEY: Measured(metric, kind, help, digits)}


def counter(
    metric: str, help: str, *, digits: int | None = None, degrades: int | None = None
) -> Any:
    """Make a field that counts from 0. Several fields of one metric are added."""
    described = Measured(metric, "counter", help, digits, degrades)
    return field(default=0, metadata={KEY: described})


def gauge(
    metric: str,
    help: str,
    *,
    default: Any = None,
    digits: int | None = None,
    degrades: Limit | None = None,
) -> Any:
    """Make a field for a value of the moment."""
    described = Measured(metric, "gauge", help, digits, degrades)
    return field(default=default, metadata={KEY: described})


def state_reason() -> Any:
    """Make a field for one line on why the node's state is degraded at present; empty if not."""
    return field(default="", metadata={REASON: True})


def reasons(counts: Any) -> Iterator[str]:
    """Yield the lines of a dataclass, and those of what its fields hold, that are not empty."""
    for one in fields(counts):
        value = getattr(counts, one.name)
        if one.metadata.get(REASON) and value:
            yield value
        elif KEY not in one.metadata and is_dataclass(value):
            yield from reasons(value)


def label(metric: str, help: str) -> Any:
    """Make a field for a text; None while there is none."""
    return field(default=None, metadata=published(metric, "label", help))


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
