"""Drive one connection to an MQTT broker."""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ..settings.delivery import MqttSettings
from .login import Credentials

WINDOW_MESSAGES = 16
"""Messages in flight at a time; brokers accept 20 unless they announce another number."""
MAX_INCOMING_BYTES = 65_536
"""The node expects acknowledgements only; a broker that sends a longer packet is left."""
RECEIVE_BUFFER_BYTES = 16_384
"""Receive buffer of the kernel for the connection; it bounds what is read at a time."""


class LinkLost(Exception):
    """A connection ended or could not be made; the text is the reason."""


class BrokerLink:
    """One connection, from CONNECT until it is lost; for one thread, which drives it by `turn`.

    Each connection has a client of its own, so that no state of a lost one remains but the spool's.

    Args:
        settings: Of the broker.
        client_id: The node's.
        status_topic: Of the will, which is `offline`.
        wake: A socket; `turn` returns early when it becomes readable.
    """

    def __init__(
        self, settings: MqttSettings, client_id: str, status_topic: str, wake: socket.socket
    ) -> None:
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

        Args:
            tls: None for plain TCP.
            credentials: User name and password; None without.
            listen_topic: The one topic to subscribe to; empty for none.

        Raises:
            LinkLost: It did not, or not in time.
            OSError: Name, TCP or TLS failed.
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
        """How many more messages may be in flight."""
        return max(0, self._window - len(self._unacknowledged))

    def take_acknowledgements(self) -> list[tuple[int, ReasonCode]]:
        """Return the packet numbers acknowledged since the last call, with the broker's reason."""
        taken, self._acknowledged = self._acknowledged, []
        return taken

    def turn(self, seconds: float) -> None:
        """Read, write and keep alive; wait at most this long for something to do.

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
        """Wait shortly until all is acknowledged, then disconnect: the will is not published."""
        deadline = time.monotonic() + 1.0
        try:
            while self._unacknowledged and time.monotonic() < deadline:
                self.turn(0.05)
            self._client.disconnect()
            while self._client.socket() is not None and time.monotonic() < deadline + 0.5:
                self.turn(0.05)
        except LinkLost:
            pass  # it was to end anyway
        finally:
            self.drop()

    def drop(self) -> None:
        """Close the socket without DISCONNECT, so that the broker publishes the will."""
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
        # No other topic was subscribed to, whatever the broker sends.
        if message.topic == self._listen_topic and message.payload == b"online":
            self.home_assistant_started = True

    def _check_incoming(self) -> None:
        """Leave a broker that announces a packet longer than any acknowledgement."""
        # The library collects up to 256 MiB and offers no limit. This attribute is private; a test
        # checks that it still holds the announced length.
        packet = getattr(self._client, "_in_packet", None)
        length = packet.get("remaining_length", 0) if isinstance(packet, dict) else 0
        if length > MAX_INCOMING_BYTES:
            raise LinkLost(f"the broker sends a packet of {length} bytes")
