"""One connection to an MQTT broker: how the node proves who it is, and what it believes."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ..settings.node import MqttSettings, SettingsError

WINDOW_MESSAGES = 16
"""Messages on the way at a time; brokers take 20, unless they say otherwise."""
MAX_INCOMING_BYTES = 65_536
"""The node expects acknowledgements only; a broker that sends more than this is left."""
RECEIVE_BUFFER_BYTES = 16_384
"""What the kernel takes in for the connection; it bounds what is read at a time."""


class LinkLost(Exception):
    """A connection ended, or did not come about; says why."""


@dataclass(frozen=True)
class Credentials:
    """Who the node is to the broker."""

    username: str
    password: str | None = field(default=None, repr=False)


class Link:
    """One connection, from CONNECT until it is lost; for one thread, which drives it by `turn`.

    A fresh client each time: nothing of a lost connection lives on but what the spool has.
    """

    def __init__(
        self, settings: MqttSettings, client_id: str, status_topic: str, wake: socket.socket
    ) -> None:
        """Prepare the client.

        Args:
            settings: Of the broker.
            client_id: The node's.
            status_topic: Where the will goes.
            wake: Becomes readable when `turn` shall end early.
        """
        self.max_packet_bytes = 268_435_455
        self.home_assistant_started = False
        self._settings = settings
        self._wake = wake
        self._acknowledged: list[tuple[int, ReasonCode]] = []
        self._unacknowledged: set[int] = set()
        self._window = WINDOW_MESSAGES
        self._accepted = False
        self._reason = ""
        self._listen_topic = ""
        five = settings.protocol == "5"
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if five else True,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        )
        self._client.connect_timeout = settings.connect_timeout_seconds
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_socket_open = self._on_socket_open
        self._client.will_set(status_topic, b"offline", qos=1, retain=True)

    def open(
        self, tls: ssl.SSLContext | None, credentials: Credentials | None, listen_topic: str
    ) -> None:
        """Connect, and wait until the broker has accepted.

        Raises:
            LinkLost: It did not, or not in time.
            OSError: Name, TCP or TLS.
        """
        if credentials is not None:
            self._client.username_pw_set(credentials.username, credentials.password)
        if tls is not None:
            self._client.tls_set_context(tls)
        deadline = time.monotonic() + self._settings.connect_timeout_seconds
        self._client.connect(
            self._settings.host, self._settings.port, keepalive=self._settings.keepalive_seconds
        )
        while not self._accepted:
            if time.monotonic() > deadline:
                raise LinkLost("no answer to CONNECT; is it an MQTT broker?")
            self.turn(0.2)
        if listen_topic:
            self._listen_topic = listen_topic
            self._client.subscribe(listen_topic, qos=0)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> int:
        """Send a message and return its packet number.

        Raises:
            LinkLost: The connection is gone.
        """
        sent = self._client.publish(topic, payload, qos=qos, retain=retain)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkLost(self._reason or "connection lost")
        if qos:
            self._unacknowledged.add(sent.mid)
        return sent.mid

    @property
    def room(self) -> int:
        """How many more messages may be on the way."""
        return max(0, self._window - len(self._unacknowledged))

    def take_acknowledgements(self) -> list[tuple[int, ReasonCode]]:
        """Return the packet numbers acknowledged since the last call, with the broker's reason."""
        taken, self._acknowledged = self._acknowledged, []
        return taken

    def turn(self, seconds: float) -> None:
        """Read, write and keep alive, for at most this long without news.

        Raises:
            LinkLost: The connection ended.
        """
        connection = self._client.socket()
        if connection is None:
            raise LinkLost(self._reason or "connection lost")
        decrypted = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        writers = [connection] if self._client.want_write() else []
        readable, writable, _ = select.select(
            [connection, self._wake], writers, [], 0 if decrypted else seconds
        )
        if self._wake in readable:
            self._wake.recv(4096)
        if connection in readable or decrypted:
            self._client.loop_read()
            self._check_incoming()
        if writable:
            self._client.loop_write()
        self._client.loop_misc()
        if self._client.socket() is None:
            raise LinkLost(self._reason or "connection lost")

    def close(self) -> None:
        """Wait shortly until all is acknowledged, then take leave, so that the will is not sent."""
        deadline = time.monotonic() + 1.0
        try:
            while self._unacknowledged and time.monotonic() < deadline:
                self.turn(0.05)
            self._client.disconnect()
            while self._client.socket() is not None and time.monotonic() < deadline + 0.5:
                self.turn(0.05)
        except LinkLost:
            pass  # gone is what it was to be
        finally:
            self.drop()

    def drop(self) -> None:
        """Close the socket without taking leave."""
        connection = self._client.socket()
        if connection is not None:
            connection.close()

    def _on_socket_open(self, client: Client, userdata: Any, connection: Any) -> None:
        # The library reads up to a hundred times what the kernel has before `_check_incoming`
        # sees it; acknowledgements need no more.
        if isinstance(connection, socket.socket):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

    def _on_connect(
        self,
        client: Client,
        userdata: Any,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._reason = f"the broker refuses the connection: {reason}"
            return
        self._accepted = True
        self.max_packet_bytes = getattr(properties, "MaximumPacketSize", self.max_packet_bytes)
        self._window = min(self._window, getattr(properties, "ReceiveMaximum", self._window))

    def _on_disconnect(
        self,
        client: Client,
        userdata: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server and not self._reason:
            self._reason = f"the broker ended the connection: {reason}"

    def _on_publish(
        self,
        client: Client,
        userdata: Any,
        number: int,
        reason: ReasonCode,
        properties: Properties,
    ) -> None:
        if number in self._unacknowledged:
            self._unacknowledged.discard(number)
            self._acknowledged.append((number, reason))

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        # The one topic listened to; anything else is a broker's invention.
        if message.topic == self._listen_topic and message.payload == b"online":
            self.home_assistant_started = True

    def _check_incoming(self) -> None:
        """Leave a broker that announces a packet no acknowledgement can need."""
        # The library collects up to 256 MiB and offers no limit; where it keeps the announced
        # length is its own affair, so a version without it goes unchecked.
        packet = getattr(self._client, "_in_packet", None)
        length = packet.get("remaining_length", 0) if isinstance(packet, dict) else 0
        if length > MAX_INCOMING_BYTES:
            raise LinkLost(f"the broker sends a packet of {length} bytes")


def read_credentials(
    settings: MqttSettings, environ: Mapping[str, str], on_state: Callable[[str], None]
) -> Credentials | None:
    """Return user name and password, from the file or else the environment.

    Raises:
        SettingsError: The file can't be read, or they would cross the network in the clear.
    """
    if settings.credentials_file:
        path = Path(settings.credentials_file)
        try:
            lines = path.read_text().splitlines()
            open_to_all = path.stat().st_mode & 0o077
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"MQTT credentials_file {path}: {reason_of(error)}") from None
        if not lines or not lines[0]:
            raise SettingsError(
                f"MQTT credentials_file {path}: write the user name on the first line and the "
                "password on the second"
            )
        if open_to_all:
            on_state(f"MQTT credentials_file {path} can be read by others; chmod 600 {path}")
        found = Credentials(lines[0], lines[1] if len(lines) > 1 else None)
    elif environ.get("EQEDGE_MQTT_USERNAME"):
        username, password = environ["EQEDGE_MQTT_USERNAME"], environ.get("EQEDGE_MQTT_PASSWORD")
        found = Credentials(username, password)
    else:
        return None
    if not settings.tls and not settings.allow_insecure:
        raise SettingsError(
            f"MQTT user name and password would cross the network to {settings.host} in the clear; "
            "use mqtts://, or set allow_insecure where the network is your own"
        )
    return found


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """Return what checks the broker's certificate and name, and shows ours; None without TLS.

    Raises:
        SettingsError: A file is missing or no certificate.
    """
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.ca_file:
            # Python 3.13 insists on RFC 5280's form, which home-made certificates seldom have. Who
            # signed, for whom and until when is checked all the same.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if settings.certificate_file:
            # A key with a passphrase would make the node ask for it on a terminal it hasn't got.
            context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
    except (OSError, ValueError) as error:
        files = [settings.ca_file, settings.certificate_file, settings.key_file]
        named = ", ".join(name for name in files if name)
        raise SettingsError(f"MQTT certificates {named}: {reason_of(error)}") from error
    return context


def reason_of(error: Exception) -> str:
    """Say in a few words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate does not convince: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).splitlines()[0].lower()
