"""Log a trouble when it begins, once an hour while it lasts, and when it is over."""

from __future__ import annotations

import logging
import time

REPEAT_SECONDS = 3600.0
"""A trouble that lasts is logged again after this long."""
MOST_TEXTS = 8
"""Different texts of one subject that are logged within that time."""


class Notices:
    """What has been logged of each subject, and when; for one thread.

    However often the text of a subject changes, it has a bounded number of lines an hour.

    Args:
        logger: Where the lines go.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._logged: dict[str, dict[str, float]] = {}

    def begin(self, subject: str, text: str) -> None:
        """Log a warning unless this subject's trouble was logged within the hour, in any text."""
        if not self._recent(subject):
            self._warn(subject, text)

    def change(self, subject: str, text: str) -> None:
        """Log a warning unless this subject had the same text, or many others, within the hour."""
        recent = self._recent(subject)
        if text not in recent and len(recent) < MOST_TEXTS:
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
        self._logged.setdefault(subject, {})[text] = time.monotonic()
        self._logger.warning(text)
