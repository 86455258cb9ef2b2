"""Index the records of STEAD-layout and continuous HDF5 files; nothing of a waveform is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py

from ...edge.replay.datasets import dataset_problem, read_attributes
from ...edge.replay.field_names import INTERVAL_FIELDS, RATE_FIELDS
from ...edge.replay.fields import TraceError, has_unreadable_label, labels_of, rate_of, text_of
from ...edge.replay.file_fields import FORMAT_GROUP, fields_of, with_defaults
from ...edge.replay.heaps import UNREADABLE, GuardedHdf5
from ...edge.replay.label_table import LabelTableError
from ...edge.replay.other_files import not_hdf5
from ...edge.replay.selection import EVERYTHING, TraceSelection
from ...edge.replay.stead import SteadError, SteadFile
from ...edge.resample import RateError, polyphase, same_rate
from ...models.spec import RATE_HZ, WINDOW_SAMPLES
from .records import CONTINUOUS_SAMPLES, DataError, Index, Record, record_of, station_key

NOT_A_NUMBER = "label that is not a number"
STATION_FIELDS = ("network", "station", "network_code", "receiver_code")
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
        raise DataError(f"{path}: no usable record ({reasons(index.skipped)})")
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
            defaults, problem = fields_of(file, file)
            for name, dataset in _datasets(file):
                if reason := dataset_problem(dataset) or problem:
                    skipped.add(reason)
                else:
                    index.records += _stretches(path, name, dataset, defaults, skipped)
    except UNREADABLE as error:
        raise DataError(f"{path}: {not_hdf5(path, error)}") from error
    if not index.records:
        raise DataError(f"{path}: no usable record ({reasons(index.skipped)})")
    return index


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
        self._counts[self._first.setdefault(without_numbers(reason), reason)] += 1


def without_numbers(reason: str) -> str:
    """Return a reason that is the same for records that differ in a number alone."""
    return re.sub(r"\d+(\.\d+)?", "0", reason)


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
    if has_unreadable_label(facts):
        skipped.add(NOT_A_NUMBER)
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
    return f"{length / rate_hz:.4g} s long, shorter than the network's window of {window:.0f} s"


def _datasets(file: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(f"{FORMAT_GROUP}/"):
            found.append((name, item))

    file.visititems(visit)
    return found


def _stretches(
    path: Path, name: str, dataset: Any, defaults: dict[str, Any], skipped: Skipped
) -> Iterator[Record]:
    try:
        facts = read_attributes(name, dataset, (*STATION_FIELDS, *RATE_FIELDS, *INTERVAL_FIELDS))
    except TraceError as error:
        skipped.add(str(error).removeprefix(f"trace {name}: "))
        return
    rate_hz, problem = _usable_rate(name, with_defaults(facts, defaults))
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


def reasons(skipped: Mapping[str, int]) -> str:
    """Return why records were left out, in one line."""
    return "; ".join(f"{count}: {reason}" for reason, count in skipped.items()) or "it is empty"
