"""Report in log and health record what the broker cannot do, and why connections end."""

from __future__ import annotations

import logging
from dataclasses import replace

from .abilities import Abilities
from .counts import MqttCounts
from .endings import Ending, Endings
from .incoming import MAX_INCOMING_BYTES
from .link import BrokerLink
from .notices import Notices
from .reasons import AT_A_MESSAGE_REMEDY, Identity, LinkLost
from .session import Session
from .suspects import Suspects


class BrokerReports:
    """What is known of the broker, and what of it was logged.

    Args:
        address: The broker's, for the log.
        who: The node.
        listen_topic: The one topic to subscribe to; empty for none.
        counts: Updated here.
        notices: Where troubles are logged.
        logger: Where else.
        abilities: What the broker can do; updated here.
        suspects: Messages at which connections ended; updated here.
    """

    def __init__(
        self,
        address: str,
        who: Identity,
        listen_topic: str,
        *,
        counts: MqttCounts,
        notices: Notices,
        logger: logging.Logger,
        abilities: Abilities,
        suspects: Suspects,
    ) -> None:
        self.endings = Endings(who, abilities, suspects)
        self._address = address
        self._listen_topic = listen_topic
        self._counts = counts
        self._notices = notices
        self._logger = logger
        self._abilities = abilities
        self._suspects = suspects
        self._dropped = 0

    def connecting(self) -> None:
        """Begin with a connection."""
        self._dropped = 0

    def connected(self) -> None:
        """Log that the broker is connected, once while connections do not last, and its limits."""
        if self._counts.connects == 1:
            self._logger.info(self._about("connected"))
            self._notices.end("connection")
        if not self.endings.are_frequent:
            self.forget_trouble()
        limits = self._abilities.describe()
        if limits:
            self._notices.change("limits", self._about(limits))
        else:
            self._notices.end("limits")
        self._report_limits(limits)

    def forget_trouble(self) -> None:
        """Report no trouble any more, unless another client has our client id."""
        if not self.endings.is_taken_over:
            self._counts.trouble = None
            self._notices.end("connection", self._about("connected"))

    def received(self, link: BrokerLink) -> None:
        """Log, once, what the broker sends that is not wanted; follow what it takes."""
        self._report_limits(self._abilities.describe())
        if self._count_dropped(link):
            remedy = f"clear what is retained on {self._listen_topic}" if self._listen_topic else ""
            text = f"it sends a message of more than {MAX_INCOMING_BYTES} bytes, which is dropped"
            self._notices.begin("incoming", self._about("; ".join(filter(None, [text, remedy]))))
        if link.rejected_topic:
            text = f"it rejects the subscription to {link.rejected_topic}; the node goes on without"
            remedy = "allow the node's user to read it in the broker's access list"
            self._notices.begin("subscription", self._about(f"{text}; {remedy}"))

    def ended(
        self, link: BrokerLink, session: Session | None, lost: LinkLost, lasted: float
    ) -> str:
        """Find out what the broker does not take; return why it ended the connection.

        Args:
            link: The connection.
            session: What was sent over it; None where it was not accepted.
            lost: Why it ended, as far as it shows.
            lasted: Seconds since the attempt to connect.
        """
        self._count_dropped(link)
        ending = Ending(lost, lasted, link.accepted)
        if session is not None:
            session.take_acknowledgements()  # those that came just before the end
            ending = replace(
                ending,
                served=True,
                delivered=session.delivered,
                answers=session.answers,
                unanswered=tuple(session.unanswered),
            )
        held = self.endings.note(ending)
        self._counts.takeovers += self.endings.is_takeover(ending)
        if held is not None:
            which = "a message" if held.entry else "the message"
            text = f"it ends the connection at {which} on {held.topic}, left out for a while"
            self._notices.change(held.topic, self._about(f"{text}; {AT_A_MESSAGE_REMEDY}"))
        if link.incoming.is_dropping and self._listen_topic and self._abilities.subscribes:
            self._abilities.stop_subscribing()
            text = f"a message on {self._listen_topic} is too long; not subscribed to for an hour"
            self._notices.change("incoming", self._about(f"{text}; clear what is retained there"))
        reason = self.endings.explain(ending)
        return f"{reason}; events are kept and the connection is tried again"

    def trouble(self, text: str) -> None:
        """Log why the broker is not connected, and have it in the health record."""
        self._counts.trouble = text
        self._notices.change("connection", self._about(text))

    def _report_limits(self, limits: str) -> None:
        self._counts.limits = "; ".join(filter(None, [limits, self._suspects.describe()])) or None

    def _count_dropped(self, link: BrokerLink) -> int:
        """Count what was dropped of what came over a connection; return how many were new."""
        new = link.incoming.dropped - self._dropped
        self._counts.dropped += new
        self._dropped = link.incoming.dropped
        return new

    def _about(self, text: str) -> str:
        return f"broker {self._address}: {text}"
