"""Reserve space on the disk behind a file's end, so that some more fits on a full disk."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

RESERVED_BYTES = 65_536
"""Bytes behind the end of the file: some fifty lines."""
_KEEP_SIZE = 1
"""Flag of fallocate(2): the file's length stays as it is."""


class Reserve:
    """Space behind the end of one open file, where the file system has fallocate.

    For a node that is killed or loses power while its disk is full: without the reserve, its newest
    messages would be in memory only, and lost. Ext4, XFS, F2FS and tmpfs have fallocate; on FAT or
    NFS there is no reserve and nothing else changes.

    Args:
        descriptor: Of the file, open for writing, as long as the reserve is in use.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._until = 0

    def follow(self, end: int) -> None:
        """Reserve more as soon as half of it is used; a full disk raises nothing.

        Args:
            end: Length of the file, bytes.
        """
        if self._until - end >= RESERVED_BYTES // 2:
            return
        fallocate = _fallocate()
        if fallocate and fallocate(self._descriptor, _KEEP_SIZE, end, RESERVED_BYTES) == 0:
            self._until = end + RESERVED_BYTES


@cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    try:
        call = ctypes.CDLL(None).fallocate64
    except (OSError, AttributeError):
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return call
