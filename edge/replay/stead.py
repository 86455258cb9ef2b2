"""Read traces and labels of STEAD-layout HDF5: `data/<trace_name>`, (n, 3) as E, N, Z."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError, first_line
from ..resample import RateError, resampled, same_rate
from .datasets import dataset_problem, found_in, missing, read_attributes, reject_twice
from .field_names import COMPARED, START_FIELD
from .fields import TraceError, by_steads_names, differ, labels_of, rate_of, unreadable_fields
from .file_fields import fields_of, with_defaults
from .heaps import UNREADABLE, GuardedHdf5, check_chunks
from .label_table import LabelTable
from .labels import Labelled
from .other_files import absent, not_hdf5
from .values import parse_time, plain, stated

LARGEST = float(np.finfo(np.float32).max)
"""The networks compute in float32."""
MOST_COMPARED = 10_000
"""Traces in which a difference is counted; the names of a million would fill the memory."""


class SteadError(EqedgeError):
    """The file cannot be read as STEAD."""


@dataclass(frozen=True, eq=False)
class Trace(Labelled):
    """One record in memory, with those of its labels that lie inside it.

    Attributes:
        name: STEAD's `trace_name`.
        waveform: (n, 3) in the file's own unit, E, N, Z; float64, which every count fits.
        rate_hz: Samples a second.
        start_time_ns: UTC of the first sample, or None.
        attributes: All fields, HDF5's before the CSV's.
        remark: A peculiarity of a trace that can be used, or empty.
    """

    name: str
    waveform: NDArray[np.float64]
    rate_hz: float
    start_time_ns: int | None
    attributes: Mapping[str, Any] = field(repr=False)
    remark: str = ""

    def at_rate(self, rate_hz: float) -> Trace:
        """Return the trace at another rate, as a node resamples it, its labels moved with it.

        Raises:
            TraceError: It cannot be resampled to that rate.
        """
        if same_rate(self.rate_hz, rate_hz):
            return self
        try:
            waveform = resampled(self.waveform, self.rate_hz, rate_hz)
        except RateError as error:
            raise TraceError(f"trace {self.name}: {error}") from error
        labels = self.scaled(rate_hz / self.rate_hz).inside(0, len(waveform))
        return replace(self, waveform=waveform, rate_hz=rate_hz, **asdict(labels))


class SteadFile:
    """An open file, read trace by trace: 85 GB need the memory of one record.

    Where there is a CSV, its rows select: only traces that have a row are listed. One that lies
    beside the file and has a row for none is not used. A field that both state is taken from the
    HDF5; where they differ, that is counted.

    Args:
        path: The HDF5 file.
        labels: CSV with a `trace_name` column; by default the one beside the file under the same
            name, if there is one.

    Raises:
        SteadError: The file is missing, cut short, not HDF5, or has no `data` group.
        LabelTableError: The CSV cannot be read.
    """

    def __init__(self, path: str | Path, labels: str | Path | None = None) -> None:
        self.path = Path(path)
        if problem := absent(self.path):
            raise SteadError(f"{path}: {problem}")
        try:
            self._file = GuardedHdf5(self.path)
            group = self._file.get("data")
            has_none = not isinstance(group, h5py.Group) or len(group) == 0
            found = found_in(self._file) if has_none else ""
            self._defaults, self._problem = ({}, "") if has_none else fields_of(self._file, group)
        except UNREADABLE as error:
            raise self._unreadable(error) from error
        if has_none:
            self.close()
            raise SteadError(
                f"{path}: no traces under 'data'; STEAD keeps them at data/<trace_name> ({found})"
            )
        self._group = group
        self._first_difference = ""
        self._compared: set[str] = set()
        self._unlisted = self._listed = 0
        beside = self.path.with_suffix(".csv")
        self._table_is_given = labels is not None
        table = Path(labels) if labels else beside if beside.is_file() else None
        try:
            self.table = None if table is None else LabelTable(table)
        except EqedgeError:
            self._file.close()
            raise

    @property
    def names(self) -> Sequence[str]:
        """Names of the traces, in alphabetical order; where there is a CSV, of those in it.

        Raises:
            SteadError: The file's index is damaged, or no trace has a row in the given CSV.
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
            dataset = self._dataset(name)
            check_chunks(dataset)
            waveform = np.asarray(dataset[()], dtype=np.float64)
            own, twice = by_steads_names((k, plain(v)) for k, v in dataset.attrs.items())
        except UNREADABLE as error:
            raise _unusable(name, error) from error
        reject_twice(name, twice, COMPARED)
        attributes = self._merged(name, own)
        if not np.isfinite(waveform).all():
            raise TraceError(f"trace {name}: holds NaN or infinite samples; interpolate or drop it")
        if np.abs(waveform).max() > LARGEST:
            raise TraceError(
                f"trace {name}: its largest sample is {np.abs(waveform).max():.3g}, beyond float32;"
                " divide it"
            )
        still = [c for c, x in zip("ENZ", waveform.T, strict=True) if x.min() == x.max()]
        if len(still) == 3 and not motionless:
            raise TraceError(f"trace {name}: all three components are constant")
        remarks = [f"constant component {', '.join(still)}"] if still else []
        stated_labels = labels_of(name, attributes)
        labels = stated_labels.inside(0, len(waveform))
        remarks += [
            f"{field_} {at:g} lies outside its {len(waveform)} samples and is not used"
            for field_ in ("p_arrival_sample", "s_arrival_sample")
            if (at := getattr(stated_labels, field_)) is not None
            and getattr(labels, field_) is None
        ]
        remarks += ["its S is not after its P"] * (labels.problem(len(waveform)) is not None)
        return Trace(
            name=name,
            waveform=waveform,
            rate_hz=rate_of(name, attributes),
            start_time_ns=parse_time(attributes.get(START_FIELD)),
            attributes=attributes,
            remark="; ".join([*remarks, *twice.values(), *unreadable_fields(attributes)]),
            **asdict(labels),
        )

    def fields(self, name: str, wanted: Collection[str]) -> tuple[int, dict[str, Any]]:
        """Return a trace's number of samples and those of some fields that it states.

        Nothing of the waveform is read. Names are STEAD's.

        Raises:
            TraceError: It is missing, has another shape, or its header is damaged.
        """
        try:
            dataset = self._dataset(name)
            attributes = read_attributes(name, dataset, wanted)
        except UNREADABLE as error:
            raise _unusable(name, error) from error
        return dataset.shape[0], self._merged(name, attributes, wanted)

    @property
    def remarks(self) -> list[str]:
        """Lines for people on the CSV: what it selects, and where it differs from the HDF5.

        Complete once the names have been listed and the traces read.
        """
        if self.table is None:
            return []
        lines = list(self.table.remarks)
        if self._unlisted:
            total = len(self._group)
            lines.append(
                f"{self.table.path.name} selects {total - self._unlisted} of {total} traces; "
                "the others have no row in it"
            )
        elsewhere = len(self.table) - self._listed
        if self._listed and elsewhere > 0:
            lines.append(
                f"rows of {self.table.path.name} of traces that are not in {self.path.name}: "
                f"{elsewhere}"
            )
        if count := len(self._compared):
            lines.append(
                f"{self.table.path.name} and {self.path.name} differ for {count}"
                f"{' or more' if count == MOST_COMPARED else ''} traces, the first "
                f"{self._first_difference}; the HDF5's values are used"
            )
        return lines

    def __iter__(self) -> Iterator[str]:
        """Yield the names one by one; errors as of `names`."""
        self._unlisted = self._listed = 0
        try:
            for name in self._all():
                if self.table is None or name in self.table:
                    self._listed += 1
                    yield name
                else:
                    self._unlisted += 1
            if self._unlisted == len(self._group):
                yield from self._despite_the_table()
        except UNREADABLE as error:
            raise self._unreadable(error) from error

    def _all(self) -> Iterator[str]:
        for name in self._group:
            # a name that is not UTF-8 comes as bytes; it can be listed, not read
            yield name if isinstance(name, str) else name.decode("utf-8", "backslashreplace")

    def _despite_the_table(self) -> Iterator[str]:
        """Yield all names where the CSV has none of them, if it only happens to lie beside."""
        assert self.table is not None
        problem = (
            f"{self.table.path}: has a row for none of the {len(self._group)} traces of "
            f"{self.path.name}"
        )
        if self._table_is_given:
            raise SteadError(f"{problem}; name the CSV of this file")
        if (remark := f"{problem}; it is not used") not in self.table.remarks:
            self.table.remarks.append(remark)
        self._unlisted = 0
        yield from self._all()

    def __enter__(self) -> SteadFile:
        """Return the file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file and its CSV."""
        self._file.close()
        if (table := getattr(self, "table", None)) is not None:
            table.close()

    def _unreadable(self, error: Exception) -> SteadError:
        return SteadError(f"{self.path}: {not_hdf5(self.path, error)}")

    def _dataset(self, name: str) -> Any:
        """Return a trace's dataset.

        Raises:
            TraceError: There is none, or it is no trace that can be read.
        """
        try:
            dataset = self._group[name]
        except KeyError as error:
            raise TraceError(
                f"trace {name}: {missing(self._group, name, self.path.name)}"
            ) from error
        if problem := dataset_problem(dataset) or self._problem:
            raise TraceError(f"trace {name}: {problem}")
        return dataset

    def _merged(
        self, name: str, attributes: dict[str, Any], wanted: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Return a trace's fields: the HDF5's where it states them, else the CSV's."""
        cells = None if self.table is None else self.table.cells(name)
        defaults = {k: v for k, v in self._defaults.items() if wanted is None or k in wanted}
        if cells is None:
            return with_defaults(attributes, defaults)
        row, twice = by_steads_names(cells)
        reject_twice(name, twice, COMPARED if wanted is None else wanted)
        for field_, value in row.items():
            if (wanted is not None and field_ not in wanted) or not stated(value):
                continue
            if not stated(attributes.get(field_)):
                attributes[field_] = value
            elif field_ in COMPARED and differ(field_, attributes[field_], value):
                self._note(name, field_, attributes[field_], value)
        return with_defaults(attributes, defaults)

    def _note(self, name: str, field_: str, here: Any, there: str) -> None:
        if not self._first_difference:
            self._first_difference = f"{name}: {field_} {here} in the HDF5, {there} in the CSV"
        if name in self._compared or len(self._compared) >= MOST_COMPARED:
            return
        self._compared.add(name)


def _unusable(name: str, error: Exception) -> TraceError:
    return TraceError(
        f"trace {name}: cannot be read ({first_line(error)}); download or copy the file again"
    )
