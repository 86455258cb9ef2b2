"""Judge the objects of a file that stand where traces should, and read their attributes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import h5py

from .field_names import steads_name
from .fields import TraceError, by_steads_names
from .filters import missing_filter
from .heaps import UNREADABLE
from .values import plain

LONGEST_SAMPLES = 10_000_000
"""More than a day: a damaged header, or a record that would fill the memory."""


def dataset_problem(dataset: Any) -> str | None:
    """Return why an object of a file cannot be read as a trace, or None if it can."""
    if isinstance(dataset, h5py.Group):
        return (
            f"a group of {len(dataset)} objects, expected a dataset (samples, 3); STEAD keeps "
            "each trace at data/<trace_name>, without groups between"
        )
    shape = tuple(dataset.shape or ())
    if len(shape) == 2 and shape[0] == 3 and shape[1] != 3:
        return f"shape {shape}, expected (samples, 3) as E, N, Z; transpose it"
    if len(shape) == 3 and 3 in shape:
        return (
            f"shape {shape}, expected (samples, 3) as E, N, Z; a block of several traces, as "
            "SeisBench keeps them: write each of them as data/<trace_name>"
        )
    if len(shape) != 2 or shape[1] != 3 or shape[0] == 0:
        return f"shape {shape}, expected (samples, 3) as E, N, Z"
    if shape[0] > LONGEST_SAMPLES:
        return f"{shape[0]} samples; cut it to {LONGEST_SAMPLES} at most"
    if dataset.dtype.kind not in "iufb":
        return f"holds {dataset.dtype}, expected numbers"
    return missing_filter(dataset)


def read_attributes(name: str, dataset: Any, wanted: Collection[str]) -> dict[str, Any]:
    """Read those of some attributes that a trace's dataset has, whatever their capitals.

    Raises:
        TraceError: One is there twice, with different values.
    """
    attributes, names = dataset.attrs, frozenset(wanted)
    pairs = [(one, plain(attributes[one])) for one in attributes if steads_name(one) in names]
    fields, twice = by_steads_names(pairs)
    reject_twice(name, twice, names)
    return fields


def reject_twice(name: str, twice: Mapping[str, str], wanted: Collection[str]) -> None:
    """Reject a trace that states two values of a field: which of them is right, nobody knows."""
    for field_, both in twice.items():
        if field_ in wanted:
            raise TraceError(f"trace {name}: {both}; remove one of them")


def missing(group: Any, name: str, file_name: str) -> str:
    """Return why there is no dataset of a name, and the remedy."""
    try:
        link = group.get(name, getlink=True)
    except UNREADABLE:
        link = None
    if isinstance(link, h5py.ExternalLink):
        return f"a link to {link.path} in {link.filename}, which cannot be opened; copy it too"
    if isinstance(link, h5py.SoftLink):
        return f"a link to {link.path}, which is not in {file_name}; copy the trace itself"
    return f"not in {file_name}, or its header is damaged; download or copy the file again"


def found_in(file: Any) -> str:
    """Return what a file without traces has in their place."""
    names = [f"{name}/" if isinstance(file.get(name), h5py.Group) else str(name) for name in file]
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"found {shown}" if names else "it is empty"
