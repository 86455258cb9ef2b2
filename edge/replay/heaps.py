"""An HDF5 file's bytes on their way to the library, which a damaged heap of strings would hang."""

from __future__ import annotations

import io
import os
import struct
from typing import Any

SIGNATURE = b"GCOL\x01"
"""Begins a global heap, where texts of variable length lie, as STEAD's attributes are."""
LENGTH_BYTES = 8
"""Of every length in the file; what else HDF5 allows nobody writes."""
_HEAD = struct.Struct("<8xQ")  # signature, version, reserved; size of the whole heap
_OBJECT = struct.Struct("<H6xQ")  # index, references, reserved; size of what follows
_SEARCH_BYTES = len(SIGNATURE) - 1


class DamagedHeap(OSError):
    """A heap whose objects do not follow one another to its end."""


class GuardedFile(io.FileIO):
    """A file for `h5py.File`, which fails to read a damaged heap instead of looping over it.

    HDF5 (1.14.6 and 2.0.0) steps from one object of a heap to the next by the size that stands in
    the file; where that is zero it never ends, and holds Python's lock meanwhile. So each heap is
    walked here, when its first bytes are read, before the library can see it.
    """

    def readinto(self, buffer: Any, /) -> int:
        """Read as `io.FileIO` does.

        Raises:
            DamagedHeap: Among the bytes a heap begins that cannot be walked.
        """
        begin = self.tell()
        read = super().readinto(buffer) or 0
        # A signature may have come in two portions.
        before = os.pread(self.fileno(), min(_SEARCH_BYTES, begin), max(0, begin - _SEARCH_BYTES))
        data = before + bytes(memoryview(buffer)[:read])
        at = data.find(SIGNATURE)
        while at >= 0:
            self._walk(begin - len(before) + at)
            at = data.find(SIGNATURE, at + 1)
        return read

    def _walk(self, address: int) -> None:
        head = os.pread(self.fileno(), _HEAD.size, address)
        size = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else 0
        if not _HEAD.size <= size <= os.fstat(self.fileno()).st_size - address:
            raise DamagedHeap(f"the heap of texts at byte {address} ends beyond the file")
        heap = os.pread(self.fileno(), size, address)
        at = _HEAD.size
        while at + _OBJECT.size <= len(heap):
            index, held = _OBJECT.unpack_from(heap, at)
            # The free rest, index 0, counts its own head; an object is padded to eight bytes.
            step = held if index == 0 else _OBJECT.size + (held + 7) // 8 * 8
            if not _OBJECT.size <= step <= len(heap) - at:
                raise DamagedHeap(f"the heap of texts at byte {address} is damaged")
            at += step
