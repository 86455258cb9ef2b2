"""Check the folders that a node writes to, and the port that it listens on."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

from ... import how_to_install
from ..health.outlets import family_of
from ..settings.health import HealthSettings
from ..settings.node import Settings
from .finding import Check
from .service import UNIT

LEAST_FREE_BYTES = 100_000_000
SERVICE_FOLDERS = (Path("/run/eqedge"), Path("/var/lib/eqedge"))
"""Made by the unit's RuntimeDirectory and StateDirectory when the service starts."""


def places(settings: Settings) -> Iterator[Check]:
    """Check the folders of output, waveforms and health, the spool, and the HTTP port."""
    if settings.output is not None:
        yield _folder("disk", Path(settings.output).parent)
    elif settings.mqtt is not None:
        yield Check(
            "spool",
            True,
            "in memory: messages that the broker has not acknowledged are lost when the node ends",
            "set output; the spool is then a file beside it",
        )
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
        if folder in SERVICE_FOLDERS and (Path("/") / UNIT).exists():
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
