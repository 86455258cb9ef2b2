"""Connect to the broker, and again with back-off, in a thread of its own."""

from __future__ import annotations

import logging
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from ..settings.delivery import MqttSettings
from .abilities import Abilities
from .link import MAX_INCOMING_BYTES, BrokerLink, LinkLost
from .login import Credentials, short_reason
from .notices import Notices
from .reasons import (
    AT_A_MESSAGE,
    IDLE_ENDED,
    REFUSED_UNEXPLAINED,
    TAKEN_OVER,
    Identity,
    remedy,
    unexplained,
)
from .session import MqttCounts, NodeTopics, Session
from .spool import Spool
from .suspects import Suspects

logger = logging.getLogger(__name__)

TURN_SECONDS = 1.0
"""Longest sleep of the thread while connected: it looks after the keepalive in between."""
IDLE_SECONDS = 5.0
"""Longest sleep while not connected, so that `progress_time` proves the thread alive."""
ANSWER_SECONDS = 5.0
"""A broker has at least this long to acknowledge a message, however short the keepalive."""
STABLE_SECONDS = 10.0
"""A connection that lasted this long starts the back-off anew; a shorter one prolongs it."""
TAKEOVER_SECONDS = 3600.0
"""Another client with our client id is reported this long after it last took a connection over."""
CALM_SECONDS = 600.0
"""A connection that lasted this long shows that the trouble with earlier ones is over."""
TAKEOVER_STEPS = 4
"""Steps of the back-off that a takeover begins with: two nodes must not disconnect each other at
full speed, whose connections both count as stable."""
UNEXPLAINED_TIMES = 2
"""So many connections in a row, closed without a reason, are worth a guess at the cause."""
PROGRESS_STEPS = 2
"""Longest back-off, in steps, after a connection that delivered something."""


class Unanswered(LinkLost):
    """The broker keeps the connection alive and acknowledges nothing."""


class ConnectionLoop:
    """A thread that connects, serves the spool, and connects again until it is stopped.

    Args:
        settings: Of the broker.
        client_id: The node's, the same at each connection.
        topics: Where the node publishes.
        spool: Holds the messages until they are acknowledged.
        credentials: User name and password, None without.
        tls: None for plain TCP.
        listen_topic: Home Assistant's status topic; empty to subscribe to nothing.
        synchronised: Whether the host knows UTC.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        topics: NodeTopics,
        spool: Spool,
        *,
        credentials: Credentials | None,
        tls: ssl.SSLContext | None,
        listen_topic: str,
        synchronised: Callable[[], bool],
    ) -> None:
        self.counts = MqttCounts()
        self._settings = settings
        self._client_id = client_id
        self._who = Identity(client_id, topics.base)
        self._abilities = Abilities(settings.protocol)
        self._suspects = Suspects(settings.retry_max_seconds)
        self._session: Session | None = None
        self._taken_over = float("-inf")
        self._unexplained = 0
        self._useless = 0
        self._dropped = 0
        self._topics = topics
        self._spool = spool
        self._credentials = credentials
        self._tls = tls
        self._listen_topic = listen_topic
        self._synchronised = synchronised
        self._notices = Notices(logger)
        self._health: bytes | None = None
        self._stored_time = 0.0
        self._unanswered_since: float | None = None
        self._stop = threading.Event()
        self._last_status = b"stopped"
        self._deadline = float("inf")
        self._hastened = False
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._progress_time = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Start the thread; the broker need not be reachable."""
        self._thread.start()

    def stop(self, last_status: bytes) -> None:
        """Deliver what can be delivered within `drain_seconds`, publish the status, disconnect."""
        self._last_status = last_status
        if not self._hastened:
            self._deadline = time.monotonic() + self._settings.drain_seconds
        self._stop.set()
        self._wake()
        while self._thread.is_alive() and time.monotonic() < self._deadline + 2:
            self._thread.join(0.1)  # `hasten` changes the deadline

    def hasten(self) -> None:
        """Let `stop` not wait for acknowledgements, also one that waits now."""
        self._hastened = True
        self._deadline = time.monotonic()
        self._wake()

    def messages_stored(self) -> None:
        """Note that the spool has new messages, so that they are sent at once."""
        self._stored_time = time.monotonic()
        self._wake()

    def publish_health(self, health: bytes) -> None:
        """Publish a health record as soon as connected, unless a newer one replaces it first."""
        self._health = health
        self._wake()

    @property
    def progress_time(self) -> float:
        """When the thread last proved alive, on the monotonic clock."""
        return self._progress_time

    @property
    def answered_time(self) -> float:
        """Since when a reachable broker owes an acknowledgement; now where it owes none."""
        since = self._unanswered_since
        return time.monotonic() if since is None else since

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # the socket is full of earlier calls: one is enough
            self._wake_write.send(b"!")

    def _run(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            self._session = None
            link = BrokerLink(
                self._settings,
                self._client_id,
                self._topics.status,
                self._wake_read,
                self._abilities,
            )
            try:
                if self._serve(link):
                    return
                continue
            # Whatever a broken or hostile broker makes the client library raise, the next
            # connection starts afresh; a thread that ends would be worse than any of it.
            except Exception as error:
                link.drop()
                lost = error if isinstance(error, LinkLost) else LinkLost(short_reason(error))
                if not isinstance(error, Unanswered):
                    self._unanswered_since = None
            self.counts.connected = False
            self.counts.failures += 1
            self._count_dropped(link)
            lasted = time.monotonic() - began
            self._learn(link, lost, lasted)
            text = f"{self._explain(link, lost)}; events are kept and the connection is tried again"
            if self._stop.is_set() and self._is_over():
                return
            self.counts.trouble = text
            self._notices.change("connection", f"broker {self._settings.address}: {text}")
            failures = self._steps(failures, lost, lasted)
            if not self._wait(self._backoff(failures)):
                return

    def _learn(self, link: BrokerLink, lost: LinkLost, lasted: float) -> None:
        """Find out what the broker does not take, from how it ended the connection."""
        if self._abilities.refused(lost.code):
            return
        silent = lost.by_broker and lost.code is None
        if silent and not link.accepted:
            self._abilities.closed_unanswered()
        if not (silent and link.accepted):
            self._unexplained = 0
        else:
            self._unexplained = self._unexplained + 1 if lasted < CALM_SECONDS else 1
        if lost.code == TAKEN_OVER or self._is_probably_taken_over():
            self._taken_over = time.monotonic()
            self.counts.takeovers += 1
        if link.is_dropping and self._abilities.subscribes:
            self._abilities.subscribes = False
            text = f"a message on {self._listen_topic} is too long; the node subscribes no longer"
            self._notices.change("incoming", f"broker {self._settings.address}: {text}")
        session = self._session
        if session is None:
            return
        if lost.by_broker and lost.code in AT_A_MESSAGE:
            held = self._suspects.connection_ended(session.unanswered)
            if held is not None:
                text = f"it ends the connection at {held.topic}, which is left out for a while"
                self._notices.change(held.topic, f"broker {self._settings.address}: {text}")
        useless = lost.by_broker and not session.delivered and lasted <= STABLE_SECONDS
        self._useless = self._useless + 1 if useless else 0

    def _is_probably_taken_over(self) -> bool:
        """Return whether connections end without a reason while all is answered.

        Many brokers give no reason when another client connects with the same client id.
        """
        session = self._session
        if session is None or session.delivered or self._unexplained < UNEXPLAINED_TIMES:
            return False
        return not session.unanswered

    def _explain(self, link: BrokerLink, lost: LinkLost) -> str:
        """Return why a connection ended, and the remedy or likely cause where one is known."""
        if lost.by_broker and lost.code is None:
            if not link.accepted:
                return REFUSED_UNEXPLAINED
            if self._is_probably_taken_over():
                return f"{IDLE_ENDED}; probably {remedy(TAKEN_OVER, self._who)}"
            if self._unexplained >= UNEXPLAINED_TIMES:
                return unexplained(self._who)
        advice = remedy(lost.code, self._who, lost.server)
        return f"{lost}; {advice}" if advice else str(lost)

    def _steps(self, failures: int, lost: LinkLost, lasted: float) -> int:
        """Return how many steps the back-off has taken, after one more connection was lost."""
        if lost.code == TAKEN_OVER or self._is_probably_taken_over():
            return max(failures + 1, TAKEOVER_STEPS)
        if lasted > STABLE_SECONDS and self._unexplained < UNEXPLAINED_TIMES:
            return 0
        delivered = self._session is not None and self._session.delivered > 0
        return min(failures + 1, PROGRESS_STEPS) if delivered else failures + 1

    def _count_dropped(self, link: BrokerLink) -> None:
        self.counts.dropped += link.dropped - self._dropped
        self._dropped = link.dropped

    def _report(self, link: BrokerLink) -> None:
        """Log, once, what the broker cannot do and what it sends that is not wanted."""
        before = self._dropped
        self._count_dropped(link)
        if link.dropped > before:
            text = f"it sends a message of more than {MAX_INCOMING_BYTES} bytes, which is dropped"
            self._notices.begin("incoming", f"broker {self._settings.address}: {text}")
        if link.rejected_topic:
            text = f"it rejects the subscription to {link.rejected_topic}; the node goes on without"
            self._notices.begin("subscription", f"broker {self._settings.address}: {text}")

    def _backoff(self, failures: int) -> float:
        """Return seconds to the next attempt, scattered so that not all nodes come at once."""
        longest = self._settings.retry_max_seconds
        seconds = min(longest, self._settings.retry_min_seconds * 2.0 ** min(failures, 30))
        return seconds * random.uniform(0.5, 1.0)

    def _wait(self, seconds: float) -> bool:
        """Sleep; when stopping, only shortly. Return whether to try again."""
        until = time.monotonic() + seconds
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            self._progress_time = time.monotonic()
            self._stop.wait(min(left, IDLE_SECONDS))
        if self._stop.is_set():
            time.sleep(min(0.2, self._settings.retry_min_seconds))
            return not self._is_over()
        return True

    def _is_over(self) -> bool:
        return time.monotonic() >= self._deadline or not len(self._spool)

    def _serve(self, link: BrokerLink) -> bool:
        """Deliver over one connection until it is lost, or all is sent and the node stops.

        Returns:
            Whether the node stops; otherwise the next connection shows what the broker can do.
        """
        self._dropped = 0
        link.open(self._tls, self._credentials, self._listen_topic)
        if self._abilities.is_in_doubt():
            link.close()
            return False
        self.counts.connected = True
        self.counts.connects += 1
        if self._unexplained < UNEXPLAINED_TIMES and not self._is_taken_over:
            self._notices.end("connection")
        logger.info("broker %s: connected", self._settings.address)
        self._report_limits()
        session = self._session = Session(
            link,
            self._settings,
            self._topics,
            self._spool,
            counts=self.counts,
            notices=self._notices,
            synchronised=self._synchronised,
            suspects=self._suspects,
            spool_first=self._useless >= UNEXPLAINED_TIMES,
        )
        session.greet()
        session.send_due(self._stored_time)
        calm_time = time.monotonic() + CALM_SECONDS
        while True:
            self._progress_time = time.monotonic()
            if self.counts.trouble and self._progress_time > calm_time:
                self._forget_trouble()
            self._expect_answers(session)
            health, self._health = self._health, None
            if health is not None:
                session.publish_health(health)
            session.send_due(self._stored_time)
            if self._stop.is_set() and (self._is_over() or session.is_done):
                session.end(self._last_status)
                return True
            link.turn(0.05 if self._stop.is_set() else TURN_SECONDS)
            self._report(link)
            if link.home_assistant_started:
                link.home_assistant_started = False
                session.announce()

    def _report_limits(self) -> None:
        """Log once what the broker cannot do; forget the trouble with earlier connections."""
        limits = self._abilities.describe()
        self.counts.limits = limits or None
        text = f"broker {self._settings.address}: {limits}"
        if limits:
            self._notices.change("limits", text)
        else:
            self._notices.end("limits")
        if self._unexplained < UNEXPLAINED_TIMES:
            self._forget_trouble()

    def _forget_trouble(self) -> None:
        """Report no trouble any more, unless another client has our client id."""
        if not self._is_taken_over:
            self.counts.trouble = None

    @property
    def _is_taken_over(self) -> bool:
        """Whether another client has, or had a short time ago, our client id."""
        return time.monotonic() - self._taken_over < TAKEOVER_SECONDS

    def _expect_answers(self, session: Session) -> None:
        """Leave a broker that keeps the connection alive and acknowledges nothing."""
        if session.take_acknowledgements() or not session.waiting_seconds:
            self._unanswered_since = None
        if session.waiting_seconds and self._unanswered_since is None:
            self._unanswered_since = time.monotonic()
        longest = max(ANSWER_SECONDS, 2.0 * self._settings.keepalive_seconds)
        if session.waiting_seconds > longest:
            raise Unanswered(f"it acknowledges nothing within {longest:g} s")
