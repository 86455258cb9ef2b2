"""Messages to an MQTT broker: spool first, then one connection at a time, until acknowledged."""

from __future__ import annotations

import json
import os
import random
import re
import select
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from .records import Message
from .settings import CODE, MqttSettings, SettingsError
from .sinks import to_line
from .spool import Entry, Spool

WINDOW_MESSAGES = 16
"""Messages on the way at a time; brokers take 20, unless they say otherwise."""
TURN_SECONDS = 1.0
"""Longest sleep of the thread while connected: it looks after the keepalive in between."""
NAP_SECONDS = 5.0
"""Longest sleep while not connected, so that `progress_time` proves the thread alive."""
STABLE_SECONDS = 10.0
"""A connection that lasted this long starts the back-off anew; a shorter one prolongs it."""
REPEAT_SECONDS = 3600.0
"""A trouble that goes on is told again this often."""
MAX_INCOMING_BYTES = 65_536
"""The node expects acknowledgements only; a broker that sends more than this is left."""
RECEIVE_BUFFER_BYTES = 16_384
"""What the kernel takes in for the connection; it bounds what is read at a time."""
REFUSED_FOR_GOOD = {0x90, 0x95, 0x99}
"""Reason codes of MQTT 5 (topic, size, format) after which the same message is never taken."""
REMEMBERED_EVENTS = 64
"""Events whose picks are known to be published."""


class LinkLost(Exception):
    """A connection ended, or did not come about; says why."""


@dataclass
class MqttCounts:
    """What happened at the broker's door.

    Attributes:
        connected: Now.
        connects: Connections that the broker accepted.
        failures: Connections lost, and attempts that failed.
        delivered: Spooled messages acknowledged.
        refused: Messages the broker will never take; they are in the file only.
        oversized: Messages longer than `max_payload_bytes`; they are in the file only.
    """

    connected: bool = False
    connects: int = 0
    failures: int = 0
    delivered: int = 0
    refused: int = 0
    oversized: int = 0


@dataclass(frozen=True)
class Credentials:
    """Who the node is to the broker."""

    username: str
    password: str | None = field(default=None, repr=False)


class Mqtt:
    """A sink that is never in the way: `write` stores, a thread of its own delivers.

    At least once, in order, with the event's own id. A clean end leaves `stopped` on the status
    topic, any other one the will, `offline`.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        network: str,
        station: str,
        info: Message,
        spool: Spool,
        on_state: Callable[[str], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Start the thread; the broker need not be there.

        Args:
            settings: Of the broker.
            network: FDSN code, third last level of all topics.
            station: Station code, second last level.
            info: What `<prefix>/<net>/<sta>/info` says, retained.
            spool: Keeps messages until they are acknowledged; `close` closes it.
            on_state: Told one line when something changes; called from another thread.
            environ: Where EQEDGE_MQTT_USERNAME and EQEDGE_MQTT_PASSWORD may stand.

        Raises:
            SettingsError: Codes, certificates or credentials cannot be used.
        """
        for code in (network, station):
            if not CODE.fullmatch(code):
                raise SettingsError(f"code {code!r}: use 1 to 8 capital letters or digits")
        self.counts = MqttCounts()
        self._settings = settings
        self._base = f"{settings.topic_prefix}/{network}/{station}"
        # The same at each start, so that the broker drops a half-dead connection of ours, and its
        # will with it, before it can call the new one offline.
        self._client_id = f"eqedge-{network}-{station}"
        self._info = to_line(info)
        self._announcements = announcements(settings.home_assistant_prefix, self._base)
        self._spool = spool
        self._on_state = on_state
        self._credentials = read_credentials(settings, environ, on_state)
        self._tls = tls_context(settings)
        self._picks = PickLog()
        self._health: bytes | None = None
        self._said = ("", 0.0)
        self._stop = threading.Event()
        self._deadline = float("inf")
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._progress_time = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    def write(self, message: Message) -> None:
        """Store the message, and its new picks, for the broker."""
        self._store(message, age_known=True)

    def catch_up(self, message: Message | None) -> None:
        """Store a message of an earlier run unless it was the last one stored.

        A kill between the file and the spool leaves one such message, the file's last.
        """
        if message is not None and _key(message) != self._spool.newest_key:
            self._store(message, age_known=False)

    def publish_health(self, record: Message) -> None:
        """Publish a health record if connected; an old one is of no use, so none is kept."""
        self._health = to_line(record)
        self._wake()

    @property
    def progress_time(self) -> float:
        """When the thread last proved alive, on the monotonic clock."""
        return self._progress_time

    def close(self) -> None:
        """Deliver what can be delivered within `drain_seconds`, say `stopped`, close the spool."""
        self._deadline = time.monotonic() + self._settings.drain_seconds
        self._stop.set()
        self._wake()
        self._thread.join(self._settings.drain_seconds + 2)
        if len(self._spool):
            where = f"kept in {self._spool.path}" if self._spool.path else "lost, without a spool"
            self._on_state(f"broker {self._settings.address}: {len(self._spool)} messages {where}")
        self._spool.close()

    def _store(self, message: Message, *, age_known: bool) -> None:
        told = [("event", message), *(("pick", pick) for pick in self._picks.news(message))]
        items = [(kind, to_line(body)) for kind, body in told]
        fitting = [item for item in items if len(item[1]) <= self._settings.max_payload_bytes]
        if len(fitting) < len(items):
            self.counts.oversized += len(items) - len(fitting)
            self._say(f"a message of event {message['event_id']} is too long to be published")
        self._spool.put(fitting, key=_key(message), age_known=age_known)
        self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # so many calls wait already
            self._wake_write.send(b"!")

    def _run(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            link = Link(self._settings, self._client_id, f"{self._base}/status", self._wake_read)
            try:
                self._serve(link)
                return
            # Whatever a broken or hostile broker makes the client library raise, the next
            # connection starts afresh; a thread that ends would be worse than any of it.
            except Exception as error:
                link.drop()
                reason = str(error) if isinstance(error, LinkLost) else _reason(error)
            self.counts.connected = False
            self.counts.failures += 1
            if self._stop.is_set() and self._is_over():
                return
            self._say(f"{reason}; events are kept and the connection is tried again")
            failures = 0 if time.monotonic() - began > STABLE_SECONDS else failures + 1
            if not self._wait(self._backoff(failures)):
                return

    def _backoff(self, failures: int) -> float:
        """Seconds to the next attempt, scattered, so that a hundred nodes do not come as one."""
        longest = self._settings.retry_max_seconds
        seconds = min(longest, self._settings.retry_min_seconds * 2.0 ** min(failures, 30))
        return seconds * random.uniform(0.5, 1.0)

    def _wait(self, seconds: float) -> bool:
        """Sleep; when stopping, only shortly. Return whether to try again."""
        until = time.monotonic() + seconds
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            self._progress_time = time.monotonic()
            self._stop.wait(min(left, NAP_SECONDS))
        if self._stop.is_set():
            time.sleep(min(0.2, self._settings.retry_min_seconds))
            return not self._is_over()
        return True

    def _is_over(self) -> bool:
        return time.monotonic() >= self._deadline or not len(self._spool)

    def _serve(self, link: Link) -> None:
        """Deliver over one connection until it is lost, or all is told and the node stops."""
        link.open(self._tls, self._credentials, self._announcements.status_topic)
        self.counts.connected = True
        self.counts.connects += 1
        self._say("connected")
        self._greet(link)
        on_the_way: dict[int, int] = {}
        newest = 0
        while True:
            self._progress_time = time.monotonic()
            self._acknowledge(link, on_the_way)
            for entry in self._spool.pending(after=newest, limit=link.room) if link.room else ():
                newest = entry.id
                number = self._send(link, entry)
                if number is not None:
                    on_the_way[number] = entry.id
            if self._stop.is_set() and self._is_over():
                link.publish(f"{self._base}/status", b"stopped", retain=True)
                link.close()
                return
            self._tell_health(link)
            link.turn(0.05 if self._stop.is_set() else TURN_SECONDS)
            if link.home_assistant_started:
                link.home_assistant_started = False
                self._announce(link)

    def _greet(self, link: Link) -> None:
        link.publish(f"{self._base}/status", b"online", retain=True)
        link.publish(f"{self._base}/info", self._info, retain=True)
        self._announce(link)

    def _announce(self, link: Link) -> None:
        for topic, payload in self._announcements.payloads.items():
            link.publish(topic, payload, retain=True)

    def _tell_health(self, link: Link) -> None:
        health, self._health = self._health, None
        if health is not None:
            link.publish(f"{self._base}/health", health, qos=0)

    def _send(self, link: Link, entry: Entry) -> int | None:
        """Publish one message; return its packet number, or None if the broker can't take it."""
        payload = entry.payload
        if entry.is_older_than(self._settings.historical_seconds):
            payload = mark_historical(payload)
        topic = f"{self._base}/{entry.kind}"
        if len(topic.encode()) + len(payload) + 16 > link.max_packet_bytes:
            self._give_up(entry.id, "longer than the broker allows")
            return None
        return link.publish(topic, payload)

    def _acknowledge(self, link: Link, on_the_way: dict[int, int]) -> None:
        arrived = []
        refusal: ReasonCode | None = None
        for number, reason in link.take_acknowledgements():
            identifier = on_the_way.pop(number, None)
            if not reason.is_failure:
                arrived += [identifier] if identifier is not None else []
            elif identifier is not None and reason.value in REFUSED_FOR_GOOD:
                self._give_up(identifier, str(reason))
            else:
                refusal = reason
        if arrived:
            self._spool.remove(arrived)
            self.counts.delivered += len(arrived)
        if refusal is not None:
            raise LinkLost(f"the broker refuses a message: {refusal}")

    def _give_up(self, identifier: int, reason: str) -> None:
        self._spool.remove([identifier])
        self.counts.refused += 1
        self._say(f"a message is not taken ({reason}); it is left out")

    def _say(self, text: str) -> None:
        """Tell news; the same again only once an hour."""
        said, when = self._said
        if text != said or time.monotonic() - when > REPEAT_SECONDS:
            self._said = (text, time.monotonic())
            self._on_state(f"broker {self._settings.address}: {text}")


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


class PickLog:
    """Tells which picks of a message are new: each is published once, and again if it moves."""

    def __init__(self) -> None:
        """Know of none."""
        self._times: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def news(self, message: Message) -> list[Message]:
        """Return a message for each pick not seen before, with an id that outlives a restart."""
        event_id = str(message.get("event_id"))
        known = self._times.pop(event_id, {})
        numbers: dict[Any, int] = {}
        told = []
        for pick in message.get("picks", ()):
            phase = pick.get("phase")
            numbers[phase] = numbers.get(phase, 0) + 1
            pick_id = f"{event_id}-{phase}{numbers[phase]}"
            if known.get(pick_id) != pick.get("time"):
                head = {name: message[name] for name in PICK_HEAD if name in message}
                kind = "update" if pick_id in known else "new"
                told.append({**head, "type": kind, "pick_id": pick_id, **pick})
                known[pick_id] = pick.get("time")
        if message.get("type") != "end":
            self._times[event_id] = known
            while len(self._times) > REMEMBERED_EVENTS:
                self._times.popitem(last=False)
        return told


PICK_HEAD = ("schema", "event_id", "sequence", "network", "station", "location", "trace_id")
"""What a pick's message takes over from its event's, besides `historical`."""


def mark_historical(payload: bytes) -> bytes:
    """Return the message with `historical` set."""
    return to_line({**json.loads(payload), "historical": True})


@dataclass(frozen=True)
class Announcements:
    """What makes Home Assistant show the node.

    Attributes:
        status_topic: Says `online` when Home Assistant starts, and wants them again; empty: off.
        payloads: By topic, retained.
    """

    status_topic: str = ""
    payloads: Mapping[str, bytes] = field(default_factory=dict)


def announcements(prefix: str, base: str) -> Announcements:
    """Return the discovery messages of a node whose topics start with `base`.

    Args:
        prefix: Home Assistant's discovery prefix; empty for none.
        base: `<prefix>/<network>/<station>`.
    """
    if not prefix:
        return Announcements()
    node = re.sub(r"[^A-Za-z0-9_-]", "_", base)
    name = " ".join(base.split("/")[-2:])
    common = {
        "availability_topic": f"{base}/status",
        # `stopped` is as unavailable as `offline`.
        "availability_template": "{{ 'online' if value == 'online' else 'offline' }}",
        "device": {"identifiers": [node], "name": f"Seismometer {name}", "model": "eqedge"},
        "qos": 1,
    }
    live = "value_json.type != 'end' and not value_json.historical"
    entities: dict[str, Message] = {
        "binary_sensor/event": {
            "name": "Earthquake",
            "device_class": "vibration",
            "state_topic": f"{base}/event",
            "value_template": "{{ 'ON' if " + live + " else 'OFF' }}",
            "json_attributes_topic": f"{base}/event",
        },
        "sensor/pick": {
            "name": "Last pick",
            "device_class": "timestamp",
            "state_topic": f"{base}/pick",
            "value_template": "{{ value_json.time }}",
            "json_attributes_topic": f"{base}/pick",
        },
    }
    payloads = {}
    for place, entity in entities.items():
        component, item = place.split("/")
        topic = f"{prefix}/{component}/{node}/{item}/config"
        payloads[topic] = to_line({**entity, **common, "unique_id": f"{node}_{item}"})
    return Announcements(f"{prefix}/status", payloads)


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
            raise SettingsError(f"MQTT credentials_file {path}: {_reason(error)}") from None
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
        if settings.certificate_file:
            # A key with a passphrase would make the node ask for it on a terminal it hasn't got.
            context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
    except (OSError, ValueError) as error:
        files = [settings.ca_file, settings.certificate_file, settings.key_file]
        named = ", ".join(name for name in files if name)
        raise SettingsError(f"MQTT certificates {named}: {_reason(error)}") from error
    return context


def _key(message: Message) -> str:
    return f"{message.get('event_id')} {message.get('sequence')}"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate does not convince: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).splitlines()[0].lower()
