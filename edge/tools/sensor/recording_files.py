"""Runs of samples go into a file, HDF5 in STEAD's layout or miniSEED: one trace a gapless run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .... import EqedgeError, first_line
from ....firmware_bridge.packets import Hello
from .recording import Writer

_RECORD_BYTES = 512
_ROOM_BYTES = 1 << 20
_CODE = re.compile(r"[A-Z0-9]{1,8}")


class RecordingError(EqedgeError):
    """A file that cannot be written.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, why: str) -> None:
        """Names the file and the reason."""
        super().__init__(f"cannot record to {path}: {why}")
        self.path = path


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into one line; h5py has RuntimeErrors for that too."""
    try:
        yield
    except FileExistsError as error:
        raise RecordingError(path, "it exists already; name another file") from error
    except (OSError, RuntimeError) as error:
        raise RecordingError(path, getattr(error, "strerror", None) or first_line(error)) from error


class Hdf5Writer:
    """`data/<name>` (samples, channels) of int32, E N Z where there are these three.

    HDF5 survives no failed write: the file cannot be read again, and the program crashes. So there
    is always room behind the file's end, and a disk without is noticed before HDF5 needs it.
    """

    def __init__(self, path: Path, network: str, station: str) -> None:
        """Opens a new file; one that exists is not overwritten."""
        import h5py

        self._path = path
        with _telling(path), path.open("xb") as file:
            try:
                _fill(file.fileno(), 0, _ROOM_BYTES)
            except OSError:
                path.unlink()
                raise
        with _telling(path):
            self._file = h5py.File(path, "w")
            self._make_room()
            self._group = self._file.create_group("data")
        self._network, self._station = network, station
        self._dataset: Any = None
        self._order: list[int] = []

    def begin(self, hello: Hello, start: datetime, dated_by: str) -> None:
        """A dataset with STEAD's attributes, as far as a sensor knows them."""
        with _telling(self._path):
            self._make_room()
            self._begin(hello, start, dated_by)

    def _begin(self, hello: Hello, start: datetime, dated_by: str) -> None:
        axes = [code[2] for code in hello.channels]
        self._order = [axes.index(a) for a in "ENZ"] if sorted(axes) == list("ENZ") else []
        self._order = self._order or list(range(len(axes)))
        name = f"{self._station}.{self._network}_{start:%Y%m%d%H%M%S%f}_CO"
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
            trace_start_time=f"{start:%Y-%m-%d %H:%M:%S.%f}",
            sampling_rate_hz=hello.rate_hz,
            network_code=self._network,
            receiver_code=self._station,
            receiver_type=hello.channels[0][:2],
            channels=",".join(hello.channels[i] for i in self._order),
            units_per_count=hello.units_per_count,
            unit=hello.unit,
            device_id=hello.device_id,
            firmware=hello.firmware,
            dated_by=dated_by,
        )

    def add(self, counts: NDArray[np.int32]) -> None:
        """Appends and writes through, so that a crash costs nothing that came before."""
        with _telling(self._path):
            self._make_room()
            held = len(self._dataset)
            self._dataset.resize(held + len(counts), axis=0)
            self._dataset[held:] = counts[:, self._order]
            self._file.flush()

    def close(self) -> None:
        """Closes the file and gives the room back."""
        with _telling(self._path):
            self._file.flush()
            size = self._file.id.get_filesize()
            self._file.close()
            os.truncate(self._path, size)

    def _make_room(self) -> None:
        descriptor, size = self._file.id.get_vfd_handle(), self._file.id.get_filesize()
        end = os.fstat(descriptor).st_size
        if end - size < _ROOM_BYTES // 2:
            _fill(descriptor, end, size + _ROOM_BYTES)


class MiniSeedWriter:
    """miniSEED 2 records of 512 bytes, 32-bit integers; each is written when it is full."""

    def __init__(self, path: Path, network: str, station: str) -> None:
        """Opens a new file; one that exists is not overwritten."""
        try:
            from pymseed import MS3TraceList
        except ImportError as error:
            why = "pymseed is not installed; pip install 'eqedge[mseed]', or record to .hdf5"
            raise RecordingError(path, why) from error
        if len(network) > 2 or len(station) > 5:
            raise RecordingError(path, f"{network}.{station}: miniSEED takes 2 and 5 letters")
        self._path = path
        with _telling(path):
            self._file: BinaryIO = path.open("xb", buffering=0)
        self._traces = MS3TraceList()
        self._station = f"FDSN:{network}_{station}_"
        self._hello: Hello | None = None
        self._start_ns = self._taken = 0

    def begin(self, hello: Hello, start: datetime, dated_by: str) -> None:
        """Writes the last records of the run before and notes the new start."""
        self._write(all_of_it=True)
        since_1970 = start - datetime.fromtimestamp(0, UTC)
        self._hello, self._taken = hello, 0
        self._start_ns = since_1970 // timedelta(microseconds=1) * 1000

    def add(self, counts: NDArray[np.int32]) -> None:
        """Writes the records that are full."""
        assert self._hello is not None
        at_ns = self._start_ns + round(self._taken * 1e9 / self._hello.rate_hz)
        for channel, code in enumerate(self._hello.channels):
            column = np.ascontiguousarray(counts[:, channel], dtype=np.int32)
            source_id = f"{self._station}_{'_'.join(code)}"
            self._traces.add_data(source_id, column, "i", self._hello.rate_hz, starttime=at_ns)
        self._taken += len(counts)
        self._write(all_of_it=False)

    def close(self) -> None:
        """Writes the rest and closes the file."""
        with closing(self._file):
            self._write(all_of_it=True)

    def _write(self, all_of_it: bool) -> None:
        from pymseed import DataEncoding

        for record in self._traces.generate(
            max_record_length=_RECORD_BYTES,
            encoding=DataEncoding.INT32,
            format_version=2,
            flush_data=all_of_it,
            remove_packed=True,
        ):
            self._put(record)

    def _put(self, record: bytes) -> None:
        """Writes a record; where the disk does not take all of it, nothing."""
        begin, left = self._file.tell(), memoryview(record)
        with _telling(self._path):
            try:
                while left:
                    left = left[self._file.write(left) :]
            except OSError:
                self._file.seek(begin)
                self._file.truncate()
                raise


def _fill(descriptor: int, begin: int, end: int) -> None:
    """Writes zeros from one place in a file to another, so that the disk has room there."""
    while begin < end:
        begin += os.pwrite(descriptor, bytes(end - begin), begin)


def open_writer(path: Path, network: str, station: str) -> Writer:
    """The writer for a file's ending.

    Raises:
        RecordingError: the file cannot be written, or a code is none.
    """
    for name, code in (("network", network), ("station", station)):
        if not _CODE.fullmatch(code):
            raise RecordingError(
                path, f"{name} code {code!r}: use 1 to 8 capital letters or digits"
            )
    if path.suffix in (".h5", ".hdf5"):
        return Hdf5Writer(path, network, station)
    if path.suffix in (".mseed", ".ms", ".miniseed"):
        return MiniSeedWriter(path, network, station)
    raise RecordingError(path, "its ending must be .hdf5 or .mseed")
