"""Publish the node's state and the spool's messages over one connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ... import first_line
from ...firmware_bridge.measured import Limit, counter, gauge
from ..settings.delivery import MqttSettings
from .in_flight import InFlight, Sent
from .link import BrokerLink
from .notices import Notices
from .pick_log import mark_historical
from .redate import redate
from .spool import Spool
from .spool_entry import Entry

PACKET_BYTES = 16
"""Room in a packet for what it carries beside topic and payload."""
PERMANENT_REASONS = {0x90, 0x95, 0x99}
"""Reason codes of MQTT 5 (topic, size, format) after which the same message is never accepted."""

REFUSED = "Messages too long to be sent, or permanently rejected by the broker."


@dataclass
class MqttCounts:
    """What became of connections and messages.

    Attributes:
        refused: Permanently rejected: an event remains in the output file; a status or info message
            is dropped.
        postponed: Messages the broker rejected for now; they are kept and sent again.
        oversized: Messages longer than `max_payload_bytes`; they are only in the output file.
    """

    connected: bool = gauge(
        "mqtt_connected",
        "1 while the broker is connected.",
        default=False,
        degrades=Limit(below=1, lasts=True),
    )
    connects: int = counter("mqtt_connects_total", "Connections the broker accepted.")
    failures: int = counter(
        "mqtt_failures_total", "Connections lost, and attempts that failed.", degrades=3
    )
    delivered: int = counter("mqtt_delivered_total", "Messages the broker acknowledged.")
    refused: int = counter("mqtt_refused_total", REFUSED, degrades=1)
    postponed: int = counter(
        "mqtt_postponed_total",
        "Times the broker rejected a message that is sent again.",
        degrades=1,
    )
    oversized: int = counter("mqtt_refused_total", REFUSED, degrades=1)


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
        notices: For what the broker rejects.
        synchronised: Whether the host knows UTC.
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
    ) -> None:
        self._link = link
        self._settings = settings
        self._topics = topics
        self._spool = spool
        self._counts = counts
        self._notices = notices
        self._synchronised = synchronised
        self._in_flight = InFlight(spool, settings.retry_min_seconds, settings.retry_max_seconds)

    @property
    def waiting_seconds(self) -> float:
        """How long the next acknowledgement has been due; 0 while none is."""
        return self._in_flight.waiting_seconds

    def greet(self) -> None:
        """Publish that the node is online, and what it is."""
        self._publish_retained(self._topics.status, b"online")
        self._publish_retained(f"{self._topics.base}/info", self._topics.info)
        self.announce()

    def announce(self) -> None:
        """Publish Home Assistant's discovery messages."""
        for topic, payload in self._topics.announcements.items():
            self._publish_retained(topic, payload)

    def publish_health(self, health: bytes) -> None:
        """Publish a health record, without waiting for an acknowledgement."""
        self._link.publish(f"{self._topics.base}/health", health, qos=0)

    def send_due(self, stored_time: float) -> None:
        """Publish the spool's messages that are due; `stored_time`: of the last one stored."""
        for entry in self._in_flight.due(self._link.room, stored_time):
            self._send(entry)

    def take_acknowledgements(self) -> int:
        """Process the broker's answers; return how many there were."""
        arrived: list[int] = []
        answers = 0
        for number, reason in self._link.take_acknowledgements():
            sent = self._in_flight.take(number)
            if sent is None:
                continue
            answers += 1
            if reason.is_failure:
                self._rejected(sent, str(reason), permanent=reason.value in PERMANENT_REASONS)
            elif sent.entry is not None:
                arrived.append(sent.entry.id)
                if self._in_flight.accept(sent.entry):
                    self._notices.end(sent.topic, self._about(f"{sent.topic} is accepted again"))
        if arrived:
            self._spool.remove(arrived)
            self._counts.delivered += len(arrived)
        return answers

    def end(self, status: bytes) -> None:
        """Publish the last status and disconnect, so that the will is not published."""
        self._link.publish(self._topics.status, status, retain=True)
        self._link.close()

    def _publish_retained(self, topic: str, payload: bytes) -> None:
        self._in_flight.add(self._link.publish(topic, payload, retain=True), Sent(topic))

    def _send(self, entry: Entry) -> None:
        """Publish one message of the spool, unless it is longer than the broker accepts."""
        try:
            payload = self._payload(entry)
        except Exception as error:  # whatever a message makes it raise must not hold up the others
            self._spool.set_aside(entry.id, f"it cannot be read: {first_line(error)}")
            return
        topic = f"{self._topics.base}/{entry.kind}"
        if len(topic.encode()) + len(payload) + PACKET_BYTES > self._link.max_packet_bytes:
            self._give_up(entry.id, "longer than the broker allows")
        else:
            self._in_flight.add(self._link.publish(topic, payload), Sent(topic, entry))

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
            self._give_up(sent.entry.id, reason)
        else:
            self._counts.postponed += 1
            self._in_flight.postpone(sent.entry)
            self._report_rejection(sent.topic, f"{reason}; messages are kept and tried again")

    def _give_up(self, identifier: int, reason: str) -> None:
        self._spool.remove([identifier])
        self._counts.refused += 1
        text = f"a message is rejected ({reason}); it stays in the output file only"
        self._notices.change("message", self._about(text))

    def _report_rejection(self, topic: str, text: str) -> None:
        self._notices.change(topic, self._about(f"it rejects {topic}: {text}"))

    def _about(self, text: str) -> str:
        return f"broker {self._settings.address}: {text}"
