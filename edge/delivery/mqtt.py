"""Messages to an MQTT broker: spool first, then one connection at a time, until acknowledged."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..dating.arrivals import host_synchronised
from ..settings.node import CODE, MqttSettings, SettingsError
from ..types import Message
from .file import to_line
from .flight import Flight, Sent
from .home_assistant import announcements
from .link import Link, LinkLost, read_credentials, reason_of, tls_context
from .pick_log import PickLog, mark_historical
from .redate import redate
from .spool import Entry, Spool

TURN_SECONDS = 1.0
"""Longest sleep of the thread while connected: it looks after the keepalive in between."""
NAP_SECONDS = 5.0
"""Longest sleep while not connected, so that `progress_time` proves the thread alive."""
ANSWER_SECONDS = 5.0
"""A broker has at least this long to acknowledge a message, however short the keepalive."""
STABLE_SECONDS = 10.0
"""A connection that lasted this long starts the back-off anew; a shorter one prolongs it."""
REPEAT_SECONDS = 3600.0
"""A trouble that goes on is told again this often."""
REFUSED_FOR_GOOD = {0x90, 0x95, 0x99}
"""Reason codes of MQTT 5 (topic, size, format) after which the same message is never taken."""


class Unanswered(LinkLost):
    """The broker is there and acknowledges nothing."""


@dataclass
class MqttCounts:
    """What happened at the broker's door.

    Attributes:
        connected: Now.
        connects: Connections that the broker accepted.
        failures: Connections lost, and attempts that failed.
        delivered: Spooled messages acknowledged.
        refused: Messages the broker will never take: events are in the file only, what the node
            tells of itself is told to nobody.
        postponed: Messages the broker refused for now; they are kept and sent again.
        oversized: Messages longer than `max_payload_bytes`; they are in the file only.
    """

    connected: bool = False
    connects: int = 0
    failures: int = 0
    delivered: int = 0
    refused: int = 0
    postponed: int = 0
    oversized: int = 0


class Mqtt:
    """A sink that is never in the way: `write` stores, a thread of its own delivers.

    At least once, in order, with the event's own id. A clean end leaves `stopped` on the status
    topic; one by an error `offline`, which is also the will.
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
        synchronised: Callable[[], bool] = host_synchronised,
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
            synchronised: Whether the host knows UTC.

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
        self._synchronised = synchronised
        self._credentials = read_credentials(settings, environ, on_state)
        self._tls = tls_context(settings)
        self._picks = PickLog()
        self._health: bytes | None = None
        self._said = ("", 0.0)
        self._told: dict[str, tuple[str, float]] = {}
        self._news_time = 0.0
        self._owed_since: float | None = None
        self._stop = threading.Event()
        self._last_status = b"stopped"
        self._deadline = float("inf")
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._progress_time = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    def write(self, message: Message) -> None:
        """Store the message, and its new picks, for the broker."""
        self._store([message], age_known=True)

    def catch_up(self, messages: Sequence[Message]) -> None:
        """Store messages of an earlier run unless the last of them was the last one stored.

        A kill between the file and the spool leaves one such message, the file's last; a spool
        that was damaged may have held any of the file's.
        """
        if messages and _key(messages[-1]) != self._spool.newest_key:
            self._store(messages, age_known=False)

    def publish_health(self, record: Message) -> None:
        """Publish a health record if connected; an old one is of no use, so none is kept."""
        self._health = to_line(record)
        self._wake()

    @property
    def progress_time(self) -> float:
        """When the thread last proved alive, on the monotonic clock."""
        return self._progress_time

    @property
    def answered_time(self) -> float:
        """Since when a broker that is there owes an answer; now where it owes none."""
        owed_since = self._owed_since
        return time.monotonic() if owed_since is None else owed_since

    def close(self, *, failed: bool = False) -> None:
        """Deliver what can be delivered within `drain_seconds`, take leave, close the spool.

        Args:
            failed: Nobody wanted the end; say `offline`, not `stopped`.
        """
        self._last_status = b"offline" if failed else b"stopped"
        self._deadline = time.monotonic() + self._settings.drain_seconds
        self._stop.set()
        self._wake()
        self._thread.join(self._settings.drain_seconds + 2)
        if len(self._spool):
            where = f"kept in {self._spool.path}" if self._spool.path else "lost, without a spool"
            self._on_state(f"broker {self._settings.address}: {len(self._spool)} messages {where}")
        self._spool.close()

    def _store(self, messages: Sequence[Message], *, age_known: bool) -> None:
        fitting = [item for message in messages for item in self._items(message)]
        self._spool.put(fitting, key=_key(messages[-1]), age_known=age_known)
        self._news_time = time.monotonic()
        self._wake()

    def _items(self, message: Message) -> list[tuple[str, bytes]]:
        """Return (kind, payload) of the message and its new picks, as far as they may be sent."""
        told = [("event", message), *(("pick", pick) for pick in self._picks.news(message))]
        items = [(kind, to_line(body)) for kind, body in told]
        fitting = [item for item in items if len(item[1]) <= self._settings.max_payload_bytes]
        if len(fitting) < len(items):
            self.counts.oversized += len(items) - len(fitting)
            self._say(f"a message of event {message['event_id']} is too long to be published")
        return fitting

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
                reason = str(error) if isinstance(error, LinkLost) else reason_of(error)
                if not isinstance(error, Unanswered):
                    self._owed_since = None
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
        flight = Flight(
            self._spool, self._settings.retry_min_seconds, self._settings.retry_max_seconds
        )
        self._greet(link, flight)
        while True:
            self._progress_time = time.monotonic()
            self._acknowledge(link, flight)
            self._expect_answers(flight)
            for entry in flight.due(link.room, self._news_time):
                self._send(link, flight, entry)
            if self._stop.is_set() and self._is_over():
                link.publish(f"{self._base}/status", self._last_status, retain=True)
                link.close()
                return
            self._tell_health(link)
            link.turn(0.05 if self._stop.is_set() else TURN_SECONDS)
            if link.home_assistant_started:
                link.home_assistant_started = False
                self._announce(link, flight)

    def _expect_answers(self, flight: Flight) -> None:
        """Leave a broker that keeps the connection alive and acknowledges nothing."""
        if not flight.waiting_seconds:
            self._owed_since = None
        elif self._owed_since is None:
            self._owed_since = time.monotonic()
        longest = max(ANSWER_SECONDS, 2.0 * self._settings.keepalive_seconds)
        if flight.waiting_seconds > longest:
            raise Unanswered(f"it acknowledges nothing within {longest:g} s")

    def _greet(self, link: Link, flight: Flight) -> None:
        self._tell(link, flight, f"{self._base}/status", b"online")
        self._tell(link, flight, f"{self._base}/info", self._info)
        self._announce(link, flight)

    def _announce(self, link: Link, flight: Flight) -> None:
        for topic, payload in self._announcements.payloads.items():
            self._tell(link, flight, topic, payload)

    def _tell(self, link: Link, flight: Flight, topic: str, payload: bytes) -> None:
        """Publish what the node says of itself."""
        flight.add(link.publish(topic, payload, retain=True), Sent(topic))

    def _tell_health(self, link: Link) -> None:
        health, self._health = self._health, None
        if health is not None:
            link.publish(f"{self._base}/health", health, qos=0)

    def _send(self, link: Link, flight: Flight, entry: Entry) -> None:
        """Publish one message of the spool, unless the broker can't take it."""
        payload = entry.payload
        if self._synchronised():
            payload = redate(payload, entry.utc_moved_seconds)
        if entry.is_older_than(self._settings.historical_seconds):
            payload = mark_historical(payload)
        topic = f"{self._base}/{entry.kind}"
        if len(topic.encode()) + len(payload) + 16 > link.max_packet_bytes:
            self._give_up(entry.id, "longer than the broker allows")
        else:
            flight.add(link.publish(topic, payload), Sent(topic, entry))

    def _acknowledge(self, link: Link, flight: Flight) -> None:
        arrived = []
        for number, reason in link.take_acknowledgements():
            sent = flight.take(number)
            if sent is None:
                continue
            self._owed_since = None
            if not reason.is_failure:
                if sent.entry is not None:
                    arrived.append(sent.entry.id)
                    if flight.accept(sent.entry):
                        self._told.pop(sent.topic, None)
                        self._say(f"{sent.topic} is taken again")
            elif sent.entry is None:
                self.counts.refused += 1
                self._tell_refusal(sent.topic, f"{reason}; the node goes on without")
            elif reason.value in REFUSED_FOR_GOOD:
                self._give_up(sent.entry.id, str(reason))
            else:
                self.counts.postponed += 1
                flight.postpone(sent.entry)
                self._tell_refusal(sent.topic, f"{reason}; messages are kept and tried again")
        if arrived:
            self._spool.remove(arrived)
            self.counts.delivered += len(arrived)

    def _give_up(self, identifier: int, reason: str) -> None:
        self._spool.remove([identifier])
        self.counts.refused += 1
        self._say(f"a message is not taken ({reason}); it is left out")

    def _tell_refusal(self, topic: str, text: str) -> None:
        """Tell it of each topic; the same again only once an hour."""
        told, when = self._told.get(topic, ("", 0.0))
        if text != told or time.monotonic() - when > REPEAT_SECONDS:
            self._told[topic] = (text, time.monotonic())
            self._on_state(f"broker {self._settings.address}: it refuses {topic}: {text}")

    def _say(self, text: str) -> None:
        """Tell news; the same again only once an hour."""
        said, when = self._said
        if text != said or time.monotonic() - when > REPEAT_SECONDS:
            self._said = (text, time.monotonic())
            self._on_state(f"broker {self._settings.address}: {text}")


def _key(message: Message) -> str:
    return f"{message.get('event_id')} {message.get('sequence')}"
