"""Read memory, processor time and children of a process from Linux's /proc."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal


def resident_bytes(process: int | Literal["self"] = "self") -> int:
    """Return the physical memory that a process holds.

    Args:
        process: Its id, or `self`.

    Raises:
        OSError: There is no /proc, or no such process.
    """
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(process: int | Literal["self"] = "self") -> float:
    """Return the time that a process has run on processors, all threads, user and system.

    Args:
        process: Its id, or `self`.

    Raises:
        OSError: There is no /proc, or no such process.
    """
    # After the name, which may contain blanks: fields 14 and 15 of proc(5).
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children() -> list[int]:
    """Return the ids of the processes that this one has started; none without a /proc."""
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found
