"""Reject settings, each with one line that names it, its value and a value that works."""

from __future__ import annotations

from ipaddress import ip_address

from ... import EqedgeError


class SettingsError(EqedgeError):
    """A setting cannot be used."""


def require(condition: bool, message: str) -> None:
    """Reject a setting unless the condition holds.

    Raises:
        SettingsError: The condition does not hold; with this message.
    """
    if not condition:
        raise SettingsError(message)


def require_host(what: str, host: str) -> None:
    """Reject a text that is not the name or address of a machine.

    Raises:
        SettingsError: It is empty, contains a user, password, port or path, or cannot be looked up.
    """
    require(bool(host), f"{what} is empty; name one, such as 127.0.0.1")
    # Not quoted: an error message must not contain a password.
    require(
        host.isprintable() and not set("@/ ") & set(host) and (":" not in host or _is_ipv6(host)),
        f"{what} must be a name or an address alone, without user, password, port or path",
    )
    try:
        good = len(host) <= 253 and bool(host.encode("idna"))
    except UnicodeError:  # an empty part, or one of more than 63 letters
        good = False
    require(good, f"{what} {host[:100]!r} is not a name of a machine; check its dots and letters")


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False
