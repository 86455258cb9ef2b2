"""Name the unit, config and folders of a service: the only one, or one of several stations."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ... import EqedgeError

UNITS = "etc/systemd/system"
UNIT = f"{UNITS}/eqedge.service"
TEMPLATE = f"{UNITS}/eqedge@.service"
CONFIGS = "etc/eqedge"
CONFIG = f"{CONFIGS}/eqedge.toml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,23}")
"""Of a station's service: systemd would escape other letters, and the name of its user, which is
`eqedge-NAME`, has 31 characters at most."""


class ServiceError(EqedgeError):
    """The service cannot be installed in this way."""


@dataclass(frozen=True)
class Service:
    """Names of one service and its files.

    Attributes:
        name: Of one station among several on the machine; empty for the only one.

    Raises:
        ServiceError: The name cannot be one of a service.
    """

    name: str = ""

    def __post_init__(self) -> None:
        """Reject names that systemd escapes, and the one whose config is the only station's."""
        usable = not self.name or (bool(NAME.fullmatch(self.name)) and self.name != "eqedge")
        if not usable:
            raise ServiceError(
                f"--name {self.name!r}: use 1 to 24 letters, digits, - or _, and not eqedge"
            )

    @property
    def unit(self) -> str:
        """As `systemctl` names it."""
        return f"eqedge@{self.name}" if self.name else "eqedge"

    @property
    def unit_file(self) -> str:
        """Path of its unit, from the root; of several stations it is one template."""
        return TEMPLATE if self.name else UNIT

    @property
    def config(self) -> str:
        """Path of its config, from the root."""
        return f"{CONFIGS}/{self.name or 'eqedge'}.toml"

    @property
    def folder(self) -> str:
        """Name of its folder in /var/lib and /run."""
        return f"eqedge-{self.name}" if self.name else "eqedge"

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What is left to the operator."""
        steps = (
            (f"eqedge doctor --config /{self.config}", "shows what is still missing"),
            ("systemctl daemon-reload", ""),
            (f"systemctl enable --now {self.unit}", "nothing runs before this"),
        )
        return tuple(f"{step:48} # {note}" if note else step for step, note in steps)
