"""Write the files of a systemd service that runs a node."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ... import EqedgeError, reason_of
from ..files import written_whole
from ..settings.config import read_config
from ..settings.node import Settings

UNIT = "etc/systemd/system/eqedge.service"
CONFIG = "etc/eqedge/eqedge.toml"
PROGRAM_IN_UNIT = "/opt/eqedge/bin/eqedge"
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What the unit's ProtectHome and PrivateTmp hide from the service."""
NEXT = (
    "eqedge doctor --config /etc/eqedge/eqedge.toml   # shows what is still missing",
    "systemctl daemon-reload",
    "systemctl enable --now eqedge                    # nothing runs before this",
)


class ServiceError(EqedgeError):
    """The service cannot be installed in this way."""


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


def pieces(program: Path, settings: Settings, config: Path | None, root: Path) -> list[Piece]:
    """Return the files of the service: the unit, and a config where there is none.

    The unit makes its own user (DynamicUser) and its folders when it runs, so no others are needed.
    An existing unit is replaced; changes belong in a drop-in (`systemctl edit eqedge`). An existing
    config is kept.

    Args:
        program: The `eqedge` that the service runs.
        settings: Station, sensor and broker of a new config.
        config: A config to copy instead; it is checked.
        root: Folder of the system's files: `/`, or that of an image.

    Raises:
        ServiceError: The service could not run the program, or no sensor is given.
        SettingsError: The config is wrong.
    """
    hidden = next((folder for folder in HIDDEN if program.is_relative_to(folder)), None)
    if hidden is not None:
        raise ServiceError(
            f"{program} is in {hidden}, which is hidden from a hardened service; install it "
            "from its checkout: python3 -m venv /opt/eqedge && /opt/eqedge/bin/pip install ."
        )
    unit = (resources.files(__package__) / "eqedge.service").read_text()
    unit = unit.replace(PROGRAM_IN_UNIT, str(program))
    place = root / CONFIG
    if place.exists():
        kept = Piece(place, place.read_text(), "kept")
        read_config(place)
        return [_piece(root / UNIT, unit), kept]
    if config is not None:
        read_config(config)
        return [_piece(root / UNIT, unit), Piece(place, config.read_text())]
    if settings.sensor.port is None:
        raise ServiceError(
            "the service needs a sensor; give --serial PORT, or a whole --config FILE.toml"
        )
    return [_piece(root / UNIT, unit), Piece(place, config_text(settings))]


def config_text(settings: Settings) -> str:
    """Return the config file of a live node, with the least it needs."""
    lines = [
        "# All settings with their defaults: eqedge run --print-config",
        'output = "/var/lib/eqedge/triggers.jsonl"',
        "",
        "[station]",
        *(f"{name} = {json.dumps(value)}" for name, value in vars(settings.station).items()),
        "",
        "[sensor]",
        f"port = {json.dumps(settings.sensor.port)}",
        f"baud = {settings.sensor.baud}",
        "",
        "[health]",
        'json_file = "/run/eqedge/health.json"',
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


def _piece(path: Path, text: str) -> Piece:
    if not path.exists():
        return Piece(path, text)
    return Piece(path, text, "the same" if path.read_text() == text else "replaced")
