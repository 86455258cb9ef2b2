"""Begin a new spool where the file cannot be used, and write one anew that was lost while open."""

from __future__ import annotations

import logging
from pathlib import Path

from ..files import written_whole
from .spool_counts import SpoolCounts
from .spool_file import SpoolFile
from .spool_layout import REPLACED, Damaged, Newer, Unusable, set_aside

logger = logging.getLogger(__name__)


def open_or_begin(path: Path | None, counts: SpoolCounts, *, is_counted: bool) -> SpoolFile:
    """Open a spool; one that cannot be used is set aside, logged, and a new one begun.

    Args:
        path: None keeps it in memory.
        counts: Of the spools set aside.
        is_counted: This one has been counted at an earlier attempt.

    Raises:
        OutputFileError: The path cannot be used for a spool, or another process uses it.
        DiskRejects: Full, or read-only.
        Unusable: The new one cannot be used either.
    """
    try:
        return SpoolFile(path)
    except Unusable as error:
        assert path is not None
        if not is_counted:
            counts.newer += isinstance(error, Newer)
            counts.damaged += isinstance(error, Damaged)
        aside = set_aside(path, error.suffix)
        if isinstance(error, Newer):
            counts.reason = f"the spool of a newer eqedge was set aside as {aside.name}"
            text = "spool %s: %s; set aside as %s, for that version to deliver"
        else:
            text = "spool %s is damaged (%s); set aside as %s"
        logger.warning(text, path, error, aside.name)
        return SpoolFile(path)


def write_anew(file: SpoolFile, path: Path) -> str:
    """Write all that an open spool contains under its path again; return what was done to it.

    Raises:
        DiskRejects: What was put in its place cannot be renamed.
        OSError: The folder accepts no new file.
        sqlite3.Error: The open file cannot be read, or the disk rejects.
    """
    found = "deleted or cut"
    if path.exists() and not file.is_at_its_path():
        found = f"replaced (by what is now {set_aside(path, REPLACED).name})"
    with written_whole(path, durable=True) as copy:
        file.copy_to(copy)
    return found
