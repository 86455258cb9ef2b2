"""Index the records of STEAD-layout and continuous HDF5 files, split by station."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import h5py

from ... import EqedgeError, first_line
from ...edge.replay.heaps import UNREADABLE, DamagedHeap, GuardedHdf5
from ...edge.replay.labels import Labelled
from ...edge.replay.stead import (
    RATE_FIELDS,
    SteadError,
    TraceError,
    labels_of,
    plain,
    rate_of,
    rows_of,
)
from ...models.spec import RATE_HZ, WINDOW_SAMPLES

CONTINUOUS_SAMPLES = 360_000
"""Continuous records are indexed in stretches of an hour, each one window longer than that."""
HELD_OUT_PERCENT = 20
Split = Literal["station", "event"]
"""What is kept from training as a whole, never a trace alone. Its name salts the hash; the first
was chosen before any training so that each development set has stations on both sides."""

FIELDS = (
    "trace_category",
    "network_code",
    "receiver_code",
    "p_arrival_sample",
    "p_status",
    "source_id",
    "s_arrival_sample",
    "coda_end_sample",
    "source_set",
    *RATE_FIELDS,
)
"""What is read of a trace; of STEAD's 35 attributes the others would take most of the time."""


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
    """First sample of the stretch inside the dataset."""
    n_samples: int
    """Length of the stretch."""
    station: str
    """Both codes in alphabetical order, since sources disagree which one comes first."""
    source: str
    """Data set it belongs to, for scores a set."""
    event: str = ""
    """STEAD's `source_id`; empty where it has none, as noise has."""

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
    return Index(known, index.skipped + nameless, "event")


def station_key(network: str, station: str) -> str:
    """One name for a station whichever way round its codes are given."""
    return ".".join(sorted((network.strip().upper(), station.strip().upper())))


def station_of(name: str, attributes: Mapping[str, Any]) -> str:
    """Station of a trace: from its attributes, else from the codes its name begins with."""
    network = str(attributes.get("network_code") or "")
    station = str(attributes.get("receiver_code") or "")
    if network and station:
        return station_key(network, station)
    codes = re.match(r"(?:.*__)?([A-Za-z0-9]+)[._]([A-Za-z0-9]+)_", name)
    return station_key(*codes.groups()) if codes else name


def event_of(attributes: Mapping[str, Any]) -> str:
    """STEAD's `source_id`, or nothing: its noise has None there."""
    source_id = str(attributes.get("source_id") or "").strip()
    return "" if source_id in ("None", "nan") else source_id


def index_stead(path: str | Path) -> Index:
    """Index a file of STEAD's layout and the CSV of the same name beside it.

    As when it is replayed, attributes in the HDF5 go before the CSV's. Nothing of the waveforms is
    read. A record that cannot be used is counted by its reason.

    Raises:
        DataError: The file or its CSV cannot be read, or there is no usable record.
    """
    path = Path(path)
    index = Index()
    tabled: set[str] = set()
    try:
        with GuardedHdf5(path) as file:
            if not isinstance(file.get("data"), h5py.Group):
                raise DataError(f"{path}: no group 'data'; is it a STEAD file?")
            traces = file["data"]
            # row by row: STEAD's own table has 1.2 million of them
            table = path.with_suffix(".csv")
            for row in rows_of(table) if table.is_file() else ():
                name = row["trace_name"]
                if name and name not in tabled:
                    tabled.add(name)
                    index.records += _stead_record(path, name, traces, row, index.skipped)
            for name in traces:
                if name not in tabled:
                    index.records += _stead_record(path, name, traces, None, index.skipped)
    except SteadError as error:
        raise DataError(str(error)) from error
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read as HDF5 ({first_line(error)})") from error
    index.records.sort(key=lambda record: record.dataset)
    if not index.records:
        raise DataError(f"{path}: no usable record ({_reasons(index.skipped)})")
    return index


def index_continuous(path: str | Path) -> Index:
    """Index every (n, 3) dataset of a file as unlabelled stretches of an hour.

    Raises:
        DataError: The file cannot be read or has no usable record.
    """
    path = Path(path)
    index = Index()
    try:
        with GuardedHdf5(path) as file:
            for name, dataset in _datasets(file):
                index.records.extend(_stretches(path, name, dataset, index.skipped))
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read as HDF5 ({first_line(error)})") from error
    if not index.records:
        raise DataError(f"{path}: no usable record ({_reasons(index.skipped)})")
    return index


def merge(indexes: list[Index]) -> Index:
    """All records and all reasons."""
    merged = Index()
    for index in indexes:
        merged.records.extend(index.records)
        merged.skipped.update(index.skipped)
    return merged


def _stead_record(
    path: Path, name: str, group: Any, row: Mapping[str, Any] | None, skipped: Counter[str]
) -> Iterator[Record]:
    """One trace's record, or none and its reason counted."""
    try:
        if row is not None and name not in group:
            skipped["in the CSV, not in the HDF5"] += 1
            return
        dataset = group[name]
        facts = {**(row or {}), **read_attributes(dataset, FIELDS)}
        shape = dataset.shape
    except DamagedHeap as error:
        skipped[f"unreadable dataset: {error}"] += 1
        return
    except UNREADABLE:
        skipped["unreadable dataset"] += 1
        return
    if len(shape) != 2 or shape[1] != 3 or shape[0] < WINDOW_SAMPLES:
        skipped["shorter than a window or not three components"] += 1
        return
    if problem := _rate_problem(name, facts):
        skipped[problem] += 1
        return
    labels = labels_of(name, facts)
    if labels.kind == "event" and labels.p_arrival_sample is None:
        skipped["earthquake without a P"] += 1
    elif problem := labels.problem(shape[0]):
        skipped[problem] += 1
    else:
        yield record_of(path, name, shape[0], labels, facts)


def record_of(
    path: Path, name: str, n_samples: int, labels: Labelled, attributes: Mapping[str, Any]
) -> Record:
    """Return the record of a whole trace, its labels at whole samples; noise has none.

    Args:
        path: The HDF5 file.
        name: Of the trace.
        n_samples: Its length at the rate of scores.
        labels: At that rate.
        attributes: Those of `FIELDS` that are known.
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
        source=sys.intern(str(attributes.get("source_set") or path.stem)),
        event="" if noise else sys.intern(event_of(attributes)),
        kind=labels.kind,
        p_arrival_sample=p,
        s_arrival_sample=s,
        coda_end_sample=coda,
        manual=labels.manual,
    )


def read_attributes(dataset: Any, fields: Sequence[str]) -> dict[str, Any]:
    """Read those of some attributes that a dataset has."""
    attributes = dataset.attrs
    return {field: plain(attributes[field]) for field in fields if field in attributes}


def _rate_problem(name: str, facts: Mapping[str, Any]) -> str | None:
    try:
        return None if rate_of(name, facts) == RATE_HZ else f"rate other than {RATE_HZ:g} Hz"
    except TraceError:
        return "stated rate that is none"


def _datasets(file: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append((name, item))

    file.visititems(visit)
    return found


def _stretches(path: Path, name: str, dataset: Any, skipped: Counter[str]) -> Iterator[Record]:
    if dataset.ndim != 2 or dataset.shape[1] != 3 or len(dataset) < WINDOW_SAMPLES:
        skipped["shorter than a window or not three components"] += 1
        return
    facts = read_attributes(dataset, ("network", "station", *RATE_FIELDS))
    if problem := _rate_problem(name, facts):
        skipped[problem] += 1
        return
    network = str(facts.get("network") or "")
    station = str(facts.get("station") or name.split("/")[0])
    for first in range(0, max(1, len(dataset) - WINDOW_SAMPLES), CONTINUOUS_SAMPLES):
        length = min(CONTINUOUS_SAMPLES + WINDOW_SAMPLES, len(dataset) - first)
        key = station_key(network, station) if network else station
        yield Record(
            path=str(path),
            dataset=name,
            first=first,
            n_samples=length,
            station=key,
            source=path.stem,
            kind="continuous",
        )


def _reasons(skipped: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "it is empty"
