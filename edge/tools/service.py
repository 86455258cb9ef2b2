"""Write the files of a systemd service that runs a node."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ... import reason_of
from ..files import written_whole
from ..settings.config import read_config
from ..settings.node import Settings
from .apart import configs, require_apart
from .service_names import CONFIG, UNITS, Service, ServiceError

PROGRAM_IN_UNIT = "/opt/eqedge/bin/eqedge"
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What the unit's ProtectHome and PrivateTmp hide from the service."""


@dataclass(frozen=True)
class Piece:
    """One file of the service.

    Attributes:
        path: Of the file.
        text: Its content.
        state: `kept`, `replaced` or `the same`; empty where there is no such file yet.
    """

    path: Path
    text: str
    state: str = ""


def pieces(
    program: Path,
    settings: Settings,
    config: Path | None,
    root: Path,
    service: Service | None = None,
) -> list[Piece]:
    """Return the files of the service: the unit, and a config where there is none.

    The unit makes its own user (DynamicUser) and its folders when it runs, so no others are needed.
    An existing unit is replaced; changes belong in a drop-in (`systemctl edit eqedge`). An existing
    config is kept.

    Args:
        program: The `eqedge` that the service runs.
        settings: Station, sensor and broker of a new config.
        config: A config to copy instead; it is checked.
        root: Folder of the system's files: `/`, or that of an image.
        service: Its names; by default those of the only one on a machine.

    Raises:
        ServiceError: The service could not run the program, no sensor is given, or a new config
            uses what another service on this machine uses.
        SettingsError: The config is wrong.
    """
    service = service or Service()
    hidden = next((folder for folder in HIDDEN if program.is_relative_to(folder)), None)
    if hidden is not None:
        raise ServiceError(
            f"{program} is in {hidden}, which is hidden from a hardened service; install it "
            "from its checkout: python3 -m venv /opt/eqedge && /opt/eqedge/bin/pip install ."
        )
    unit = (resources.files(__package__) / Path(service.unit_file).name).read_text()
    unit_piece = _piece(root / service.unit_file, unit.replace(PROGRAM_IN_UNIT, str(program)))
    place = root / service.config
    if place.exists():
        read_config(place)
        return [unit_piece, Piece(place, place.read_text(), "kept")]
    if config is not None:
        require_apart(read_config(config), config, root, service)
        return [unit_piece, Piece(place, config.read_text())]
    if settings.sensor.port is None:
        raise ServiceError(
            "the service needs a sensor; give --serial PORT, or a whole --config FILE.toml"
        )
    require_apart(settings, None, root, service)
    return [unit_piece, Piece(place, config_text(settings, service))]


def config_text(settings: Settings, service: Service | None = None) -> str:
    """Return the config file of a live node, with the least it needs."""
    folder = (service or Service()).folder
    lines = [
        "# All settings with their defaults: eqedge run --print-config",
        f'output = "/var/lib/{folder}/triggers.jsonl"',
        "",
        "[station]",
        *(f"{name} = {json.dumps(value)}" for name, value in vars(settings.station).items()),
        "",
        "[sensor]",
        f"port = {json.dumps(settings.sensor.port)}",
        f"baud = {settings.sensor.baud}",
        "",
        "[health]",
        f'json_file = "/run/{folder}/health.json"',
    ]
    if settings.mqtt is not None:
        broker = settings.mqtt
        lines += ["", "[mqtt]", f"host = {json.dumps(broker.host)}", f"port = {broker.port}"]
        lines += [f"topic_prefix = {json.dumps(broker.topic_prefix)}"]
        lines += ["tls = true"] if broker.tls else []
        lines += ["# user name and password: see LoadCredential in the unit"]
    return "\n".join(lines) + "\n"


def install(found: list[Piece]) -> None:
    """Write the files, each whole or not at all.

    Raises:
        ServiceError: A file cannot be written.
    """
    for piece in found:
        if piece.state in ("kept", "the same"):
            continue
        try:
            piece.path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(piece.path, mode=0o644) as unfinished:
                unfinished.write_text(piece.text)
        except OSError as error:
            raise ServiceError(
                f"cannot write {piece.path}: {reason_of(error)}; run it as root, or with --dry-run "
                "to see what would be written"
            ) from error


def remove(service: Service, root: Path, *, dry_run: bool = False) -> list[Path]:
    """Remove unit and config of one service; return them.

    Its events and spool stay. The template stays as long as another station's config is there.

    Args:
        service: Which one.
        root: Folder of the system's files.
        dry_run: Remove nothing.

    Raises:
        ServiceError: It is still enabled, is not installed, or a file cannot be removed.
    """
    wanted = root / UNITS / "multi-user.target.wants" / f"{service.unit}.service"
    if wanted.is_symlink():
        raise ServiceError(
            f"{service.unit} is still enabled; first systemctl disable --now {service.unit}"
        )
    config, unit = root / service.config, root / service.unit_file
    others = [one for one in configs(root) if one not in (config, root / CONFIG)]
    gone = [config] if service.name and others else [config, unit]
    gone = [path for path in gone if path.exists()]
    if config not in gone and (service.name or not gone):
        raise ServiceError(f"there is no {config}; name the service to remove with --name NAME")
    for path in [] if dry_run else gone:
        try:
            path.unlink()
        except OSError as error:
            raise ServiceError(f"cannot remove {path}: {reason_of(error)}; use sudo") from error
    return gone


def _piece(path: Path, text: str) -> Piece:
    if not path.exists():
        return Piece(path, text)
    return Piece(path, text, "the same" if path.read_text() == text else "replaced")
