"""Check the folders that a node writes to, and the port that it listens on."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

from ... import how_to_install, reason_of
from ..health.outlets import family_of
from ..settings.health import HealthSettings
from ..settings.node import Settings
from .finding import Check
from .service_names import TEMPLATE, UNIT
from .spool_finding import spool_checks

LEAST_FREE_BYTES = 100_000_000
SERVICE_FOLDERS = (Path("/run/eqedge"), Path("/var/lib/eqedge"))
"""Made by the unit's RuntimeDirectory and StateDirectory when the service starts."""
TEMPLATE_PLACE = Path("/") / TEMPLATE
CREDENTIALS = Path("/run/credentials")
"""Made by the unit's LoadCredential, for as long as the service runs."""


def places(settings: Settings) -> Iterator[Check]:
    """Check folders of output, waveforms and health, spool, secrets, and the HTTP port."""
    if settings.output is not None:
        yield _folder("disk", Path(settings.output).parent)
        json_file = settings.health.json_file
        yield from spool_checks(Path(settings.output), Path(json_file) if json_file else None)
    elif settings.mqtt is not None:
        yield Check(
            "spool",
            True,
            "in memory: messages that the broker has not acknowledged are lost when the node ends",
            "set output; the spool is then a file beside it",
        )
    if settings.mqtt is not None:
        for name in ("credentials_file", "key_file"):
            secret = getattr(settings.mqtt, name)
            if secret is not None:
                yield _secret(name, Path(secret))
    if settings.waveforms.folder is not None:
        yield _waveforms(Path(settings.waveforms.folder))
    for name in ("json_file", "prometheus_file"):
        file = getattr(settings.health, name)
        if file is not None:
            yield _folder(name, Path(file).parent)
    if settings.health.http_port is not None:
        yield _endpoint(settings.health)


def _folder(name: str, folder: Path) -> Check:
    """Check a folder that must exist."""
    if not folder.is_dir():
        if _is_made_by_systemd(folder):
            return Check(name, True, f"systemd makes {folder} when it starts the service")
        return Check(name, False, f"there is no folder {folder}", f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check(
            name,
            False,
            f"{folder} cannot be written by this user",
            "allow the node's user to write there, or choose another folder",
        )
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        return Check(name, False, f"{free / 1e6:.0f} MB free in {folder}", "free some space")
    return Check(name, True, f"{free / 1e9:.1f} GB free in {folder}")


def _is_made_by_systemd(folder: Path) -> bool:
    """Whether it is one of the service's, or of a service made of the template."""
    if folder in SERVICE_FOLDERS:
        return (Path("/") / UNIT).exists()
    own = [one.name for one in SERVICE_FOLDERS if one.parent == folder.parent]
    return any(folder.name.startswith(f"{name}-") for name in own) and TEMPLATE_PLACE.exists()


def _secret(name: str, path: Path) -> Check:
    """Check a file that only the node should be able to read."""
    remedy = f"correct {name}, or allow the node's user to read the file"
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would be waited for
            return Check(name, False, f"{path} is not a regular file", remedy)
        path.open("rb").close()
    except OSError as error:
        if path.is_relative_to(CREDENTIALS):
            return Check(name, True, f"systemd makes {path} while the service runs")
        return Check(name, False, f"{path}: {reason_of(error)}", remedy)
    if mode & 0o077:
        who = "everyone" if mode & 0o007 else "its group"
        return Check(name, True, f"{path} is open to {who}", f"chmod 600 {path}", warns=True)
    return Check(name, True, f"{path} is its owner's alone")


def _waveforms(folder: Path) -> Check:
    """Check a folder that the node makes where it is missing."""
    if find_spec("pymseed") is None:
        return Check("waveforms", False, "pymseed is missing", how_to_install("mseed"))
    there = next(one for one in (folder, *folder.parents) if one.exists())
    return _folder("waveforms", there)


def _endpoint(health: HealthSettings) -> Check:
    where = f"{health.http_host}:{health.http_port}"
    address = (health.http_host, health.http_port or 0)
    try:
        socket.create_server(address, family=family_of(health.http_host)).close()
    except OSError as error:
        return Check(
            "http_port",
            False,
            f"{where}: {os.strerror(error.errno) if error.errno else error}",
            "unless this node is already running: choose another http_port, or correct http_host",
        )
    return Check("http_port", True, f"{where} is free{_reach(health.http_host)}")


def _reach(host: str) -> str:
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return "" if local else ", and open to all who can reach this machine"
