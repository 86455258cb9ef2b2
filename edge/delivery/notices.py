"""Log a trouble when it begins, once an hour while it lasts, and when it is over."""

from __future__ import annotations

import logging
import time

REPEAT_SECONDS = 3600.0
"""A trouble that lasts is logged again after this long."""
MOST_LINES = 8
"""Lines of one subject that are logged within that time, whatever becomes of it."""


class Notices:
    """What has been logged of each subject, and when; for one thread.

    However often the text of a subject changes, or its trouble ends and begins again, it has a
    bounded number of lines an hour; the last of them states that.

    Args:
        logger: Where the lines go.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._logged: dict[str, dict[str, float]] = {}
        self._times: dict[str, list[float]] = {}

    def begin(self, subject: str, text: str) -> None:
        """Log a warning unless this subject's trouble was logged within the hour, in any text."""
        if not self._recent(subject):
            self._warn(subject, text)

    def change(self, subject: str, text: str) -> None:
        """Log a warning unless this subject had the same text within the hour."""
        recent = self._recent(subject)
        if text not in recent:
            self._warn(subject, text)

    def end(self, subject: str, text: str = "") -> None:
        """Forget the subject's trouble; log the text where there was any."""
        if self._logged.pop(subject, None) is not None and text:
            self._logger.info(text)

    def _recent(self, subject: str) -> dict[str, float]:
        """Return what was logged of a subject within the hour, and when."""
        recent = self._logged.get(subject, {})
        oldest = time.monotonic() - REPEAT_SECONDS
        for text in [text for text, when in recent.items() if when < oldest]:
            del recent[text]
        return recent

    def _warn(self, subject: str, text: str) -> None:
        now = time.monotonic()
        times = [when for when in self._times.get(subject, ()) if when >= now - REPEAT_SECONDS]
        self._times[subject] = times
        if len(times) == MOST_LINES:
            return
        times.append(now)
        self._logged.setdefault(subject, {})[text] = now
        rest = "; more of this is not logged for an hour" if len(times) == MOST_LINES else ""
        self._logger.warning("%s%s", text, rest)
