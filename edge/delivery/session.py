"""Publish the node's state and the spool's messages over one connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ... import first_line
from ..settings.delivery import MqttSettings
from .counts import MqttCounts
from .in_flight import InFlight, Sent
from .link import BrokerLink
from .notices import Notices
from .own_messages import OwnMessages
from .pick_log import mark_historical
from .redate import redate
from .rejections import Rejections
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
        spool_first: Send the messages about the node itself after the spool.

    Attributes:
        delivered: Messages of the spool that left it over this connection.
        answers: Answers of the broker, also to the node's own messages.
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
        self.delivered = self.answers = 0
        self._link = link
        self._settings = settings
        self._topics = topics
        self._spool = spool
        self._counts = counts
        base, address = topics.base, settings.address
        self._rejections = Rejections(address, base, counts, notices, suspects)
        self._synchronised = synchronised
        self._suspects = suspects
        self._spool_first = spool_first
        self._own = OwnMessages(suspects)
        self._last: dict[int, tuple[int, int, int]] = {}
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
        held = self._suspects.held_kinds(0.0)
        return not self._last and not self._in_flight.has_due(held)

    def greet(self) -> None:
        """Publish, as soon as there is room, that the node is online, and what it is."""
        self._own.add(self._topics.status, b"online")
        self._own.add(f"{self._topics.base}/info", self._topics.info)
        self.announce()

    def announce(self) -> None:
        """Publish, as soon as there is room, Home Assistant's discovery messages."""
        for topic, payload in self._topics.announcements.items():
            self._own.add(topic, payload)

    def publish_health(self, health: bytes) -> None:
        """Publish a health record as soon as it can be, unless a newer one replaces it first."""
        self._health = health

    def send_due(self, stored_time: float) -> None:
        """Publish what is due; `stored_time`: when a message of the spool was last stored."""
        if not (self._spool_first and not self.is_done):
            self._send_own()
        if not self._own or self._spool_first:
            self._send_spool(stored_time)
        self._send_health()

    def take_acknowledgements(self) -> int:
        """Process the broker's answers; return how many there were."""
        arrived: list[int] = []
        answers = 0
        for number, reason in self._link.take_acknowledgements():
            if self._health_sent is not None and number == self._health_sent[0]:
                self._suspects.answered(self._health_sent[1])
                self._health_sent = None
                self.answers += 1
                continue
            sent = self._in_flight.take(number)
            if sent is None:
                continue
            answers += 1
            self._note_answer(sent)
            if reason.is_failure:
                self._rejected(sent, reason.value, str(reason))
            elif sent.entry is not None:
                arrived.append(sent.entry.id)
                if self._in_flight.accept(sent.entry):
                    self._rejections.accepted_again(sent.topic)
        if arrived:
            self._spool.remove(arrived)
            self.delivered += len(arrived)
            self._counts.delivered += len(arrived)
            if not self._link.abilities.qos:
                self._counts.unconfirmed += len(arrived)
        self.answers += answers
        return answers

    def end(self, status: bytes) -> None:
        """Publish the last status and disconnect, so that the will is not published."""
        if self._link.fits(self._topics.status, status):
            self._link.publish(self._topics.status, status, retain=True)
        self._link.close()

    def _note_answer(self, sent: Sent) -> None:
        if sent.entry is None and self._link.abilities.retain and not sent.retained:
            self._suspects.answered_without_retain(sent)
            self._own.leave_for_later(sent.topic)
        else:
            self._suspects.answered(sent)

    def _send_own(self) -> None:
        """Publish what waits of the node's own messages, in order, as far as there is room."""
        self._own.recall()
        while self._own and self._link.room:
            topic, payload = self._own.first
            sent = Sent(topic, retained=self._link.abilities.retain)
            if not self._suspects.retains(sent):
                sent = Sent(topic)
            if self._is_too_long(sent, payload):
                self._own.take()
            elif self._is_held(sent):
                self._own.leave_for_later(topic)
            elif self._may_send(sent):
                self._own.take()
                number = self._link.publish(topic, payload, retain=sent.retained)
                self._in_flight.add(number, sent)
            else:
                return

    def _send_spool(self, stored_time: float) -> None:
        """Publish what is due of the spool, in order; some suspects alone and after all others."""
        held = self._suspects.held_kinds(stored_time)
        while entries := self._in_flight.due(self._link.room, stored_time, held):
            for entry in entries:
                if not self._send(entry):
                    self._in_flight.rewind(entry.id)
                    return
        while self._last and not self.unanswered:
            identifier = min(self._last, key=lambda one: self._last[one])
            del self._last[identifier]
            for entry in self._spool.pending(identifier - 1, 1, without=held):
                if entry.id == identifier:
                    self._send(entry, is_last=True)

    def _send_health(self) -> None:
        if self._health is None or self._health_sent is not None:
            return
        sent = Sent(f"{self._topics.base}/health")
        if self._is_too_long(sent, self._health) or self._is_held(sent):
            self._health = None
        elif self._may_send(sent):
            self._health_sent = self._link.publish(sent.topic, self._health, qos=0), sent
            self._health = None

    def _send(self, entry: Entry, *, is_last: bool = False) -> bool:
        """Publish one message of the spool; return False where it has to wait for answers."""
        try:
            payload = self._payload(entry)
        except Exception as error:  # whatever a message makes it raise must not hold up the others
            self._spool.set_aside(entry.id, f"it cannot be read: {first_line(error)}")
            return True
        topic = f"{self._topics.base}/{entry.kind}"
        sent = Sent(topic, entry)
        if self._is_too_long(sent, payload):
            pass
        elif self._suspects.holds(sent):
            self._in_flight.set_aside(entry)
        elif not is_last and self._suspects.is_last(sent):
            # The shortest first, a limit on the length is the usual reason; then the newest.
            self._last[entry.id] = self._suspects.times(sent), len(payload), -entry.id
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

    def _is_too_long(self, sent: Sent, payload: bytes) -> bool:
        """Return whether the broker takes no message that long; log it."""
        is_too_long = not self._link.fits(sent.topic, payload)
        if is_too_long:
            longest = self._link.abilities.max_packet_bytes
            self._rejections.too_long(sent, len(payload), longest)
        return is_too_long

    def _is_held(self, sent: Sent) -> bool:
        """Return whether the broker ends connections at a message about the node; log it."""
        is_held = self._suspects.holds(sent)
        if is_held:
            self._rejections.left_out(sent, "the broker ends the connection at it")
        return is_held

    def _payload(self, entry: Entry) -> bytes:
        """Return what is published: with times by a clock that is set by now, marked if late."""
        payload = entry.payload
        if self._synchronised():
            payload = redate(payload, entry.utc_moved_seconds)
        if entry.is_older_than(self._settings.historical_seconds):
            payload = mark_historical(payload)
        return payload

    def _rejected(self, sent: Sent, code: int, name: str) -> None:
        reason = self._rejections.advise(code, name)
        if sent.entry is None:
            self._rejections.dropped(sent, reason)
        elif code in PERMANENT_REASONS:
            self._rejections.set_aside(sent.entry, reason)
            self._in_flight.set_aside(sent.entry)
        else:
            self._rejections.postponed(sent, reason)
            self._in_flight.postpone(sent.entry)
