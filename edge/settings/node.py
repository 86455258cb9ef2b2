"""Every setting of the node, with its unit and default; each part takes only its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...firmware_bridge.address import port_problem, shown
from ...models.registry import DEFAULT_MODEL
from .delivery import FileSettings, MqttSettings, SpoolSettings, WaveformSettings
from .documented import setting
from .health import HealthSettings
from .validation import require

CODE = re.compile(r"[A-Z0-9]{1,8}")
"""A network, station or location code."""


@dataclass(frozen=True)
class StationSettings:
    """The codes of the node's station."""

    network: str = setting(
        "XX", "FDSN network code, 1 to 8 capital letters or digits; XX is for tests."
    )
    station: str = setting("EDGE", "Station code, 1 to 8 capital letters or digits.")
    location: str = setting("00", "Location code; may be empty.")

    def __post_init__(self) -> None:
        """Reject other texts: codes become parts of topics and file names."""
        for name in ("network", "station", "location"):
            value = getattr(self, name)
            allowed = bool(CODE.fullmatch(value)) or (name == "location" and value == "")
            require(allowed, f"{name} code {value!r}: use 1 to 8 capital letters or digits")


@dataclass(frozen=True)
class SensorSettings:
    """Where the samples come from."""

    port: str | None = setting(
        None, "Serial device, pseudo-terminal, or a pyserial URL such as socket://host:port."
    )
    baud: int = setting(115_200, "Speed of a serial port, bits per second.")
    speed: float = setting(
        1.0,
        "Playback speed, as a multiple of real time; 1 for a real sensor. At other speeds "
        "timestamps count from the start of this month and advance at this speed.",
    )

    def __post_init__(self) -> None:
        """Reject names that no port has, and speeds."""
        problem = None if self.port is None else port_problem(self.port)
        require(problem is None, f"sensor port {shown(self.port or '')}: {problem}")
        require(50 <= self.baud <= 20_000_000, f"baud {self.baud}: use 50 to 20000000")
        require(0 < self.speed <= 2000, f"sensor speed {self.speed}: use more than 0, to 2000")


@dataclass(frozen=True)
class WindowSettings:
    """How the stream is cut into windows."""

    hop_seconds: float = setting(1.0, "Time from one window to the next.")
    buffer_seconds: float = setting(
        240.0,
        "Length of the memory for samples, at least two windows. Each time it is full, the "
        "newest window is moved to its start.",
    )
    fill_seconds: float = setting(
        0.5,
        "A gap up to this long is bridged by a straight line; a longer one starts a new segment.",
    )
    warm_up_seconds: float | None = setting(
        None,
        "A new segment is scored once it is this long; unset: once it fills a window. Until "
        "it fills one, its mirror image is put before it.",
    )
    max_lag_seconds: float = setting(
        2.0,
        "A window that is not scored this long after its samples arrived is left out and "
        "counted, and the hop doubles until the machine keeps up. A replay at --speed max "
        "leaves nothing out.",
    )

    def __post_init__(self) -> None:
        """Reject hops that leave samples unscored, and times out of range."""
        require(0.05 <= self.hop_seconds <= 60, f"hop {self.hop_seconds} s: use 0.05 to 60 s")
        require(0 <= self.fill_seconds <= 10, f"fill {self.fill_seconds} s: use 0 to 10 s")
        buffer, warm_up = self.buffer_seconds, self.warm_up_seconds
        require(1 <= buffer <= 86400, f"buffer_seconds {buffer}: use 1 to 86400")
        require(warm_up is None or 1 <= warm_up <= 600, f"warm_up_seconds {warm_up}: use 1 to 600")
        lag = self.max_lag_seconds
        require(0.1 <= lag <= 3600, f"max_lag_seconds {lag}: use 0.1 to 3600")


@dataclass(frozen=True)
class TriggerSettings:
    """When probabilities become picks and picks an event. All times are data time."""

    preset: str = setting(
        "default",
        "Set of thresholds and confirmation rules on the model's card. Shipped models have "
        "default, early-warning and catalogue.",
    )
    detection_threshold: float | None = setting(
        None,
        "Probability that detection must reach near the P; unset: the preset's. Detection "
        "ends below half of it.",
    )
    P_threshold: float | None = setting(
        None, "Stacked probability that a P pick must reach; unset: the preset's."
    )
    S_threshold: float | None = setting(
        None, "Stacked probability that an S pick must reach; unset: the preset's."
    )
    min_duration_seconds: float | None = setting(
        None, "Shortest duration of detection around a pick; unset: the preset's."
    )
    confirm_windows: int | None = setting(
        None,
        "Number of windows in which a pick must be found before it is announced; unset: the "
        "preset's.",
    )
    confirm_seconds: float | None = setting(
        None,
        "Length of signal that must follow a pick before it is announced, whatever the hop; "
        "unset: the preset's.",
    )
    refractory_seconds: float = setting(
        3.0, "For this long after a pick, no other pick of the same phase starts an event."
    )
    max_s_minus_p_seconds: float = setting(
        60.0, "An S later than this after a P does not belong to it."
    )
    end_quiet_seconds: float = setting(
        3.0, "An event ends when detection has been off for this long."
    )
    s_alone_seconds: float = setting(
        6.0, "An S without a P opens an event after waiting this long for a P."
    )

    def __post_init__(self) -> None:
        """Reject thresholds outside of 0 to 1 and times below zero."""
        for name in ("detection_threshold", "P_threshold", "S_threshold"):
            value = getattr(self, name)
            require(value is None or 0 < value < 1, f"{name} {value}: use a number between 0 and 1")
        windows = self.confirm_windows
        require(windows is None or windows >= 1, f"confirm_windows {windows}: use 1 or more")
        for name in (
            "min_duration_seconds",
            "confirm_seconds",
            "refractory_seconds",
            "max_s_minus_p_seconds",
            "end_quiet_seconds",
            "s_alone_seconds",
        ):
            value = getattr(self, name)
            require(value is None or 0 <= value <= 3600, f"{name} {value}: use 0 to 3600 seconds")


@dataclass(frozen=True)
class Settings:
    """One node."""

    station: StationSettings = field(default_factory=StationSettings)
    sensor: SensorSettings = field(default_factory=SensorSettings)
    window: WindowSettings = field(default_factory=WindowSettings)
    trigger: TriggerSettings = field(default_factory=TriggerSettings)
    model: str = setting(
        DEFAULT_MODEL, "Name of a shipped model, or path of a .tflite file with its card beside it."
    )
    model_fallback: bool = setting(
        True,
        "Where a sensor's node finds `model` missing, damaged, not as its card describes it or not "
        "loadable, let a shipped model pick in its place, and log and publish that; false: end "
        "with exit code 2.",
    )
    output: str | None = setting(None, "JSON-lines file of triggers; unset: standard output.")
    file: FileSettings = field(default_factory=FileSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    waveforms: WaveformSettings = field(default_factory=WaveformSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    mqtt: MqttSettings | None = None
