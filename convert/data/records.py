"""Index the records of STEAD-layout and continuous HDF5 files, split by station."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import h5py

from ... import EqedgeError, first_line
from ...edge.replay.fields import (
    INTERVAL_FIELDS,
    LABEL_FIELDS,
    RATE_FIELDS,
    TraceError,
    labels_of,
    number,
    rate_of,
    stated,
    text_of,
)
from ...edge.replay.heaps import UNREADABLE, GuardedHdf5
from ...edge.replay.label_table import LabelTableError
from ...edge.replay.labels import Labelled
from ...edge.replay.selection import EVERYTHING, TraceSelection
from ...edge.replay.stead import SteadError, SteadFile, dataset_problem, read_attributes
from ...edge.resample import RateError, polyphase, same_rate
from ...models.spec import RATE_HZ, WINDOW_SAMPLES

CONTINUOUS_SAMPLES = 360_000
"""Continuous records are indexed in stretches of an hour, each one window longer than that."""
STATION_FIELDS = ("network", "station", "network_code", "receiver_code")
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
    *INTERVAL_FIELDS,
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


def index_stead(path: str | Path, selection: TraceSelection = EVERYTHING) -> Index:
    """Index the selected traces of a file of STEAD's layout.

    Nothing of the waveforms is read. A record that cannot be used is counted by its reason.

    Args:
        path: The HDF5 file.
        selection: Its CSV, an expression, a number of traces.

    Raises:
        DataError: The file or its CSV cannot be read, or there is no usable record.
        WhereError: The expression cannot be read.
    """
    path = Path(path)
    index = Index()
    try:
        with selection.open(path) as file:
            skipped = Skipped(index.skipped)
            for name in selection.names(file):
                index.records += _stead_record(file, name, skipped)
            index.remarks = file.remarks
    except (SteadError, LabelTableError) as error:
        raise DataError(str(error)) from error
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
            skipped = Skipped(index.skipped)
            for name, dataset in _datasets(file):
                index.records.extend(_stretches(path, name, dataset, skipped))
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read as HDF5 ({first_line(error)})") from error
    if not index.records:
        raise DataError(f"{path}: no usable record ({_reasons(index.skipped)})")
    return index


def merge(indexes: list[Index]) -> Index:
    """All records, all reasons and all remarks."""
    merged = Index()
    for index in indexes:
        merged.records.extend(index.records)
        merged.skipped.update(index.skipped)
        merged.remarks.extend(index.remarks)
    return merged


class Skipped:
    """Counts records that are left out; reasons that differ in a number are one.

    Args:
        counts: By reason, as it was for the first of its kind.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._first: dict[str, str] = {}

    def add(self, reason: str) -> None:
        """Count a record."""
        kind = re.sub(r"\d+(\.\d+)?", "0", reason)
        self._counts[self._first.setdefault(kind, reason)] += 1


def _stead_record(file: SteadFile, name: str, skipped: Skipped) -> Iterator[Record]:
    """One trace's record, or none and its reason counted."""
    try:
        length, facts = file.fields(name, FIELDS)
    except TraceError as error:
        skipped.add(str(error).removeprefix(f"trace {name}: "))
        return
    rate_hz, problem = _usable_rate(name, facts)
    if problem := problem or _too_short(length, rate_hz):
        skipped.add(problem)
        return
    if any(stated(facts.get(f)) and number(facts[f]) is None for f in LABEL_FIELDS):
        skipped.add("label that is not a number")
        return
    labels = labels_of(name, facts)
    if labels.kind == "event" and labels.p_arrival_sample is None:
        skipped.add("earthquake without a P")
    elif problem := labels.problem(length):
        skipped.add(problem)
    else:
        scaled = labels.scaled(RATE_HZ / rate_hz) if rate_hz != RATE_HZ else labels
        yield record_of(file.path, name, at_100_hz(length, rate_hz), scaled, facts, rate_hz)


def at_100_hz(samples: int, rate_hz: float) -> int:
    """Return how many samples a stretch has once it is resampled."""
    if same_rate(rate_hz, RATE_HZ):
        return samples
    filters = polyphase(rate_hz, RATE_HZ)
    return -(-samples * filters.up // filters.down)


def _usable_rate(name: str, facts: Mapping[str, Any]) -> tuple[float, str | None]:
    """Return the rate, 100 Hz where it is nearly that, and why it cannot be used."""
    try:
        rate_hz = rate_of(name, facts)
        if same_rate(rate_hz, RATE_HZ):
            return RATE_HZ, None
        polyphase(rate_hz, RATE_HZ)
    except TraceError as error:
        return RATE_HZ, str(error).removeprefix(f"trace {name}: ")
    except RateError as error:
        return RATE_HZ, str(error)
    return rate_hz, None


def _too_short(length: int, rate_hz: float) -> str | None:
    if at_100_hz(length, rate_hz) >= WINDOW_SAMPLES:
        return None
    window = WINDOW_SAMPLES / RATE_HZ
    return f"{length / rate_hz:.0f} s long, shorter than the network's window of {window:.0f} s"


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


def _datasets(file: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append((name, item))

    file.visititems(visit)
    return found


def _stretches(path: Path, name: str, dataset: Any, skipped: Skipped) -> Iterator[Record]:
    if problem := dataset_problem(dataset):
        skipped.add(problem)
        return
    facts = read_attributes(dataset, (*STATION_FIELDS, *RATE_FIELDS, *INTERVAL_FIELDS))
    rate_hz, problem = _usable_rate(name, facts)
    if problem := problem or _too_short(len(dataset), rate_hz):
        skipped.add(problem)
        return
    network = text_of(facts, "network") or text_of(facts, "network_code")
    station = text_of(facts, "station") or text_of(facts, "receiver_code") or name.split("/")[0]
    step, window = (
        round(length * rate_hz / RATE_HZ) for length in (CONTINUOUS_SAMPLES, WINDOW_SAMPLES)
    )
    for first in range(0, max(1, len(dataset) - window), step):
        length = min(step + window, len(dataset) - first)
        key = station_key(network, station) if network else station
        yield Record(
            path=str(path),
            dataset=name,
            first=first,
            n_samples=at_100_hz(length, rate_hz),
            station=key,
            source=path.stem,
            kind="continuous",
            rate_hz=rate_hz,
        )


def _reasons(skipped: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "it is empty"
