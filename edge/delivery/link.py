"""Drive one connection to an MQTT broker."""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ..settings.delivery import MqttSettings
from .abilities import Abilities
from .incoming import MAX_INCOMING_BYTES, Incoming, limits
from .login import Credentials, short_reason
from .reasons import KEEP_ALIVE_TIMEOUT, MALFORMED, PROTOCOL_ERROR, LinkLost
from .unconfirmed import Unconfirmed


class BrokerLink:
    """One connection, from CONNECT until it is lost; for one thread, which drives it by `turn`.

    Each connection has a client of its own, so that no state of a lost one remains but the spool's.

    Args:
        settings: Of the broker.
        client_id: The node's.
        status_topic: Of the will, which is `offline`.
        wake: A socket; `turn` returns early when it becomes readable.
        abilities: What is known of the broker; updated here.

    Attributes:
        accepted: The broker accepted the connection.
        home_assistant_started: Home Assistant published that it started.
        incoming: What arrives, bounded.
        rejected_topic: The topic to which the broker rejected the subscription; empty otherwise.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        status_topic: str,
        wake: socket.socket,
        abilities: Abilities | None = None,
    ) -> None:
        self.abilities = abilities or Abilities(settings)
        self.abilities.connecting()
        self.accepted = False
        self.home_assistant_started = False
        self.rejected_topic = ""
        self._settings = settings
        self._wake = wake
        self._acknowledged: list[tuple[int, ReasonCode]] = []
        self._unacknowledged: set[int] = set()
        self._lost: LinkLost | None = None
        self._listen_topic = ""
        five = self.abilities.five
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.abilities.client_id(client_id),
            clean_session=None if five else True,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        )
        self._client.connect_timeout = settings.connect_timeout_seconds
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        able = self.abilities
        self._client.will_set(status_topic, b"offline", qos=able.qos, retain=able.retain)
        self.incoming = Incoming(self._client)
        self._unconfirmed = Unconfirmed(self._client)

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
            self._settings.host,
            self._settings.port,
            keepalive=self.abilities.keepalive_seconds,
            properties=limits() if self.abilities.five else None,
        )
        while not self.accepted:
            if time.monotonic() > deadline:
                raise LinkLost("no answer to CONNECT; is it an MQTT broker?")
            self.turn(0.2)
        if listen_topic and self.abilities.subscribes:
            self._listen_topic = listen_topic
            self._client.subscribe(listen_topic, qos=0)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> int:
        """Send a message and return its packet number.

        A broker that cannot retain gets it not retained, one without QoS 1 at QoS 0.

        Raises:
            LinkLost: The connection is gone.
        """
        qos = min(qos, self.abilities.qos)
        retain = retain and self.abilities.retain
        sent = self._client.publish(topic, payload, qos=qos, retain=retain)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._ended()
        (self._unacknowledged if qos else self._unconfirmed).add(sent.mid)
        return sent.mid

    def fits(self, topic: str, payload: bytes) -> bool:
        """Return whether a message is as short as the broker demands, at any QoS."""
        # Type, two lengths, packet number, and the length of the properties of MQTT 5.
        content = 2 + len(topic.encode()) + 2 + int(self.abilities.five) + len(payload)
        digits = 1 + sum(content >= 128**power for power in (1, 2, 3))
        return 1 + digits + content <= self.abilities.max_packet_bytes

    @property
    def room(self) -> int:
        """How many more messages may be in flight."""
        return max(0, self.abilities.window - self._waiting)

    def take_acknowledgements(self) -> list[tuple[int, ReasonCode]]:
        """Return the packet numbers answered since the last call, with the broker's reason.

        A message at QoS 0 counts as answered when the broker has answered a ping that was sent
        after it: MQTT has no other sign that it was read.
        """
        taken, self._acknowledged = self._acknowledged, []
        return taken

    def turn(self, seconds: float) -> None:
        """Read, write and keep alive; wait at most this long for something to do.

        Raises:
            LinkLost: The connection ended.
        """
        self._prove()
        connection = self._client.socket()
        if connection is None:
            raise self._ended()
        decrypted = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        writers = [connection] if self._client.want_write() else []
        readable, writable, _ = select.select(
            [connection, self._wake], writers, [], 0 if decrypted else seconds
        )
        if self._wake in readable:
            self._wake.recv(4096)
        if connection in readable or decrypted:
            self._read()
        if writable:
            self._client.loop_write()
        self._client.loop_misc()
        self._prove()
        if self._client.socket() is None:
            raise self._ended()

    def close(self) -> None:
        """Wait shortly until all is acknowledged, then disconnect: the will is not published."""
        deadline = time.monotonic() + 1.0
        try:
            while self._waiting and time.monotonic() < deadline:
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

    @property
    def _waiting(self) -> int:
        return len(self._unacknowledged) + len(self._unconfirmed)

    def _ended(self) -> LinkLost:
        return self._lost or LinkLost("connection lost", by_broker=True)

    def _read(self) -> None:
        """Read what has arrived; a broker that sends no MQTT is left, whatever the library does."""
        try:
            self._client.loop_read()
            if self.incoming.check():
                self._unconfirmed.keep_waiting(ended=not self.incoming.is_dropping)
        except (OSError, LinkLost):
            raise
        except Exception as error:
            text = f"the broker sends what is not MQTT ({short_reason(error)})"
            raise LinkLost(text, by_broker=True, code=MALFORMED) from error

    def _prove(self) -> None:
        if not self.incoming.is_dropping:
            success = ReasonCode(PacketTypes.PUBACK)
            self._acknowledged += [(number, success) for number in self._unconfirmed.prove()]

    def _on_connect(
        self,
        client: Client,
        userdata: Any,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            text = f"the broker refuses the connection: {reason}"
            self._end_by(text, reason, properties)
            return
        self.accepted = True
        self.abilities.accepted(properties)
        # A server may demand more frequent pings. Rarer ones, or none, would hide a dead line.
        own = self.abilities.keepalive_seconds
        demanded = getattr(properties, "ServerKeepAlive", 0) or own
        setattr(client, "_keepalive", min(demanded, own))  # noqa: B010

    def _on_disconnect(
        self,
        client: Client,
        userdata: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if self._lost is not None:
            return
        if flags.is_disconnect_packet_from_server:
            self._end_by(f"the broker ended the connection: {reason}", reason, properties)
        elif reason.value == KEEP_ALIVE_TIMEOUT:
            self._lost = LinkLost("the broker answers no ping", is_stuck=True)
        elif reason.value == PROTOCOL_ERROR:
            text = "the broker sends what is not MQTT"
            self._lost = LinkLost(text, by_broker=True, code=MALFORMED)

    def _end_by(self, text: str, reason: ReasonCode, properties: Properties | None) -> None:
        server = str(getattr(properties, "ServerReference", ""))[:200]
        self._lost = LinkLost(text, code=reason.value, by_broker=True, server=server)

    def _on_subscribe(
        self,
        client: Client,
        userdata: Any,
        number: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self.rejected_topic = self._listen_topic

    def _on_publish(
        self,
        client: Client,
        userdata: Any,
        number: int,
        reason: ReasonCode,
        properties: Properties,
    ) -> None:
        stated, self.incoming.reason = self.incoming.reason, None
        if number in self._unacknowledged:
            self._unacknowledged.discard(number)
            if stated is not None and stated[0] == number:
                reason = stated[1]
            self._acknowledged.append((number, reason))

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        self.incoming.dropped += len(message.payload) > MAX_INCOMING_BYTES
        # No other topic was subscribed to, whatever the broker sends.
        if message.topic == self._listen_topic and message.payload == b"online":
            self.home_assistant_started = True
