"""Every setting of the node, with its unit and default; each part takes only its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...models.registry import DEFAULT_MODEL
from .delivery import FileSettings, MqttSettings, SpoolSettings, WaveformSettings, check_topic
from .health import HealthSettings
from .validation import SettingsError, check

CODE = re.compile(r"[A-Z0-9]{1,8}")


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
            check(allowed, f"{name} code {value!r}: use 1 to 8 capital letters or digits")


@dataclass(frozen=True)
class SensorSettings:
    """Where the samples come from."""

    port: str | None = None
    """Device, pty, or a pyserial URL such as socket://host:port."""
    baud: int = 115_200
    """Speed of a serial port, bits a second."""
    speed: float = 1.0
    """How much faster than life the port delivers: other than 1 only where a recording is played
    on it. Time then runs as much faster, since the month began."""

    def __post_init__(self) -> None:
        """Refuse speeds no port has."""
        check(50 <= self.baud <= 20_000_000, f"baud {self.baud}: use 50 to 20000000")
        check(0 < self.speed <= 2000, f"sensor speed {self.speed}: use more than 0, to 2000")


@dataclass(frozen=True)
class WindowSettings:
    """How the stream is cut into windows."""

    hop_seconds: float = 1.0
    """From one window to the next."""
    buffer_seconds: float = 240.0
    """Memory for samples, at least two windows; the newest window is moved in it each time it has
    filled up."""
    fill_seconds: float = 0.5
    """A gap up to this long is bridged by a straight line; a longer one starts a new segment."""
    warm_up_seconds: float | None = None
    """A new segment is looked at once it is this long; None: once it fills a window. Until it does,
    its mirror image goes before it."""
    max_lag_seconds: float = 2.0
    """A window not yet scored so long after its samples came is left out and counted, and the hop
    doubles until the machine keeps up. A replay at --speed max leaves nothing out."""

    def __post_init__(self) -> None:
        """Refuse hops that leave samples unseen."""
        check(0.05 <= self.hop_seconds <= 60, f"hop {self.hop_seconds} s: use 0.05 to 60 s")
        check(0 <= self.fill_seconds <= 10, f"fill {self.fill_seconds} s: use 0 to 10 s")
        buffer, warm_up = self.buffer_seconds, self.warm_up_seconds
        check(1 <= buffer <= 86400, f"buffer_seconds {buffer}: use 1 to 86400")
        check(warm_up is None or 1 <= warm_up <= 600, f"warm_up_seconds {warm_up}: use 1 to 600")
        lag = self.max_lag_seconds
        check(0.1 <= lag <= 3600, f"max_lag_seconds {lag}: use 0.1 to 3600")


@dataclass(frozen=True)
class TriggerSettings:
    """When probabilities become picks and picks an event. All times are data time."""

    preset: str = "default"
    """Set of thresholds and confirmation on the model's card; shipped models have early-warning and
    catalogue too."""
    detection_threshold: float | None = None
    """Detection must reach this near the P; None takes the preset's. It is over below half."""
    P_threshold: float | None = None
    """A P pick's stacked probability must reach this; None takes the preset's."""
    S_threshold: float | None = None
    """An S pick's stacked probability must reach this; None takes the preset's."""
    min_duration_seconds: float | None = None
    """Detection must stay on at least this long about a pick; None takes the preset's."""
    confirm_windows: int | None = None
    """Windows that must have seen a pick before it is announced; None takes the preset's."""
    confirm_seconds: float | None = None
    """Signal that must have come after a pick before it is announced, whatever the hop; None takes
    the preset's."""
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
            check(value is None or 0 < value < 1, f"{name} {value}: use a number between 0 and 1")
        windows = self.confirm_windows
        check(windows is None or windows >= 1, f"confirm_windows {windows}: use 1 or more")
        for name in (
            "min_duration_seconds",
            "confirm_seconds",
            "refractory_seconds",
            "max_s_minus_p_seconds",
            "end_quiet_seconds",
            "s_alone_seconds",
        ):
            value = getattr(self, name)
            check(value is None or 0 <= value <= 3600, f"{name} {value}: use 0 to 3600 seconds")


@dataclass(frozen=True)
class Settings:
    """One node."""

    station: StationSettings = field(default_factory=StationSettings)
    sensor: SensorSettings = field(default_factory=SensorSettings)
    window: WindowSettings = field(default_factory=WindowSettings)
    trigger: TriggerSettings = field(default_factory=TriggerSettings)
    model: str = DEFAULT_MODEL
    """Name of a shipped model, or path of a `.tflite` with its card beside it."""
    output: str | None = None
    """JSON-lines file of triggers; None prints them."""
    file: FileSettings = field(default_factory=FileSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    waveforms: WaveformSettings = field(default_factory=WaveformSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    mqtt: MqttSettings | None = None


__all__ = [
    "CODE",
    "FileSettings",
    "HealthSettings",
    "MqttSettings",
    "SensorSettings",
    "Settings",
    "SettingsError",
    "SpoolSettings",
    "StationSettings",
    "TriggerSettings",
    "WaveformSettings",
    "WindowSettings",
    "check_topic",
]
