"""Check the name of a port, and split the address of a machine, before anything is opened."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import parse_qs, urlsplit

NETWORK = ("socket", "rfc2217")
"""Schemes of pyserial that are followed by a host and a port."""
SCHEMES = (*NETWORK, "loop", "spy", "alt", "hwgrep", "cp2110")
"""All that pyserial has."""
OPTIONS = {
    "socket": ("logging",),
    "rfc2217": ("logging", "ign_set_control", "poll_modem", "timeout"),
}
"""What pyserial accepts after the `?` of each."""
LOG_LEVELS = ("debug", "info", "warning", "error")
"""Values of its option `logging`."""
FORMS = "a device such as /dev/ttyACM0, or socket://HOST:PORT"
_WITHOUT_SLASHES = re.compile(rf"({'|'.join(SCHEMES)}):/?(?!/)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[\w.-]+):\d+")


class AddressError(ValueError):
    """An address that cannot be used; the text is the reason, and quotes no user or password."""


def host_and_port(url: str) -> tuple[str, int | None]:
    """Return the host of a URL without brackets, and its port, None where it has none.

    Raises:
        AddressError: The host is empty, the port is none, or an IPv6 address has no brackets.
    """
    place = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
    if place.startswith("["):
        host, closed, rest = place[1:].partition("]")
        if not closed or not _is_ipv6(host) or rest[:1] not in ("", ":"):
            raise AddressError("an IPv6 address needs brackets, as in [::1]:4000")
        port = rest[1:]
    else:
        host, _, port = place.partition(":")
        if ":" in port:
            raise AddressError("an IPv6 address needs brackets, as in [::1]:4000")
    if not host:
        raise AddressError("it names no host")
    if not port:
        return host, None
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise AddressError(f"port {port[:20]!r} is not a number from 1 to 65535")
    return host, int(port)


def shown(url: str) -> str:
    """Return a URL for a message: without user and password, and not endless."""
    return re.sub(r"//[^/]*@", "//...@", url)[:100]


def port_problem(url: str) -> str | None:
    """Return what is wrong with the name of a port, with the remedy; None for a usable one.

    Args:
        url: A path such as `/dev/ttyACM0` or a pyserial URL.
    """
    if not url.strip():
        return f"the name is empty; name {FORMS}"
    if "://" not in url:
        return _path_problem(url)
    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES:
        return f"there is no kind of port {scheme[:20]!r}; name {FORMS}"
    if scheme not in NETWORK:
        return None
    form = f"write {scheme}://HOST:PORT"
    try:
        _, port = host_and_port(url)
        parts = urlsplit(url)
    except ValueError as error:
        reason = str(error) if isinstance(error, AddressError) else "it is no address"
        return f"{reason}; {form}"
    if port is None:
        return f"it names no port; {form}, with the port on which the sensor's server listens"
    if "@" in parts.netloc or parts.path not in ("", "/") or parts.fragment:
        return f"it has more than host and port; {form}"
    for option, values in parse_qs(parts.query, keep_blank_values=True).items():
        if option not in OPTIONS[scheme]:
            return f"it has an unknown option {option[:20]!r}; {form}"
        if option == "logging" and values[0] not in LOG_LEVELS:
            return f"its option logging is none of {', '.join(LOG_LEVELS)}; {form}"
    return None


def _path_problem(path: str) -> str | None:
    found = _WITHOUT_SLASHES.match(path)
    if found:
        return f"the slashes are missing; write {found[1].lower()}://HOST:PORT"
    if _HOST_AND_PORT.fullmatch(path):
        return f"it is no device; for a sensor on the network write socket://{path}"
    return None


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
