"""Read traces and labels of STEAD-layout HDF5: `data/<trace_name>`, (n, 3) as E, N, Z."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError, first_line
from ..utc import utc_ns
from .heaps import UNREADABLE, GuardedHdf5, check_chunks
from .labels import Labelled

STEAD_RATE_HZ = 100.0
"""STEAD's sampling rate; its files do not state it."""
RATE_FIELDS = ("sampling_rate_hz", "trace_sampling_rate_hz")
LONGEST_SAMPLES = 10_000_000
"""More than a day: a damaged header, or a record that would fill the memory."""
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


class SteadError(EqedgeError):
    """The file cannot be read as STEAD."""


class TraceError(EqedgeError):
    """One trace of a file cannot be used; the others can."""


@dataclass(frozen=True, eq=False)
class Trace(Labelled):
    """One record in memory, with those of its labels that lie inside it.

    Attributes:
        name: STEAD's `trace_name`.
        waveform: (n, 3) in the file's own unit, E, N, Z.
        rate_hz: Samples a second.
        start_time_ns: UTC of the first sample, or None.
        attributes: All attributes, HDF5's over the CSV's.
        remark: A peculiarity of a trace that can be used, or empty.
    """

    name: str
    waveform: NDArray[np.float32]
    rate_hz: float
    start_time_ns: int | None
    attributes: Mapping[str, Any] = field(repr=False)
    remark: str = ""


class SteadFile:
    """An open file, read trace by trace: 85 GB need the memory of one record.

    Args:
        path: The HDF5 file.
        labels: CSV with a `trace_name` column; by default the one beside the file under the same
            name, if there is one. Attributes in the HDF5 have precedence.

    Raises:
        SteadError: The file is missing, cut short, not HDF5, or has no `data` group; or the CSV
            cannot be read.
    """

    def __init__(self, path: str | Path, labels: str | Path | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise SteadError(f"{path}: no such file; name a STEAD-layout HDF5 file")
        try:
            self._file = GuardedHdf5(self.path)
            group = self._file.get("data")
            empty = not isinstance(group, h5py.Group) or len(group) == 0
        except UNREADABLE as error:
            raise self._unreadable(error) from error
        if empty:
            self.close()
            raise SteadError(
                f"{path}: no traces under 'data'; STEAD keeps them at data/<trace_name>"
            )
        self._group = group
        beside = self.path.with_suffix(".csv")
        self._labels_path = Path(labels) if labels else beside if beside.is_file() else None
        self._labels: dict[str, dict[str, str]] | None = None

    @property
    def names(self) -> Sequence[str]:
        """Names of all traces, in the file's order (alphabetical).

        Raises:
            SteadError: The file's index is damaged.
        """
        return list(self)

    def read(self, name: str, *, motionless: bool = False) -> Trace:
        """Read one trace.

        Args:
            name: Of the trace.
            motionless: Whether one without motion on any component is read too.

        Raises:
            TraceError: It is missing, has another shape, holds NaN, or its chunk is damaged.
        """
        try:
            dataset = self._group[name]
            _check_shape(name, tuple(dataset.shape or ()))
            check_chunks(dataset)
            waveform = np.asarray(dataset[()], dtype=np.float32)
            attributes = {**self._row(name), **{k: plain(v) for k, v in dataset.attrs.items()}}
        except KeyError as error:
            raise TraceError(
                f"trace {name}: not in {self.path.name}, or its header is damaged; "
                "download or copy the file again"
            ) from error
        except UNREADABLE as error:
            raise TraceError(
                f"trace {name}: cannot be read ({first_line(error)}); "
                "download or copy the file again"
            ) from error
        if not np.isfinite(waveform).all():
            raise TraceError(f"trace {name}: holds NaN or infinite samples; interpolate or drop it")
        still = [c for c, x in zip("ENZ", waveform.T, strict=True) if x.min() == x.max()]
        if len(still) == 3 and not motionless:
            raise TraceError(f"trace {name}: all three components are constant")
        labels = labels_of(name, attributes).inside(0, len(waveform))
        return Trace(
            name=name,
            waveform=waveform,
            rate_hz=rate_of(name, attributes),
            start_time_ns=parse_time(attributes.get("trace_start_time")),
            attributes=attributes,
            remark=f"constant component {', '.join(still)}" if still else "",
            **asdict(labels),
        )

    def __iter__(self) -> Iterator[str]:
        """Yield the names one by one; errors as of `names`."""
        try:
            for name in self._group:
                # a name that is not UTF-8 comes as bytes; it can be listed, not read
                yield name if isinstance(name, str) else name.decode("utf-8", "backslashreplace")
        except UNREADABLE as error:
            raise self._unreadable(error) from error

    def __enter__(self) -> SteadFile:
        """Return the file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _unreadable(self, error: Exception) -> SteadError:
        return SteadError(
            f"{self.path}: not a readable HDF5 file ({first_line(error)}); copy it again"
        )

    def _row(self, name: str) -> dict[str, str]:
        if self._labels_path is None:
            return {}
        if self._labels is None:
            self._labels = {row["trace_name"]: row for row in rows_of(self._labels_path)}
        return self._labels.get(name, {})


def _check_shape(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[1] != 3 or shape[0] == 0:
        raise TraceError(f"trace {name}: shape {shape}, expected (samples, 3) as E, N, Z")
    if shape[0] > LONGEST_SAMPLES:
        raise TraceError(f"trace {name}: {shape[0]} samples; cut it to {LONGEST_SAMPLES} at most")


def number(value: Any) -> float | None:
    """Read a number as STEAD writes them: 700.0, '700', '[[2896.]]', [[2896.]]; None if none."""
    if isinstance(value, str):
        found = _NUMBER.search(value)
        value = found.group() if found else math.nan
    try:
        first = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        return None
    return float(first[0]) if first.size and math.isfinite(first[0]) else None


def parse_time(value: Any) -> int | None:
    """Read a UTC time with or without fraction and zone; nanoseconds since 1970, or None."""
    text = str(value or "").strip().rstrip("Z").replace("T", " ")
    if not "1900" <= text[:4] < "2200":  # no seismogram, and beyond what a node can date
        return None
    for form in ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S"):
        try:
            return utc_ns(datetime.strptime(text, form).replace(tzinfo=UTC))
        except ValueError:
            continue
    return None


def rate_of(name: str, attributes: Mapping[str, Any]) -> float:
    """Return samples a second: what the attributes state, else STEAD's.

    Raises:
        TraceError: The stated value is not a sampling rate.
    """
    for key in RATE_FIELDS:
        if key in attributes and str(attributes[key]).strip() not in ("", "None", "nan"):
            rate = number(attributes[key])
            if rate is None or not 0 < rate <= 10_000:
                raise TraceError(f"trace {name}: {key} {attributes[key]!r} is not a sampling rate")
            return rate
    return STEAD_RATE_HZ


def labels_of(name: str, attributes: Mapping[str, Any]) -> Labelled:
    """Return a trace's labels as they are stated, also those that lie outside it.

    `trace_category` decides whether it is noise; where that is not stated, the end `_NO` of its
    name does.
    """
    category = str(attributes.get("trace_category") or "")
    noise = category == "noise" or (not category and name.endswith("_NO"))
    p, s, coda = (
        number(attributes.get(f"{what}_sample")) for what in ("p_arrival", "s_arrival", "coda_end")
    )
    return Labelled(
        kind="noise" if noise else "event",
        p_arrival_sample=p,
        s_arrival_sample=s,
        coda_end_sample=coda if coda is None or p is None or p < coda else None,
        manual=str(attributes.get("p_status", "manual")) == "manual",
    )


def plain(value: Any) -> Any:
    """Return an attribute as a Python value: text of fixed length as text, a number as a number."""
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """Read STEAD's CSV row by row.

    Raises:
        SteadError: It cannot be read or has no column `trace_name`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines)
            if "trace_name" not in (rows.fieldnames or ()):
                raise SteadError(f"{path}: no trace_name column; it is not STEAD's CSV")
            yield from rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SteadError(
            f"{path}: cannot be read ({first_line(error)}); remove it or copy it again"
        ) from error
