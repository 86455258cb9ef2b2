"""What a setting is refused with: one line that names it, its value and what would do."""

from __future__ import annotations

from .. import EqedgeError


class SettingsError(EqedgeError):
    """A setting is out of range."""


def check(condition: bool, message: str) -> None:
    """Refuse a setting unless the condition holds.

    Raises:
        SettingsError: It does not; with that message.
    """
    if not condition:
        raise SettingsError(message)
