"""Keep two services on one machine apart: what only one node can have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ... import EqedgeError
from ..settings.config import read_config
from ..settings.node import Settings
from .service_names import CONFIGS, Service, ServiceError


def configs(root: Path) -> list[Path]:
    """Return the configs of all services."""
    return sorted((root / CONFIGS).glob("*.toml"))


def require_apart(settings: Settings, config: Path | None, root: Path, service: Service) -> None:
    """Reject a new config that shares with another service what only one node can have.

    Raises:
        ServiceError: It does, or writes to the folder of another service.
    """
    name = str(config) if config else "--serial, --network, --station, --location"
    for what, path in _paths(settings):
        place = next((one for one in ("/var/lib", "/run") if path.is_relative_to(one)), None)
        folder = path.relative_to(place).parts[0] if place and path != Path(place) else ""
        if config and re.match(r"eqedge(-|$)", folder) and folder != service.folder:
            raise ServiceError(
                f"{name}: {what} {path} is in another service's folder, to which {service.unit} "
                f"may not write; use {place}/{service.folder}"
            )
    for other in configs(root):
        try:
            theirs = dict(_singular(read_config(other)))
        except EqedgeError:
            continue  # that service cannot run either
        for what, value in _singular(settings):
            if value is not None and theirs.get(what) == value and other != root / service.config:
                raise ServiceError(
                    f"{name}: {other} has the same {what} ({value}), which two nodes cannot share; "
                    "choose another, or remove that service"
                )


def _singular(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """Yield what each node on a machine must have for itself."""
    station = settings.station
    yield "sensor port", settings.sensor.port
    yield "station", f"{station.network}.{station.station}.{station.location}"
    yield "http_port", str(settings.health.http_port) if settings.health.http_port else None
    for what, path in _paths(settings):
        yield what, str(path)


def _paths(settings: Settings) -> Iterator[tuple[str, Path]]:
    places = {
        "output": settings.output,
        "health json_file": settings.health.json_file,
        "health prometheus_file": settings.health.prometheus_file,
        "waveforms folder": settings.waveforms.folder,
    }
    return ((what, Path(place)) for what, place in places.items() if place is not None)
