"""Send the program's log to standard error: one line a message, with priorities under systemd."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

LEVELS = ("debug", "info", "warning", "error")
ROOT = "eqedge"
"""Every logger of the package is below this one."""
MOST_CHANGES = 6
"""Lines about one subject within `CHANGES_SECONDS`; a fault that comes and goes fills no disk."""
CHANGES_SECONDS = 3600.0
_PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
"""syslog(3) has another number for each level; journald reads it as `<4>` before the line."""


class StandardError(logging.Handler):
    """Writes to whatever standard error is at that moment.

    Standard output may carry triggers. A log on a full disk, or a closed one, must not end a node.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        # A program started with standard error closed has none; a closed one raises ValueError.
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


class OneLine(logging.Formatter):
    """`eqedge: message`, with the level's name from warning on, or its priority for journald.

    Args:
        journal: Whether journald reads the lines.
    """

    def __init__(self, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, whatever it quotes."""
        text = one_line(record.getMessage())
        if self._journal:
            return f"<{_PRIORITIES.get(record.levelno, 6)}>{ROOT}: {text}"
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"{ROOT}: {level}{text}"


def one_line(text: str) -> str:
    """Return a text that a terminal shows as one line, whatever a file or a device has in it.

    Line ends become spaces; other characters that a terminal obeys are written as Python does.
    """
    line = " ".join(text.splitlines())
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class Changes:
    """Logs each change of one subject's state, a few times an hour at most.

    Args:
        logger: Where the lines go.
        monotonic: Seconds.
    """

    def __init__(
        self, logger: logging.Logger, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._monotonic = monotonic
        self._last = ""
        self._logged: deque[float] = deque()

    def note(self, level: int, text: str) -> None:
        """Log the state unless it is the one noted before, or too many were logged."""
        if text == self._last:
            return
        self._last = text
        now = self._monotonic()
        while self._logged and now - self._logged[0] > CHANGES_SECONDS:
            self._logged.popleft()
        if len(self._logged) < MOST_CHANGES:
            self._logged.append(now)
            if len(self._logged) == MOST_CHANGES:
                text += " (it changes often: further changes within the hour are not logged)"
            self._logger.log(level, "%s", text)


def write_last(text: str, environ: Mapping[str, str] = os.environ) -> None:
    """Write the line with which the program ends, for journald with the priority of an error.

    Args:
        text: Its one line.
        environ: As for `configure`.
    """
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(as_line(text, logging.ERROR, environ))
        sys.stderr.flush()


def as_line(text: str, level: int = logging.INFO, environ: Mapping[str, str] = os.environ) -> str:
    """Return a line for standard error that does not pass through a logger.

    Args:
        text: One line.
        level: Its priority, of which journald is informed.
        environ: As for `configure`.
    """
    priority = f"<{_PRIORITIES[level]}>" if _is_journal(environ) else ""
    return f"{priority}{ROOT}: {one_line(' '.join(text.split()))}\n"


def configure(level: str = "info", environ: Mapping[str, str] = os.environ) -> None:
    """Let messages of this level and above through; a second call replaces the first.

    Args:
        level: One of `LEVELS`.
        environ: Has `JOURNAL_STREAM` where systemd connects standard error to its journal.
    """
    handler = StandardError()
    handler.setFormatter(OneLine(_is_journal(environ)))
    logger = logging.getLogger(ROOT)
    for old in [one for one in logger.handlers if isinstance(one, StandardError)]:
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(level.upper())


def _is_journal(environ: Mapping[str, str]) -> bool:
    """Whether standard error is the very stream that systemd named, see sd-daemon(3)."""
    named = environ.get("JOURNAL_STREAM", "")
    with suppress(OSError, ValueError, AttributeError):
        status = os.fstat(sys.stderr.fileno())
        return named == f"{status.st_dev}:{status.st_ino}"
    return False
