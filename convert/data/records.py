"""Describe the records of data files, and which of them are held out of training."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ... import EqedgeError
from ...edge.replay.fields import text_of
from ...edge.replay.labels import Labelled
from ...models.spec import RATE_HZ

CONTINUOUS_SAMPLES = 360_000
"""Continuous records are indexed in stretches of an hour, each one window longer than that."""
HELD_OUT_PERCENT = 20
Split = Literal["station", "event"]
"""What is kept from training as a whole, never a trace alone. Its name salts the hash; the first
was chosen before any training so that each development set has stations on both sides."""


class DataError(EqedgeError):
    """A file has no record that training could use."""


@dataclass(frozen=True, slots=True)
class Record(Labelled):
    """A labelled stretch of waveform in a file: where it is stored, and whose it is."""

    path: str
    """The HDF5 file."""
    dataset: str
    """Path of the (n, 3) dataset inside it, components E, N, Z."""
    first: int
    """First sample of the stretch inside the dataset, at the dataset's rate."""
    n_samples: int
    """Length of the stretch at 100 Hz, at which its labels are too."""
    station: str
    """Both codes in alphabetical order, since sources disagree which one comes first."""
    source: str
    """Data set it belongs to, for scores a set."""
    event: str = ""
    """STEAD's `source_id`; empty where it has none, as noise has."""
    rate_hz: float = RATE_HZ
    """Of the dataset; it is resampled when it is read."""

    @property
    def trace(self) -> str:
        """STEAD's `trace_name`, or the path of a continuous record's dataset."""
        return self.dataset.removeprefix("data/")

    @property
    def key(self) -> str:
        """Name that is unique within the file."""
        return f"{self.dataset}@{self.first}"


@dataclass
class Index:
    """Records of some files, what was left out and why, and what training is kept from."""

    records: list[Record] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    split: Split = "station"
    remarks: list[str] = field(default_factory=list)
    """Lines for people: what a CSV selects, and where it differs from the HDF5."""

    def training(self) -> list[Record]:
        """Records that are not held out."""
        return [record for record in self.records if not self.keeps(record)]

    def held_out(self) -> list[Record]:
        """Records of stations, or events, that training never sees."""
        return [record for record in self.records if self.keeps(record)]

    def keeps(self, record: Record) -> bool:
        """Whether a record is kept from training; one of no event always by its station."""
        if self.split == "event" and record.event:
            return held_out(record.event, "event")
        return held_out(record.station)


@cache
def held_out(name: str, split: Split = "station") -> bool:
    """Whether a station or event is kept from training: by a hash of its name alone, for good."""
    digest = hashlib.sha256(f"{split}:{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < HELD_OUT_PERCENT


def split_by_event(index: Index) -> Index:
    """Hold out events instead of stations; an earthquake that names none is left out.

    Raises:
        DataError: No earthquake has a `source_id`.
    """
    known = [record for record in index.records if record.event or record.kind != "event"]
    if not any(record.event for record in known):
        raise DataError(
            "--split event: no earthquake of the data has a source_id; split by station"
        )
    nameless = Counter({"earthquake without a source_id": len(index.records) - len(known)})
    return Index(known, index.skipped + nameless, "event", index.remarks)


def station_key(network: str, station: str) -> str:
    """One name for a station whichever way round its codes are given."""
    return ".".join(sorted((network.strip().upper(), station.strip().upper())))


def station_of(name: str, attributes: Mapping[str, Any]) -> str:
    """Station of a trace: from its attributes, else from the codes its name begins with."""
    network, station = text_of(attributes, "network_code"), text_of(attributes, "receiver_code")
    if network and station:
        return station_key(network, station)
    codes = re.match(r"(?:.*__)?([A-Za-z0-9]+)[._]([A-Za-z0-9]+)_", name)
    return station_key(*codes.groups()) if codes else name


def event_of(attributes: Mapping[str, Any]) -> str:
    """STEAD's `source_id`, or nothing: its noise has None there."""
    return text_of(attributes, "source_id")


def merge(indexes: list[Index]) -> Index:
    """All records, all reasons and all remarks."""
    merged = Index()
    for index in indexes:
        merged.records.extend(index.records)
        merged.skipped.update(index.skipped)
        merged.remarks.extend(index.remarks)
    return merged


def record_of(
    path: Path,
    name: str,
    n_samples: int,
    labels: Labelled,
    attributes: Mapping[str, Any],
    rate_hz: float = RATE_HZ,
) -> Record:
    """Return the record of a whole trace, its labels at whole samples; noise has none.

    Args:
        path: The HDF5 file.
        name: Of the trace.
        n_samples: Its length at the rate of scores.
        labels: At that rate.
        attributes: Those of `FIELDS` that are known.
        rate_hz: Of the dataset.
    """
    noise = labels.is_noise
    inside = labels.inside(0, n_samples)
    p, s, coda = (
        None if sample is None or noise else min(round(sample), last)
        for sample, last in (
            (inside.p_arrival_sample, n_samples - 1),
            (inside.s_arrival_sample, n_samples - 1),
            (inside.coda_end_sample, n_samples),
        )
    )
    return Record(
        path=str(path),
        dataset=f"data/{name}",
        first=0,
        n_samples=n_samples,
        station=sys.intern(station_of(name, attributes)),
        source=sys.intern(text_of(attributes, "source_set") or path.stem),
        event="" if noise else sys.intern(event_of(attributes)),
        kind=labels.kind,
        p_arrival_sample=p,
        s_arrival_sample=s,
        coda_end_sample=coda,
        manual=labels.manual,
        rate_hz=rate_hz,
    )
