"""Every setting of the node, with its unit and default; each part of the chain takes only its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .. import EqedgeError
from ..models.shelf import DEFAULT_MODEL

CODE = re.compile(r"[A-Z0-9]{1,8}")


class SettingsError(EqedgeError):
    """A setting is out of range."""


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise SettingsError(message)


@dataclass(frozen=True)
class StationSettings:
    """Who the node is, in SEED codes."""

    network: str = "XX"
    """FDSN network code, 1-8 letters or digits; XX is for tests."""
    station: str = "EDGE"
    """Station code."""
    location: str = "00"
    """Location code; may be empty."""

    def __post_init__(self) -> None:
        """Refuse what is no code: these end up in topics and file names."""
        for name in ("network", "station", "location"):
            value = getattr(self, name)
            allowed = bool(CODE.fullmatch(value)) or (name == "location" and value == "")
            _check(allowed, f"{name} code {value!r}: use 1 to 8 capital letters or digits")


@dataclass(frozen=True)
class WindowSettings:
    """How the stream is cut into windows."""

    hop_seconds: float = 1.0
    """From one window to the next."""
    fill_seconds: float = 0.5
    """A gap up to this long is bridged by a straight line; a longer one starts a new segment."""

    def __post_init__(self) -> None:
        """Refuse hops that leave samples unseen."""
        _check(0.05 <= self.hop_seconds <= 60, f"hop {self.hop_seconds} s: use 0.05 to 60 s")
        _check(0 <= self.fill_seconds <= 10, f"fill {self.fill_seconds} s: use 0 to 10 s")


@dataclass(frozen=True)
class TriggerSettings:
    """When probabilities become picks and picks an event. All times are data time."""

    preset: str = "default"
    """Set of thresholds on the model's card."""
    detection_threshold: float | None = None
    """Detection must reach this near the P; None takes the preset's. It is over below half."""
    P_threshold: float | None = None
    """A P pick's stacked probability must reach this; None takes the preset's."""
    S_threshold: float | None = None
    """An S pick's stacked probability must reach this; None takes the preset's."""
    confirm_windows: int = 2
    """Windows that must have seen a sample before a pick there is announced."""
    min_duration_seconds: float = 0.5
    """Detection must stay on at least this long within the event."""
    refractory_seconds: float = 3.0
    """After a pick no other pick of the same phase is taken for another event this long."""
    max_s_minus_p_seconds: float = 60.0
    """An S later than this after a P is not its own."""
    end_quiet_seconds: float = 3.0
    """An event ends when detection has been off this long."""
    s_alone_seconds: float = 6.0
    """An S without a P opens an event after waiting this long for one."""

    def __post_init__(self) -> None:
        """Refuse thresholds outside of 0 to 1 and times below zero."""
        for name in ("detection_threshold", "P_threshold", "S_threshold"):
            value = getattr(self, name)
            _check(value is None or 0 < value < 1, f"{name} {value}: use a number between 0 and 1")
        _check(self.confirm_windows >= 1, f"confirm_windows {self.confirm_windows}: use 1 or more")
        for name in (
            "min_duration_seconds",
            "refractory_seconds",
            "max_s_minus_p_seconds",
            "end_quiet_seconds",
            "s_alone_seconds",
        ):
            _check(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: use 0 or more")


@dataclass(frozen=True)
class MqttSettings:
    """Where events are published."""

    host: str
    port: int = 1883
    topic_prefix: str = "eqedge"
    """First level of every topic: `<prefix>/<network>/<station>/event`."""
    keepalive_seconds: int = 30
    queue_messages: int = 10_000
    """Events kept while the broker is away; the oldest goes first, and is counted."""
    drain_seconds: float = 5.0
    """At the end, how long to wait for the broker's acknowledgements."""

    @classmethod
    def from_url(cls, url: str) -> MqttSettings:
        """Read `mqtt://host[:port][/prefix]`.

        Raises:
            SettingsError: It is no such URL.
        """
        hint = f"MQTT address {url!r}: write mqtt://host:1883"
        try:
            parts = urlsplit(url)
            port = parts.port or 1883
        except ValueError as error:
            raise SettingsError(hint) from error
        _check(parts.scheme == "mqtt" and bool(parts.hostname), hint)
        _check(
            parts.username is None and parts.password is None,
            f"MQTT address of {parts.hostname}: no password belongs in an address; it would be "
            "seen in the process list",
        )
        prefix = parts.path.strip("/") or cls.topic_prefix
        _check(
            not set("+#\0") & set(prefix) and len(prefix) <= 200,
            f"MQTT topic prefix {prefix!r}: no wildcards, at most 200 characters",
        )
        return cls(host=str(parts.hostname), port=port, topic_prefix=prefix)


@dataclass(frozen=True)
class Settings:
    """One node."""

    station: StationSettings = field(default_factory=StationSettings)
    window: WindowSettings = field(default_factory=WindowSettings)
    trigger: TriggerSettings = field(default_factory=TriggerSettings)
    model: str = DEFAULT_MODEL
    """Name of a shipped model, or path of a `.tflite` with its card beside it."""
    output: str | None = None
    """JSON-lines file of triggers; None prints them."""
    mqtt: MqttSettings | None = None
