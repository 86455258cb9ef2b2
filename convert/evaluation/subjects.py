"""Join a scored record with its event and what the file states about that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...edge.replay.fields import TraceError
from ...edge.replay.label_table import LabelTableError
from ...edge.replay.labels import Labelled
from ...edge.replay.selection import EVERYTHING, TraceSelection
from ...edge.replay.stead import SteadError
from ...edge.replay.values import number
from ...edge.replay.where import mean
from ...models.spec import RATE_HZ
from ..data.records import DataError, Record, event_of


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
        "snr_db": mean(attributes.get("snr_db")),
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
    """Fields of a file's traces, the HDF5's before the CSV's.

    Args:
        path: STEAD-layout HDF5.
        selection: Its CSV.

    Raises:
        DataError: The file or its CSV cannot be read.
    """

    def __init__(self, path: Path, selection: TraceSelection = EVERYTHING) -> None:
        try:
            self._file = selection.open(path)
        except (SteadError, LabelTableError) as error:
            raise DataError(str(error)) from error

    def subject(self, record: Record) -> Subject:
        """Join a record with its fields."""
        try:
            fields = self._file.fields(record.trace, FIELDS)[1]
        except TraceError:
            fields = {}  # a trace that cannot be read is counted where its waveform is
        return subject_of(record, fields)
