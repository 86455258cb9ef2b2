"""Log a trouble when it begins, once an hour while it lasts, and when it is over."""

from __future__ import annotations

import logging
import time

REPEAT_SECONDS = 3600.0
"""A trouble that lasts is logged again after this long."""


class Notices:
    """What has been logged of each subject, and when; for one thread.

    Args:
        logger: Where the lines go.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._last: dict[str, tuple[str, float]] = {}

    def begin(self, subject: str, text: str) -> None:
        """Log a warning unless this subject's trouble was logged within the hour, in any text."""
        if subject not in self._last or self._is_due(subject):
            self._warn(subject, text)

    def change(self, subject: str, text: str) -> None:
        """Log a warning unless it is this subject's last one and was logged within the hour."""
        if self._last.get(subject, ("", 0.0))[0] != text or self._is_due(subject):
            self._warn(subject, text)

    def end(self, subject: str, text: str = "") -> None:
        """Forget the subject's trouble; log the text where there was any."""
        if self._last.pop(subject, None) is not None and text:
            self._logger.info(text)

    def _is_due(self, subject: str) -> bool:
        return time.monotonic() - self._last[subject][1] > REPEAT_SECONDS

    def _warn(self, subject: str, text: str) -> None:
        self._last[subject] = (text, time.monotonic())
        self._logger.warning(text)
