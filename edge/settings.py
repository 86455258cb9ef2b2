"""Every setting of the node, with its unit and default; each part takes only its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
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
        _check(50 <= self.baud <= 20_000_000, f"baud {self.baud}: use 50 to 20000000")
        _check(0 < self.speed <= 2000, f"sensor speed {self.speed}: use more than 0, to 2000")


@dataclass(frozen=True)
class WindowSettings:
    """How the stream is cut into windows."""

    hop_seconds: float = 1.0
    """From one window to the next."""
    fill_seconds: float = 0.5
    """A gap up to this long is bridged by a straight line; a longer one starts a new segment."""
    max_lag_seconds: float = 2.0
    """A window not yet scored so long after its samples came is left out and counted, and the hop
    doubles until the machine keeps up. A replay at --speed max leaves nothing out."""

    def __post_init__(self) -> None:
        """Refuse hops that leave samples unseen."""
        _check(0.05 <= self.hop_seconds <= 60, f"hop {self.hop_seconds} s: use 0.05 to 60 s")
        _check(0 <= self.fill_seconds <= 10, f"fill {self.fill_seconds} s: use 0 to 10 s")
        lag = self.max_lag_seconds
        _check(0.1 <= lag <= 3600, f"max_lag_seconds {lag}: use 0.1 to 3600")


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
            value = getattr(self, name)
            _check(0 <= value <= 3600, f"{name} {value}: use 0 to 3600 seconds")


@dataclass(frozen=True)
class MqttSettings:
    """Where events are published. User and password never stand in a setting."""

    host: str
    """Name or address of the broker."""
    port: int = 1883
    """TCP port; 8883 is usual with TLS."""
    topic_prefix: str = "eqedge"
    """First level, or levels, of every topic: `<prefix>/<network>/<station>/event`."""
    tls: bool = False
    """Encrypt, and check the broker's certificate and name; `mqtts://` turns it on."""
    ca_file: str | None = None
    """PEM certificates the broker's must descend from; None takes the system's."""
    certificate_file: str | None = None
    """PEM certificate the node shows the broker; its key may stand in the same file."""
    key_file: str | None = None
    """PEM key of that certificate, without a passphrase."""
    credentials_file: str | None = None
    """User name on the first line, password on the second; before EQEDGE_MQTT_USERNAME and
    EQEDGE_MQTT_PASSWORD of the environment."""
    allow_insecure: bool = False
    """Send user name and password also over plain TCP, where anyone on the way reads them."""
    protocol: str = "5"
    """MQTT version, 5 or 3.1.1. Only with 5 does a broker say that it refused a message."""
    keepalive_seconds: int = 30
    """Silence after which the broker is asked for a sign of life; as long again, and it is lost."""
    connect_timeout_seconds: float = 10.0
    """How long one attempt to connect may take."""
    retry_min_seconds: float = 1.0
    """Wait before the second attempt to connect; doubles from one to the next, with jitter."""
    retry_max_seconds: float = 60.0
    """Longest wait between two attempts."""
    max_payload_bytes: int = 65_536
    """A message longer than this is not published, and counted."""
    historical_seconds: float = 60.0
    """A message delivered later than this after it was made is marked `historical`."""
    drain_seconds: float = 5.0
    """At the end, how long to wait for the broker's acknowledgements."""
    home_assistant_prefix: str = ""
    """Announce the node to Home Assistant under this prefix, usually homeassistant; empty: off."""

    def __post_init__(self) -> None:
        """Refuse topics no broker takes, and numbers that would make a useless or hectic client."""
        _check(bool(self.host), "MQTT host is empty")
        _check(1 <= self.port <= 65535, f"MQTT port {self.port}: use 1 to 65535")
        check_topic("MQTT topic prefix", self.topic_prefix)
        if self.home_assistant_prefix:
            check_topic("Home Assistant prefix", self.home_assistant_prefix)
        _check(self.protocol in ("5", "3.1.1"), f"MQTT protocol {self.protocol!r}: use 5 or 3.1.1")
        _check(
            self.tls or not (self.ca_file or self.certificate_file or self.key_file),
            "MQTT certificates are given but TLS is off: write mqtts:// or tls = true",
        )
        _check(
            not self.key_file or bool(self.certificate_file),
            "MQTT key_file is given without a certificate_file",
        )
        for name, low, high in (
            ("keepalive_seconds", 1, 65535),
            ("connect_timeout_seconds", 0.1, 300),
            ("retry_min_seconds", 0.05, 3600),
            ("retry_max_seconds", self.retry_min_seconds, 86400),
            ("max_payload_bytes", 1024, 16_777_216),
            ("historical_seconds", 0, 86400),
            ("drain_seconds", 0, 600),
        ):
            value = getattr(self, name)
            _check(low <= value <= high, f"MQTT {name} {value}: use {low} to {high}")

    @property
    def address(self) -> str:
        """The broker as an address, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    @classmethod
    def from_url(cls, url: str) -> MqttSettings:
        """Read `mqtt://host[:port][/prefix]`, or `mqtts://` for TLS.

        Raises:
            SettingsError: It is no such URL.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingsError("MQTT address: write mqtt://host:1883") from error
        # Before anything quotes the address: a password must not come out in an error message.
        _check(
            parts.username is None and parts.password is None,
            f"MQTT address of {parts.hostname}: no password belongs in an address, where the "
            "process list shows it; use credentials_file, or EQEDGE_MQTT_USERNAME and _PASSWORD",
        )
        hint = f"MQTT address {url!r}: write mqtt://host:1883 or mqtts://host:8883"
        _check(parts.scheme in ("mqtt", "mqtts") and bool(parts.hostname), hint)
        _check(not set("?#") & set(url), hint)
        tls = parts.scheme == "mqtts"
        return cls(
            host=str(parts.hostname),
            port=port if port is not None else 8883 if tls else 1883,
            topic_prefix=parts.path.strip("/") or cls.topic_prefix,
            tls=tls,
        )


def check_topic(what: str, topic: str) -> None:
    """Refuse what cannot be published to, or would land where nobody looks.

    Raises:
        SettingsError: Wildcards, control characters, empty levels, a leading `$`, or too long.
    """
    _check(
        not set("+#") & set(topic)
        and topic.isprintable()
        and all(topic.split("/"))
        and not topic.startswith("$")
        and len(topic.encode()) <= 200,
        f"{what} {topic!r}: no wildcards (+ #), no control characters, no empty level, "
        "no leading $, at most 200 bytes",
    )


@dataclass(frozen=True)
class FileSettings:
    """How the lines of `output` are kept."""

    fsync: Literal["always", "never"] = "always"
    """`always`: on the disk before the network is offered it. `never`: when the kernel likes."""
    rotate_bytes: int = 16_777_216
    """Before the file grows beyond this it becomes FILE.1; 0 never rotates."""
    keep_files: int = 5
    """Rotated files kept; the oldest goes."""

    def __post_init__(self) -> None:
        """Refuse files too small for a line."""
        _check(self.fsync in ("always", "never"), f"fsync {self.fsync!r}: use always or never")
        _check(
            self.rotate_bytes == 0 or self.rotate_bytes >= 65_536,
            f"file rotate_bytes {self.rotate_bytes}: use 0, or 65536 or more",
        )
        _check(0 <= self.keep_files <= 1000, f"file keep_files {self.keep_files}: use 0 to 1000")


@dataclass(frozen=True)
class SpoolSettings:
    """What is kept for the broker until it has acknowledged it."""

    max_messages: int = 100_000
    """Messages kept; beyond, the oldest goes first, and is counted."""
    max_bytes: int = 67_108_864
    """Payload kept, in bytes; as above."""
    fsync: Literal["always", "never"] = "always"
    """`always`: on the disk before it is offered to the network. `never`: when the kernel likes."""

    def __post_init__(self) -> None:
        """Refuse a spool that keeps nothing."""
        _check(self.max_messages >= 1, f"spool max_messages {self.max_messages}: use 1 or more")
        _check(self.max_bytes >= 4096, f"spool max_bytes {self.max_bytes}: use 4096 or more")
        _check(self.fsync in ("always", "never"), f"fsync {self.fsync!r}: use always or never")


@dataclass(frozen=True)
class SnippetSettings:
    """Waveforms of each event, kept as miniSEED; needs `pip install 'eqedge[mseed]'`."""

    folder: str | None = None
    """Where they go, one file an event; None keeps none."""
    before_seconds: float = 30.0
    """From before the first pick."""
    after_seconds: float = 60.0
    """To after it."""
    max_bytes: int = 268_435_456
    """All files together; beyond, the oldest goes first, and is counted."""

    def __post_init__(self) -> None:
        """Refuse lengths that memory should not hold."""
        for name in ("before_seconds", "after_seconds"):
            value = getattr(self, name)
            _check(0 <= value <= 600, f"snippets {name} {value}: use 0 to 600")
        _check(self.max_bytes >= 65_536, f"snippets max_bytes {self.max_bytes}: use 65536 or more")


@dataclass(frozen=True)
class HealthSettings:
    """How the node tells how it is, and when it takes itself for stuck."""

    interval_seconds: float = 30.0
    """From one health record to the next."""
    json_file: str | None = None
    """File that always holds the newest record."""
    prometheus_file: str | None = None
    """File for node_exporter's text file collector; its name ends in .prom."""
    http_port: int | None = None
    """Serve /metrics and /health on this TCP port; None: nothing listens."""
    http_host: str = "127.0.0.1"
    """Address for it; the default is reached from the node itself only."""
    samples_silence_seconds: float = 30.0
    """Without a sample for longer, the source is taken for frozen."""
    inference_silence_seconds: float = 120.0
    """With samples but without a scored window for longer, the chain is taken for stuck; longer
    than the window, which must fill first."""
    output_silence_seconds: float = 120.0
    """Without a sign of life of the outputs for longer, they are taken for stuck; longer than
    looking up a name and connecting may take."""
    retries: int = 3
    """Attempts to recover before the watchdog is left to starve."""
    retry_seconds: float = 10.0
    """From the alarm to the first attempt, and from one to the next."""
    give_up_seconds: float = 120.0
    """After the last attempt so long nobody restarted the node: it ends itself."""
    hang_seconds: float = 300.0
    """The program itself hanging for so long says where, and ends, also inside a library."""

    def __post_init__(self) -> None:
        """Refuse times at which nothing could ever be healthy."""
        _check(
            self.http_port is None or 1 <= self.http_port <= 65535,
            f"health http_port {self.http_port}: use 1 to 65535",
        )
        _check(self.retries >= 0, f"health retries {self.retries}: use 0 or more")
        for name in (
            "interval_seconds",
            "samples_silence_seconds",
            "inference_silence_seconds",
            "output_silence_seconds",
            "retry_seconds",
            "give_up_seconds",
            "hang_seconds",
        ):
            value = getattr(self, name)
            _check(1 <= value <= 86400, f"health {name} {value}: use 1 to 86400")


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
    snippets: SnippetSettings = field(default_factory=SnippetSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    mqtt: MqttSettings | None = None
