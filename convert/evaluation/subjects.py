"""Join a scored record with its event and what the file states about that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...edge.replay.heaps import GuardedHdf5
from ...edge.replay.labels import Labelled
from ...edge.replay.stead import SteadError, number, rows_of
from ...models.spec import RATE_HZ
from ..data.records import DataError, Record, event_of, read_attributes


@dataclass(frozen=True)
class Subject:
    """A scored record and what its scores are grouped by.

    Attributes:
        record: With its labels.
        event: `source_id` where the file has it, else the trace: what is resampled as a whole.
        facts: Of `FACTS`, those that are known.
    """

    record: Record
    event: str
    facts: Mapping[str, float]


FACTS: Mapping[str, tuple[float, ...]] = {
    "snr_db": (10, 20, 30, 40),
    "distance_km": (10, 25, 50, 100, 200),
    "magnitude": (1, 2, 3, 4),
    "s_minus_p_s": (2, 5, 10, 20),
}
"""What scores are broken down by, and where one bin ends and the next begins."""


FIELDS = ("source_id", "snr_db", "source_distance_km", "source_magnitude")
"""STEAD's, that are read of an event; of a million rows no more is kept."""


def facts_of(attributes: Mapping[str, Any], labels: Labelled, rate_hz: float) -> dict[str, float]:
    """Read an event's facts from STEAD's fields.

    Args:
        attributes: Of the trace, numbers also as STEAD's strings.
        labels: Of the trace.
        rate_hz: Its rate.
    """
    p, s = labels.p_arrival_sample, labels.s_arrival_sample
    found = {
        "snr_db": _mean(attributes.get("snr_db")),
        "distance_km": number(attributes.get("source_distance_km")),
        "magnitude": number(attributes.get("source_magnitude")),
    }
    if p is not None and s is not None:
        found["s_minus_p_s"] = (s - p) / rate_hz
    return {name: value for name, value in found.items() if value is not None}


def subject_of(record: Record, attributes: Mapping[str, Any]) -> Subject:
    """Join a record with the attributes of its trace.

    Args:
        record: Its place and labels.
        attributes: STEAD's fields of the trace.
    """
    event = event_of(attributes) or record.trace
    return Subject(record, event, facts_of(attributes, record, RATE_HZ))


class Catalogue:
    """Attributes of a file's traces, laid over the CSV of the same name beside it.

    Args:
        path: STEAD-layout HDF5.

    Raises:
        DataError: The CSV is not STEAD's. The HDF5 is for `index_stead` to judge.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None
        self._rows = _rows(path.with_suffix(".csv"))

    @property
    def has_table(self) -> bool:
        """Whether there is a CSV."""
        return self._rows is not None

    def lists(self, trace: str) -> bool:
        """Whether the CSV has a row of the trace."""
        return trace in (self._rows or {})

    def subject(self, record: Record) -> Subject:
        """Join a record with its attributes."""
        attributes = self._attributes(record.dataset)
        row = (self._rows or {}).get(record.trace, {})
        return subject_of(record, {**row, **attributes})

    def _attributes(self, dataset: str) -> dict[str, Any]:
        try:
            if self._file is None:
                self._file = GuardedHdf5(self._path)
            return read_attributes(self._file[dataset], FIELDS)
        except (OSError, KeyError, RuntimeError, ValueError):
            return {}  # a trace that cannot be read is counted where its waveform is


def _rows(table: Path) -> dict[str, dict[str, Any]] | None:
    if not table.is_file():
        return None
    try:
        return {
            row["trace_name"]: {x: row[x] for x in FIELDS if row.get(x)} for row in rows_of(table)
        }
    except SteadError as error:
        raise DataError(str(error)) from error


def _mean(value: Any) -> float | None:
    """Mean of STEAD's three numbers, `[56.8 55.4 47.4]` as text or as an array."""
    parts = str(value).replace(",", " ").strip("[] ").split() if value is not None else []
    numbers = [x for x in map(number, parts) if x is not None]
    return sum(numbers) / len(numbers) if numbers else None
