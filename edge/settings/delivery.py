"""Settings of the outputs: file, spool, broker, waveforms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ...firmware_bridge.address import AddressError, host_and_port
from .documented import setting
from .validation import SettingsError, require, require_host


@dataclass(frozen=True)
class MqttSettings:
    """The broker to which events are published. User name and password are never a setting."""

    host: str = field(metadata={"help": "Name or address of the broker."})
    port: int = setting(1883, "TCP port; 8883 is usual with TLS.")
    topic_prefix: str = setting(
        "eqedge", "First level or levels of every topic: `<prefix>/<network>/<station>/event`."
    )
    tls: bool = setting(
        False, "Encrypt, and check the broker's certificate and name; `mqtts://` turns it on."
    )
    ca_file: str | None = setting(
        None,
        "PEM file of the authorities that may have signed the broker's certificate; unset: "
        "those of the system.",
    )
    certificate_file: str | None = setting(
        None,
        "PEM certificate that the node presents to the broker; its key may be in the same file.",
    )
    key_file: str | None = setting(None, "PEM key of that certificate, without a passphrase.")
    credentials_file: str | None = setting(
        None,
        "File with the user name on the first line and the password on the second. Without "
        "it, the environment variables EQEDGE_MQTT_USERNAME and EQEDGE_MQTT_PASSWORD are "
        "read.",
    )
    allow_insecure: bool = setting(
        False,
        "Send user name and password also unencrypted, where anyone on the network can read them.",
    )
    protocol: str = setting(
        "5",
        "MQTT version, 5 or 3.1.1. Only with 5 can the broker report that it rejected a message.",
    )
    keepalive_seconds: int = setting(
        30,
        "After this long without traffic the broker is pinged; without an answer within the "
        "same time the connection counts as lost.",
    )
    connect_timeout_seconds: float = setting(10.0, "Longest duration of one attempt to connect.")
    retry_min_seconds: float = setting(
        1.0,
        "Wait before the second attempt to connect; doubles with each attempt, shortened at "
        "random.",
    )
    retry_max_seconds: float = setting(60.0, "Longest wait between two attempts.")
    max_payload_bytes: int = setting(65_536, "A longer message is not published, but counted.")
    historical_seconds: float = setting(
        60.0, "A message delivered later than this after it was made is marked `historical`."
    )
    drain_seconds: float = setting(
        5.0, "Longest wait for the broker's acknowledgements when the node stops."
    )
    home_assistant_prefix: str = setting(
        "", "Home Assistant's discovery prefix, usually homeassistant; empty: no announcement."
    )

    def __post_init__(self) -> None:
        """Reject topics that no broker accepts, and numbers that make a client useless."""
        require_host("MQTT host", self.host)
        require(1 <= self.port <= 65535, f"MQTT port {self.port}: use 1 to 65535")
        require_topic("MQTT topic prefix", self.topic_prefix)
        if self.home_assistant_prefix:
            require_topic("Home Assistant prefix", self.home_assistant_prefix)
        require(self.protocol in ("5", "3.1.1"), f"MQTT protocol {self.protocol!r}: use 5 or 3.1.1")
        require(
            self.tls or not (self.ca_file or self.certificate_file or self.key_file),
            "MQTT certificates are given but TLS is off: write mqtts:// or tls = true",
        )
        require(
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
            require(low <= value <= high, f"MQTT {name} {value}: use {low} to {high}")

    @property
    def address(self) -> str:
        """Return the broker's address, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    @classmethod
    def from_url(cls, url: str) -> MqttSettings:
        """Read `mqtt://host[:port][/prefix]`, or `mqtts://` for TLS.

        Raises:
            SettingsError: It is not such a URL.
        """
        scheme, slashes, rest = url.partition("://")
        # Before any error quotes the address: it must not contain a password.
        require(
            "@" not in url,
            f"MQTT address of {rest.rpartition('@')[2] or 'the broker'}: leave out user name and "
            "password, which the process list would show; use credentials_file, or "
            "EQEDGE_MQTT_USERNAME and _PASSWORD",
        )
        hint = "write mqtt://host:1883 or mqtts://host:8883"
        tls = scheme.lower() == "mqtts"
        usable = bool(slashes) and (tls or scheme.lower() == "mqtt") and not set("?#") & set(url)
        require(usable, f"MQTT address {url!r}: {hint}")
        try:
            host, port = host_and_port(url)
        except AddressError as error:
            raise SettingsError(f"MQTT address {url!r}: {error}; {hint}") from error
        return cls(
            host=host.lower(),
            port=port if port is not None else 8883 if tls else 1883,
            topic_prefix=rest.partition("/")[2].strip("/") or cls.topic_prefix,
            tls=tls,
        )


def require_topic(what: str, topic: str) -> None:
    """Reject a topic that cannot be published to, or that subscribers would not see.

    Raises:
        SettingsError: Wildcards, control characters, empty levels, a leading `$`, or too long.
    """
    require(
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
    """How the lines of `output` are written."""

    fsync: Literal["always", "never"] = setting(
        "always",
        "`always`: a line is on the disk before it is sent. `never`: the kernel decides when.",
    )
    rotate_bytes: int = setting(
        16_777_216, "Before the file grows beyond this it is renamed to FILE.1; 0: never."
    )
    keep_files: int = setting(5, "Rotated files to keep; the oldest is removed.")

    def __post_init__(self) -> None:
        """Reject files too small for a line."""
        require(self.fsync in ("always", "never"), f"fsync {self.fsync!r}: use always or never")
        require(
            self.rotate_bytes == 0 or self.rotate_bytes >= 65_536,
            f"file rotate_bytes {self.rotate_bytes}: use 0, or 65536 or more",
        )
        require(0 <= self.keep_files <= 1000, f"file keep_files {self.keep_files}: use 0 to 1000")


@dataclass(frozen=True)
class SpoolSettings:
    """The queue of messages that the broker has not acknowledged yet."""

    max_messages: int = setting(
        100_000, "Messages to keep; beyond this the oldest is dropped and counted."
    )
    max_bytes: int = setting(
        67_108_864,
        "Payload to keep, in bytes; beyond this the oldest message is dropped and counted.",
    )
    fsync: Literal["always", "never"] = setting(
        "always",
        "`always`: a message is on the disk before it is sent. `never`: the kernel decides when.",
    )

    def __post_init__(self) -> None:
        """Reject a spool that keeps nothing."""
        require(self.max_messages >= 1, f"spool max_messages {self.max_messages}: use 1 or more")
        require(self.max_bytes >= 4096, f"spool max_bytes {self.max_bytes}: use 4096 or more")
        require(self.fsync in ("always", "never"), f"fsync {self.fsync!r}: use always or never")


@dataclass(frozen=True)
class WaveformSettings:
    """Waveforms of each event as miniSEED; needs the extra `[mseed]`."""

    folder: str | None = setting(
        None, "Folder of the files, one for each event; unset: none are written."
    )
    before_seconds: float = setting(30.0, "Length of a file before the first pick.")
    after_seconds: float = setting(60.0, "Length of a file after the first pick.")
    max_bytes: int = setting(
        268_435_456, "Size of all files together; beyond this the oldest is removed and counted."
    )

    def __post_init__(self) -> None:
        """Reject lengths that would need too much memory."""
        for name in ("before_seconds", "after_seconds"):
            value = getattr(self, name)
            require(0 <= value <= 600, f"waveforms {name} {value}: use 0 to 600")
        require(
            self.max_bytes >= 65_536, f"waveforms max_bytes {self.max_bytes}: use 65536 or more"
        )
