"""Read what a file states once for all of its traces: rate, unit, order of the components."""

from __future__ import annotations

from typing import Any

from .field_names import INTERVAL_FIELDS, RATE_FIELDS, UNIT_FIELDS
from .fields import by_steads_names
from .values import plain, stated

FORMAT_GROUP = "data_format"
"""SeisBench's group of datasets that describe the file."""
COMPONENT_ORDER = "component_order"
EXPECTED_ORDER = "ENZ"
RATES = frozenset((*RATE_FIELDS, *INTERVAL_FIELDS))
_READ = RATES | frozenset((*UNIT_FIELDS, COMPONENT_ORDER))


def fields_of(file: Any, group: Any) -> tuple[dict[str, Any], str]:
    """Return the fields of a file by their names in small letters, and what is wrong with them.

    Args:
        file: Open HDF5; its attributes and its `data_format` are read.
        group: That of the traces; its attributes are read.

    Returns:
        Rates, intervals and units; and a problem with its remedy, or nothing.
    """
    pairs = [pair for place in (group, file) for pair in place.attrs.items()]
    described = file.get(FORMAT_GROUP)
    if hasattr(described, "keys"):
        pairs += [(name, one[()]) for name, one in described.items() if hasattr(one, "dtype")]
    known = ((name, plain(value)) for name, value in pairs if name.lower() in _READ)
    fields, twice = by_steads_names(known)
    order = fields.pop(COMPONENT_ORDER, None)
    if stated(order) and str(order).strip().upper() != EXPECTED_ORDER:
        return fields, (
            f"{COMPONENT_ORDER} is {order!r}, expected {EXPECTED_ORDER!r}; put the columns of "
            "each trace in this order"
        )
    return fields, f"{next(iter(twice.values()))}; remove one of them" if twice else ""


def with_defaults(attributes: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return a trace's fields, with the file's rate and unit where it states none itself."""
    rates, units = RATES, frozenset(UNIT_FIELDS)
    for kind in (rates, units):
        if not any(stated(attributes.get(name)) for name in kind):
            attributes |= {name: value for name, value in defaults.items() if name in kind}
    return attributes
