"""Read what proves the node to a broker, and the broker to the node."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ... import reason_of
from ...models.reading import read_file
from ..settings.delivery import MqttSettings
from ..settings.validation import SettingsError

CREDENTIALS_BYTES = 1 << 16
"""Largest file of user name and password that is read."""
CERTIFICATES_BYTES = 1 << 24
"""Largest file of certificates; those of all authorities have a quarter of a megabyte."""


@dataclass(frozen=True)
class Credentials:
    """User name and password of the node.

    Attributes:
        username: Never empty.
        password: None where there is none.
        warning: What is unsafe about the file they come from; empty where nothing is.
    """

    username: str
    password: str | None = field(default=None, repr=False)
    warning: str = ""


def read_credentials(settings: MqttSettings, environ: Mapping[str, str]) -> Credentials | None:
    """Return user name and password from the file or else the environment, None without any.

    Args:
        settings: Of the broker.
        environ: May contain EQEDGE_MQTT_USERNAME and EQEDGE_MQTT_PASSWORD.

    Raises:
        SettingsError: The file cannot be read, or they would be sent unencrypted.
    """
    if settings.credentials_file:
        found = _read_file(Path(settings.credentials_file))
    elif environ.get("EQEDGE_MQTT_USERNAME"):
        username, password = environ["EQEDGE_MQTT_USERNAME"], environ.get("EQEDGE_MQTT_PASSWORD")
        found = Credentials(username, password)
    else:
        return None
    if not settings.tls and not settings.allow_insecure:
        raise SettingsError(
            f"MQTT user name and password would be sent to {settings.host} unencrypted; use "
            "mqtts://, or set allow_insecure if the network is your own"
        )
    return found


def _read_file(path: Path) -> Credentials:
    try:
        lines = read_file(path, CREDENTIALS_BYTES).decode("utf-8-sig").splitlines()
        open_to_others = path.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"MQTT credentials_file {path}: {short_reason(error)}") from None
    if not lines or not lines[0]:
        raise SettingsError(
            f"MQTT credentials_file {path}: write the user name on the first line and the "
            "password on the second"
        )
    warning = f"MQTT credentials_file {path} can be read by others; chmod 600 {path}"
    password = lines[1] if len(lines) > 1 else None
    return Credentials(lines[0], password, warning if open_to_others else "")


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """Return the context that checks the broker's certificate and presents the node's.

    Returns:
        None without TLS.

    Raises:
        SettingsError: A file is missing or contains no certificate.
    """
    if not settings.tls:
        return None
    own = [settings.certificate_file, settings.key_file]
    for name in (settings.ca_file, *own):
        if name:
            with _named(name):
                read_file(Path(name), CERTIFICATES_BYTES)  # OpenSSL reads without a limit
    with _named(settings.ca_file):
        context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.ca_file:
        # Python 3.13 insists on RFC 5280's form, which home-made certificates seldom have. Who
        # signed, for which name and until when is checked all the same.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if settings.certificate_file:
        with _named(*own):
            # Without `password`, OpenSSL would prompt for a passphrase on a terminal.
            context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
    return context


@contextmanager
def _named(*files: str | None) -> Iterator[None]:
    """Name the files of certificates in whatever is raised within."""
    try:
        yield
    except (OSError, ValueError) as error:
        named = " and ".join(name for name in files if name) or "of this system"
        raise SettingsError(f"MQTT certificates {named}: {short_reason(error)}") from error


def short_reason(error: Exception) -> str:
    """Return briefly why a file or a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer"
    return reason_of(error).lower()
