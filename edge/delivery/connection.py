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
from .broker_reports import BrokerReports
from .counts import MqttCounts
from .endings import CALM_SECONDS
from .link import BrokerLink
from .login import Credentials, short_reason
from .notices import Notices
from .reasons import Identity, LinkLost
from .session import NodeTopics, Session
from .spool import Spool
from .suspects import Suspects

logger = logging.getLogger(__name__)

TURN_SECONDS = 1.0
"""Longest sleep of the thread while connected: it looks after the keepalive in between."""
IDLE_SECONDS = 5.0
"""Longest sleep while not connected, so that `progress_time` proves the thread alive."""
ANSWER_SECONDS = 5.0
"""A broker has at least this long to acknowledge a message, however short the keepalive."""


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
        self._abilities = Abilities(settings)
        self._suspects = Suspects(settings.retry_max_seconds)
        self._session: Session | None = None
        self._topics = topics
        self._spool = spool
        self._credentials = credentials
        self._tls = tls
        self._listen_topic = listen_topic
        self._synchronised = synchronised
        self._notices = Notices(logger)
        self._reports = BrokerReports(
            settings.address,
            Identity(client_id, topics.base),
            listen_topic,
            counts=self.counts,
            notices=self._notices,
            logger=logger,
            abilities=self._abilities,
            suspects=self._suspects,
        )
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
        """Make one connection after the other; whatever is raised, the thread goes on."""
        while True:
            try:
                if not self._connect_once():
                    return
            except Exception as error:
                text = f"{short_reason(error)}; events are kept and the connection is tried again"
                self._reports.trouble(text)
                if not self._wait(self._settings.retry_max_seconds):
                    return

    def _connect_once(self) -> bool:
        """Serve one connection and wait after it; return whether there is another one."""
        began = time.monotonic()
        self._session = None
        self._reports.connecting()
        link = BrokerLink(
            self._settings,
            self._client_id,
            self._topics.status,
            self._wake_read,
            self._abilities,
        )
        try:
            return not self._serve(link)
        # Whatever a broken or hostile broker makes the client library raise, the next
        # connection starts afresh; a thread that ends would be worse than any of it.
        except Exception as error:
            link.drop()
            lost = error if isinstance(error, LinkLost) else LinkLost(short_reason(error))
            if not isinstance(error, Unanswered):
                self._unanswered_since = None
        self.counts.connected = False
        self.counts.failures += 1
        text = self._reports.ended(link, self._session, lost, time.monotonic() - began)
        if self._stop.is_set() and self._is_over():
            return False
        self._reports.trouble(text)
        return self._wait(self._backoff(self._reports.endings.steps))

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
        link.open(self._tls, self._credentials, self._listen_topic)
        if self._abilities.is_in_doubt():
            link.close()
            return False
        self.counts.connected = True
        self.counts.connects += 1
        self._reports.connected()
        session = self._session = Session(
            link,
            self._settings,
            self._topics,
            self._spool,
            counts=self.counts,
            notices=self._notices,
            synchronised=self._synchronised,
            suspects=self._suspects,
            spool_first=self._reports.endings.are_useless,
        )
        session.greet()
        session.send_due(self._stored_time)
        calm_time = time.monotonic() + CALM_SECONDS
        while True:
            self._progress_time = time.monotonic()
            if self.counts.trouble and self._progress_time > calm_time:
                self._reports.forget_trouble()
            self._expect_answers(session)
            health, self._health = self._health, None
            if health is not None:
                session.publish_health(health)
            session.send_due(self._stored_time)
            if self._stop.is_set() and (self._is_over() or session.is_done):
                session.end(self._last_status)
                return True
            link.turn(0.05 if self._stop.is_set() else TURN_SECONDS)
            self._reports.received(link)
            if link.home_assistant_started:
                link.home_assistant_started = False
                session.announce()

    def _expect_answers(self, session: Session) -> None:
        """Leave a broker that keeps the connection alive and acknowledges nothing."""
        if session.take_acknowledgements() or not session.waiting_seconds:
            self._unanswered_since = None
        if session.waiting_seconds and self._unanswered_since is None:
            self._unanswered_since = time.monotonic()
        longest = max(ANSWER_SECONDS, 2.0 * self._settings.keepalive_seconds)
        if session.waiting_seconds > longest:
            raise Unanswered(f"it acknowledges nothing within {longest:g} s", is_stuck=True)
