"""Errors of the outputs, and which of them a disk causes that may accept data later."""

from __future__ import annotations

import errno

from ... import EqedgeError

NO_ROOM = {errno.EROFS, errno.ENOSPC, errno.EDQUOT}
"""Errors of a disk that accepts nothing now and may accept it later."""


class OutputFileError(EqedgeError):
    """An output cannot be opened, or its reader has closed it."""


class NotOurs(OutputFileError):
    """An output is in use by another process, or holds something else than events."""
