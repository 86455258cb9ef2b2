"""Keep an index from one run to the next: opening STEAD's 1.2 million traces takes time."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from ...edge.files import written_whole
from ...edge.replay.selection import TraceSelection
from .kept import file_state, kept_name
from .records import Index, Record

SCHEMA = 6
NUMBERS = ("first", "n_samples", "p_arrival_sample", "s_arrival_sample", "coda_end_sample")
SHARED = ("path", "station", "source", "kind", "event")
"""Texts that many records have in common, kept once."""


def kept_index(
    path: Path, folder: Path, make: Callable[..., Index], selection: TraceSelection | None = None
) -> Index:
    """Return a data file's index, from `folder` if neither file nor CSV changed since.

    Args:
        path: HDF5 file.
        folder: Where indexes are kept; one that cannot be written is done without.
        make: Makes the index of a path, and of a selection if one is given; its name is part of
            what is kept.
        selection: Of the traces.

    Raises:
        DataError: As `make` does.
    """
    kept = folder / kept_name(path, "index.csv")
    state = _state(path, make, selection)
    index = _read(kept, state)
    if index is None:
        index = make(path) if selection is None else make(path, selection)
        _write(kept, state, index)
    return index


def _state(
    path: Path, make: Callable[..., Index], selection: TraceSelection | None
) -> dict[str, Any]:
    table = selection.labels if selection and selection.labels else path.with_suffix(".csv")
    stamps = [file_state(f) if f.exists() else None for f in (path, table)]
    chosen = [str(table)]
    if selection is not None:
        chosen += [str(selection.where), str(selection.traces)]
        chosen += [str(selection.seed)] if selection.traces is not None else []
    return {
        "schema": SCHEMA,
        "by": make.__name__,
        "path": str(path),
        "files": stamps,
        "selection": chosen,
    }


def _read(kept: Path, state: dict[str, Any]) -> Index | None:
    try:
        with kept.open(newline="") as file:
            header = json.loads(file.readline())
            if header["state"] != state:
                return None
            records = [_record(row) for row in csv.DictReader(file)]
            whole = len(records) == header["records"]
            if not whole:
                return None
            return Index(records, Counter(header["skipped"]), remarks=header["remarks"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _record(row: dict[str, Any]) -> Record:
    values: dict[str, Any] = dict(row)
    for name in NUMBERS:
        values[name] = int(row[name]) if row[name] else None
    for name in SHARED:
        values[name] = sys.intern(row[name])
    values["rate_hz"] = float(row["rate_hz"])
    return Record(**{**values, "manual": row["manual"] == "True"})


def _write(kept: Path, state: dict[str, Any], index: Index) -> None:
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(kept) as unfinished, unfinished.open("w", newline="") as file:
            header = {
                "records": len(index.records),
                "skipped": dict(index.skipped),
                "remarks": index.remarks,
            }
            file.write(json.dumps({"state": state, **header}) + "\n")
            rows = csv.writer(file)
            rows.writerow([field.name for field in fields(Record)])
            rows.writerows(astuple(record) for record in index.records)
