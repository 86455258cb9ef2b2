"""Write gapless runs of samples to a file, HDF5 in STEAD's layout or miniSEED."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .... import EqedgeError, reason_of
from ....firmware_bridge.packets import Hello
from ...dating.arrivals import RATE_OFF
from ...dating.samples import Dated
from ...miniseed import MiniSeedError, Packer, require_library, source_id, version_for
from ...settings.node import CODE
from ...types import NANOSECONDS
from ...utc import stead_text, utc_moment
from .recording import Writer

ROOM_BYTES = 1 << 20
"""Free space kept behind the end of an HDF5 file."""
TEAR_NS = 1_000_000
"""miniSEED dates a record by the one before it, until the clock is off by this or its own error."""
DATED_BY = {"host": "arrival", "ticks": "tick"}
"""Source of a clock -> `dated_by` of a trace; others keep their name."""


class RecordingError(EqedgeError):
    """A file that cannot be written.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, why: str) -> None:
        """Name the file and the reason."""
        super().__init__(f"cannot record to {path}: {why}")
        self.path = path


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Make one line of what the disk refuses; h5py has RuntimeErrors for that too."""
    try:
        yield
    except FileExistsError as error:
        raise RecordingError(path, "it exists already; name another file") from error
    except (OSError, RuntimeError) as error:
        raise RecordingError(path, reason_of(error)) from error


class Hdf5Writer:
    """`data/<name>` (samples, channels) of int32, E N Z where there are these three.

    After a failed write HDF5 leaves a file that cannot be read, and crashes. Therefore there is
    always free space behind the file's end, and a full disk is noticed before HDF5 needs space.
    """

    def __init__(self, path: Path, network: str, station: str) -> None:
        """Open a new file; an existing one is not overwritten."""
        import h5py

        self._path = path
        with _disk_errors(path), path.open("xb") as file:
            try:
                _fill(file.fileno(), 0, ROOM_BYTES)
            except OSError:
                path.unlink()
                raise
        with _disk_errors(path):
            self._file = h5py.File(path, "w")
            self._make_room()
            self._group = self._file.create_group("data")
        self._network, self._station = network, station
        self._dataset: Any = None
        self._order: list[int] = []
        self._end_ns: int | None = None

    def begin(self, dated: Dated) -> None:
        """Begin a dataset with STEAD's attributes, as far as a sensor knows them."""
        with _disk_errors(self._path):
            self._make_room()
            self._end_run()
            self._begin(dated.hello, _utc(dated.start_time_ns), dated.clock.source)

    def _begin(self, hello: Hello, start: datetime, source: str) -> None:
        axes = [code[2] for code in hello.channels]
        self._order = [axes.index(a) for a in "ENZ"] if sorted(axes) == list("ENZ") else []
        self._order = self._order or list(range(len(axes)))
        name = self._unused(f"{self._station}.{self._network}_{start:%Y%m%d%H%M%S%f}")
        self._dataset = self._group.create_dataset(
            name,
            shape=(0, len(axes)),
            maxshape=(None, len(axes)),
            dtype="i4",
            chunks=(4096, len(axes)),
        )
        self._dataset.attrs.update(
            trace_name=name,
            trace_category="continuous",
            trace_start_time=stead_text(start),
            sampling_rate_hz=hello.rate_hz,
            network_code=self._network,
            receiver_code=self._station,
            receiver_type=hello.channels[0][:2],
            channels=",".join(hello.channels[i] for i in self._order),
            units_per_count=hello.units_per_count,
            unit=hello.unit,
            device_id=hello.device_id,
            firmware=hello.firmware,
            dated_by=DATED_BY.get(source, source),
        )

    def _unused(self, begin: str) -> str:
        """Return a name for a run: a sensor that restarts twice at once begins two at one time."""
        name, others = f"{begin}_CO", 1
        while name in self._group:
            others += 1
            name = f"{begin}_{others}_CO"
        return name

    def _end_run(self) -> None:
        """Date the last sample too: crystals are not exact, so the nominal rate does not."""
        if self._dataset is not None and self._end_ns is not None:
            self._dataset.attrs["trace_end_time"] = stead_text(_utc(self._end_ns))
            self._end_ns = None

    def add(self, counts: NDArray[np.int32], dated: Dated) -> None:
        """Append and flush, so that a crash costs nothing that came before."""
        with _disk_errors(self._path):
            self._make_room()
            held = len(self._dataset)
            self._dataset.resize(held + len(counts), axis=0)
            self._dataset[held:] = counts[:, self._order]
            self._file.flush()
            self._end_ns = dated.time_ns(dated.first_sample + len(counts) - 1)

    def close(self) -> None:
        """Close the file and free the space behind its end."""
        with _disk_errors(self._path):
            self._end_run()
            self._file.flush()
            size = self._file.id.get_filesize()
            self._file.close()
            os.truncate(self._path, size)

    def _make_room(self) -> None:
        descriptor, size = self._file.id.get_vfd_handle(), self._file.id.get_filesize()
        end = os.fstat(descriptor).st_size
        if end - size < ROOM_BYTES // 2:
            _fill(descriptor, end, size + ROOM_BYTES)


class MiniSeedWriter:
    """miniSEED 2 records of 512 bytes, 32-bit integers; each is written when it is full."""

    def __init__(self, path: Path, network: str, station: str) -> None:
        """Open a new file; an existing one is not overwritten."""
        try:
            require_library()
        except MiniSeedError as error:
            raise RecordingError(path, f"{error}, or record to .hdf5") from error
        if version_for(network, station, "") != 2:
            raise RecordingError(path, f"{network}.{station}: miniSEED takes 2 and 5 letters")
        self._path = path
        with _disk_errors(path):
            self._file: BinaryIO = path.open("xb", buffering=0)
        self._packer = Packer(2, compress=False)
        self._network, self._station = network, station
        self._start_ns = self._taken = 0

    def begin(self, dated: Dated) -> None:
        """Write the last records of the run before and note the new start."""
        self._write(self._packer.all_records())
        self._start_ns, self._taken = dated.start_time_ns, 0

    def add(self, counts: NDArray[np.int32], dated: Dated) -> None:
        """Write the records that are full; begin new ones where the clock is off."""
        hello = dated.hello
        seconds = self._taken / hello.rate_hz
        at_ns = self._start_ns + round(seconds * NANOSECONDS)
        off_ns = abs(dated.start_time_ns - at_ns)
        limit_ns = max(TEAR_NS, dated.clock.error_s * NANOSECONDS)
        # Off by more than any crystal is a recording played at another speed.
        if limit_ns < off_ns <= limit_ns + RATE_OFF * seconds * NANOSECONDS:
            self.begin(dated)
            at_ns = self._start_ns
        for channel, code in enumerate(hello.channels):
            source = source_id(self._network, self._station, "", code)
            self._packer.add(source, counts[:, channel], start_ns=at_ns, rate_hz=hello.rate_hz)
        self._taken += len(counts)
        self._write(self._packer.full_records())

    def close(self) -> None:
        """Write the rest and close the file."""
        with closing(self._file):
            self._write(self._packer.all_records())

    def _write(self, records: Iterator[bytes]) -> None:
        for record in records:
            self._put(record)

    def _put(self, record: bytes) -> None:
        """Write a record whole; if the disk is full, nothing of it."""
        begin, left = self._file.tell(), memoryview(record)
        with _disk_errors(self._path):
            try:
                while left:
                    left = left[self._file.write(left) :]
            except OSError:
                self._file.seek(begin)
                self._file.truncate()
                raise


def _utc(time_ns: int) -> datetime:
    """Return the moment to the nearest microsecond."""
    return utc_moment(1000 * round(time_ns / 1000))


def _fill(descriptor: int, begin: int, end: int) -> None:
    """Write zeros from one place in a file to another, to reserve disk space."""
    while begin < end:
        begin += os.pwrite(descriptor, bytes(end - begin), begin)


def open_writer(path: Path, network: str, station: str) -> Writer:
    """Return the writer for a file's suffix.

    Raises:
        RecordingError: The file cannot be written, or a code is not valid.
    """
    for name, code in (("network", network), ("station", station)):
        if not CODE.fullmatch(code):
            raise RecordingError(
                path, f"{name} code {code!r}: use 1 to 8 capital letters or digits"
            )
    if path.suffix in (".h5", ".hdf5"):
        return Hdf5Writer(path, network, station)
    if path.suffix in (".mseed", ".ms", ".miniseed"):
        return MiniSeedWriter(path, network, station)
    raise RecordingError(path, "its ending must be .hdf5 or .mseed")
