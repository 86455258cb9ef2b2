"""Open HDF5 files so that damage is an error, where the library would hang or crash.

Kept for those who train on, or replay, STEAD files that come from interrupted downloads and worn
disks: without it one damaged byte hangs the process, and Ctrl-C does not end it.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import Any

import h5py

SIGNATURE = b"GCOL\x01"
"""Start of a global heap, which holds texts of variable length such as STEAD's attributes."""
LENGTH_BYTES = 8
"""Size of every length in the file; HDF5 allows others, but no program writes them."""
_HEAD = struct.Struct("<8xQ")  # signature, version, reserved; size of the whole heap
_OBJECT = struct.Struct("<H6xQ")  # index, references, reserved; size of what follows
_SEARCH_BYTES = len(SIGNATURE) - 1
CHECKSUM_BYTES = 4
"""Fletcher's, behind each chunk that has one."""
METADATA_BYTES = 128 << 20
"""The most that HDF5 lets its cache of metadata grow. The names of STEAD's 1.27 million traces lie
in one heap of 40 MB: under the usual limit of 32 MB it is read again for each trace that is opened.
"""
UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    MemoryError,
    ArithmeticError,
    LookupError,
)
"""Errors that h5py raises on damage and on data that are not arrays of numbers."""


class DamagedHeap(OSError):
    """A heap whose objects do not fill it exactly."""


class GuardedFile(io.FileIO):
    """A file for `h5py.File` that raises an error where a heap is damaged.

    HDF5 (1.14.6 and 2.0.0) steps through the objects of a heap by the sizes in the file; a size
    of zero makes it loop forever, and it holds Python's lock meanwhile. Each heap is therefore
    checked when its first bytes are read, before the library uses it.
    """

    def readinto(self, buffer: Any, /) -> int:
        """Read as `io.FileIO` does.

        Raises:
            DamagedHeap: The bytes contain the start of a damaged heap.
        """
        begin = self.tell()
        read = super().readinto(buffer) or 0
        # A signature may have come in two portions.
        before = os.pread(self.fileno(), min(_SEARCH_BYTES, begin), max(0, begin - _SEARCH_BYTES))
        data = before + bytes(memoryview(buffer)[:read])
        at = data.find(SIGNATURE)
        while at >= 0:
            self._check_heap(begin - len(before) + at)
            at = data.find(SIGNATURE, at + 1)
        return read

    def _check_heap(self, address: int) -> None:
        head = os.pread(self.fileno(), _HEAD.size, address)
        size = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else 0
        if not _HEAD.size <= size <= os.fstat(self.fileno()).st_size - address:
            raise DamagedHeap(f"the heap of texts at byte {address} ends beyond the file")
        heap = os.pread(self.fileno(), size, address)
        at = _HEAD.size
        while at + _OBJECT.size <= len(heap):
            index, held = _OBJECT.unpack_from(heap, at)
            # The free rest, index 0, includes its own head; an object is padded to eight bytes.
            step = held if index == 0 else _OBJECT.size + (held + 7) // 8 * 8
            if not _OBJECT.size <= step <= len(heap) - at:
                raise DamagedHeap(f"the heap of texts at byte {address} is damaged")
            at += step


class GuardedHdf5(h5py.File):  # type: ignore[misc]  # h5py is untyped
    """An HDF5 file read through `GuardedFile`; quick also where a group has a million names.

    Raises:
        OSError: It is missing or not HDF5.
    """

    def __init__(self, path: str | Path) -> None:
        self._bytes = GuardedFile(path)
        super().__init__(self._bytes, "r")
        if self.id.get_create_plist().get_sizes()[1] != LENGTH_BYTES:
            raise OSError(f"its lengths are not of {LENGTH_BYTES} bytes")
        cache = self.id.get_mdc_config()
        cache.max_size = METADATA_BYTES
        self.id.set_mdc_config(cache)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._bytes.close()


def check_chunks(dataset: Any) -> None:
    """Reject chunks shorter than their checksum, for which HDF5 reads beyond its memory.

    Raises:
        OSError: There is such a chunk.
    """
    if dataset.fletcher32:
        chunks = (dataset.id.get_chunk_info(n) for n in range(dataset.id.get_num_chunks()))
        if any(chunk.size <= CHECKSUM_BYTES for chunk in chunks):
            raise OSError("a chunk is shorter than its checksum")
