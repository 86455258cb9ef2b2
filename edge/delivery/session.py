"""Publish the node's state and the spool's messages over one connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ... import first_line
from ..settings.delivery import MqttSettings
from .counts import MqttCounts
from .in_flight import InFlight, Sent
from .link import BrokerLink
from .notices import Notices
from .pick_log import mark_historical
from .redate import redate
from .spool import Spool
from .spool_entry import Entry
from .suspects import Suspects

PERMANENT_REASONS = {0x90, 0x95, 0x99}
"""Reason codes of MQTT 5 (topic, size, format) after which the same message is hardly accepted."""


@dataclass(frozen=True)
class NodeTopics:
    """What the node publishes about itself.

    Attributes:
        base: `<prefix>/<network>/<station>`, with which all its topics begin.
        info: Retained on `<base>/info`.
        announcements: Retained, by topic: Home Assistant's discovery messages.
    """

    base: str
    info: bytes
    announcements: Mapping[str, bytes]

    @property
    def status(self) -> str:
        """Topic of `online`, `offline` and `stopped`."""
        return f"{self.base}/status"


class Session:
    """Messages over one connection, from its start until it is lost.

    Args:
        link: Open.
        settings: Of the broker.
        topics: Where the node publishes.
        spool: Holds the messages until they are acknowledged.
        counts: Updated here.
        notices: Where troubles are logged.
        synchronised: Whether the host knows UTC.
        suspects: Messages at which connections ended.
        spool_first: Send what the node has to say of itself after the spool.

    Attributes:
        delivered: Messages of the spool that left it over this connection.
    """

    def __init__(
        self,
        link: BrokerLink,
        settings: MqttSettings,
        topics: NodeTopics,
        spool: Spool,
        *,
        counts: MqttCounts,
        notices: Notices,
        synchronised: Callable[[], bool],
        suspects: Suspects,
        spool_first: bool = False,
    ) -> None:
        self.delivered = 0
        self._link = link
        self._settings = settings
        self._topics = topics
        self._spool = spool
        self._counts = counts
        self._notices = notices
        self._synchronised = synchronised
        self._suspects = suspects
        self._spool_first = spool_first
        self._own: deque[tuple[str, bytes]] = deque()
        self._health: bytes | None = None
        self._health_sent: tuple[int, Sent] | None = None
        self._in_flight = InFlight(spool, settings.retry_min_seconds, settings.retry_max_seconds)

    @property
    def waiting_seconds(self) -> float:
        """How long the next acknowledgement has been due; 0 while none is."""
        return self._in_flight.waiting_seconds

    @property
    def unanswered(self) -> list[Sent]:
        """The messages that were sent and not answered."""
        health = [self._health_sent[1]] if self._health_sent else []
        return self._in_flight.unanswered + health

    @property
    def is_done(self) -> bool:
        """Whether nothing of the spool can be sent over this connection now."""
        return not self._in_flight.has_due

    def greet(self) -> None:
        """Publish, as soon as there is room, that the node is online, and what it is."""
        self._own.append((self._topics.status, b"online"))
        self._own.append((f"{self._topics.base}/info", self._topics.info))
        self.announce()

    def announce(self) -> None:
        """Publish, as soon as there is room, Home Assistant's discovery messages."""
        waiting = {topic for topic, _ in self._own}
        missing = {t: p for t, p in self._topics.announcements.items() if t not in waiting}
        self._own.extend(missing.items())

    def publish_health(self, health: bytes) -> None:
        """Publish a health record as soon as it can be, unless a newer one replaces it first."""
        self._health = health

    def send_due(self, stored_time: float) -> None:
        """Publish what is due; `stored_time`: when a message of the spool was last stored."""
        if not (self._spool_first and self._in_flight.has_due):
            self._send_own()
        if not self._own or self._spool_first:
            for entry in self._in_flight.due(self._link.room, stored_time):
                if not self._send(entry):
                    self._in_flight.rewind(entry.id)
                    break
        self._send_health()

    def take_acknowledgements(self) -> int:
        """Process the broker's answers; return how many there were."""
        arrived: list[int] = []
        answers = 0
        for number, reason in self._link.take_acknowledgements():
            if self._health_sent is not None and number == self._health_sent[0]:
                self._suspects.answered(self._health_sent[1])
                self._health_sent = None
                continue
            sent = self._in_flight.take(number)
            if sent is None:
                continue
            answers += 1
            self._suspects.answered(sent)
            if reason.is_failure:
                self._rejected(sent, str(reason), permanent=reason.value in PERMANENT_REASONS)
            elif sent.entry is not None:
                arrived.append(sent.entry.id)
                if self._in_flight.accept(sent.entry):
                    self._notices.end(sent.topic, self._about(f"{sent.topic} is accepted again"))
        if arrived:
            self._spool.remove(arrived)
            self.delivered += len(arrived)
            self._counts.delivered += len(arrived)
            if not self._link.abilities.qos:
                self._counts.unconfirmed += len(arrived)
        return answers

    def end(self, status: bytes) -> None:
        """Publish the last status and disconnect, so that the will is not published."""
        if self._link.fits(self._topics.status, status):
            self._link.publish(self._topics.status, status, retain=True)
        self._link.close()

    def _send_own(self) -> None:
        """Publish what waits of the node's own messages, in order, as far as there is room."""
        while self._own and self._link.room:
            topic, payload = self._own[0]
            sent = Sent(topic, retained=self._link.abilities.retain)
            if self._is_left_out(sent, payload):
                self._own.popleft()
            elif self._may_send(sent):
                self._own.popleft()
                retain = self._suspects.retains(sent)
                number = self._link.publish(topic, payload, retain=retain)
                self._in_flight.add(number, Sent(topic, retained=retain and sent.retained))
            else:
                return

    def _send_health(self) -> None:
        if self._health is None or self._health_sent is not None:
            return
        sent = Sent(f"{self._topics.base}/health")
        if self._is_left_out(sent, self._health):
            self._health = None
        elif self._may_send(sent):
            self._health_sent = self._link.publish(sent.topic, self._health, qos=0), sent
            self._health = None

    def _send(self, entry: Entry) -> bool:
        """Publish one message of the spool; return False where it has to wait for answers."""
        try:
            payload = self._payload(entry)
        except Exception as error:  # whatever a message makes it raise must not hold up the others
            self._spool.set_aside(entry.id, f"it cannot be read: {first_line(error)}")
            return True
        topic = f"{self._topics.base}/{entry.kind}"
        sent = Sent(topic, entry)
        if not self._link.fits(topic, payload):
            longest = self._link.abilities.max_packet_bytes
            self._set_aside(entry, f"longer than the broker allows, {longest} bytes")
        elif self._suspects.holds(sent):
            self._in_flight.set_aside(entry)
        elif self._may_send(sent):
            self._in_flight.add(self._link.publish(topic, payload), sent)
        else:
            return False
        return True

    def _may_send(self, sent: Sent) -> bool:
        """Return whether it can be sent now: a suspect is in flight alone."""
        flying = self.unanswered
        if any(self._suspects.is_one(one) for one in flying):
            return False
        return not flying or not self._suspects.is_one(sent)

    def _is_left_out(self, sent: Sent, payload: bytes) -> bool:
        """Return whether the broker does not take a message about the node; count and log it."""
        if not self._link.fits(sent.topic, payload):
            longest = self._link.abilities.max_packet_bytes
            why = f"it has {len(payload)} bytes, and the broker takes packets of {longest} at most"
            remedy = "; raise the broker's maximum packet size"
        elif self._suspects.holds(sent):
            why, remedy = "the broker ends the connection at it", ""
        else:
            return False
        self._counts.left_out += 1
        text = f"{sent.topic} is left out: {why}{remedy}"
        self._notices.begin(f"left out {sent.topic}", self._about(text))
        return True

    def _payload(self, entry: Entry) -> bytes:
        """Return what is published: with times by a clock that is set by now, marked if late."""
        payload = entry.payload
        if self._synchronised():
            payload = redate(payload, entry.utc_moved_seconds)
        if entry.is_older_than(self._settings.historical_seconds):
            payload = mark_historical(payload)
        return payload

    def _rejected(self, sent: Sent, reason: str, *, permanent: bool) -> None:
        if sent.entry is None:
            self._counts.refused += 1
            self._report_rejection(sent.topic, f"{reason}; the node goes on without")
        elif permanent:
            self._set_aside(sent.entry, reason)
            self._in_flight.set_aside(sent.entry)
        else:
            self._counts.postponed += 1
            self._in_flight.postpone(sent.entry)
            self._report_rejection(sent.topic, f"{reason}; messages are kept and tried again")

    def _set_aside(self, entry: Entry, reason: str) -> None:
        """Go on with other messages; this one stays in the spool for another connection."""
        if self._suspects.is_new(entry.id):
            self._counts.refused += 1
        text = f"a message is rejected ({reason}); it is kept, and others are sent"
        self._notices.change("message", self._about(text))

    def _report_rejection(self, topic: str, text: str) -> None:
        self._notices.change(topic, self._about(f"it rejects {topic}: {text}"))

    def _about(self, text: str) -> str:
        return f"broker {self._settings.address}: {text}"
