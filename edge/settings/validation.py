"""What a setting is refused with: one line that names it, its value and what would do."""

from __future__ import annotations

from ipaddress import ip_address

from ... import EqedgeError


class SettingsError(EqedgeError):
    """A setting is out of range."""


def check(condition: bool, message: str) -> None:
    """Refuse a setting unless the condition holds.

    Raises:
        SettingsError: It does not; with that message.
    """
    if not condition:
        raise SettingsError(message)


def check_host(what: str, host: str) -> None:
    """Refuse what is no name or address of a machine.

    Raises:
        SettingsError: It is empty, or has a user, password, port or path in it, or no name server
            would take it.
    """
    check(bool(host), f"{what} is empty; name one, such as 127.0.0.1")
    # Not quoted: a password must not come out in an error message.
    check(
        host.isprintable() and not set("@/ ") & set(host) and (":" not in host or _is_ipv6(host)),
        f"{what} must be a name or an address alone, without user, password, port or path",
    )
    try:
        good = len(host) <= 253 and bool(host.encode("idna"))
    except UnicodeError:  # an empty part, or one of more than 63 letters
        good = False
    check(good, f"{what} {host[:100]!r} is no name of a machine; look at its dots and letters")


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False
