"""Count and log the messages that the broker does not take, each with its remedy."""

from __future__ import annotations

from .counts import MqttCounts
from .in_flight import Sent
from .notices import Notices
from .reasons import PACKET_TOO_LARGE, Identity, remedy
from .spool_entry import Entry
from .suspects import Suspects


class Rejections:
    """What becomes of messages that are not taken, in the log and in the counts.

    Args:
        address: The broker's, for the log.
        base: `<prefix>/<network>/<station>`.
        counts: Updated here.
        notices: Where troubles are logged.
        suspects: Knows which messages were rejected before.
    """

    def __init__(
        self, address: str, base: str, counts: MqttCounts, notices: Notices, suspects: Suspects
    ) -> None:
        self._address = address
        self._who = Identity("", base)
        self._counts = counts
        self._notices = notices
        self._suspects = suspects

    def advise(self, code: int, text: str) -> str:
        """Return a reason with its remedy, where one is known."""
        advice = remedy(code, self._who)
        return f"{text}; {advice}" if advice else text

    def too_long(self, sent: Sent, length: int, longest: int) -> None:
        """Note a message that is longer than the broker takes; one about the node is dropped."""
        if sent.entry is not None:
            text = f"longer than the broker allows, {longest} bytes"
            self.set_aside(sent.entry, self.advise(PACKET_TOO_LARGE, text))
        else:
            text = f"it has {length} bytes, and the broker takes packets of {longest} at most"
            self.left_out(sent, self.advise(PACKET_TOO_LARGE, text))

    def left_out(self, sent: Sent, why: str) -> None:
        """Note a message about the node that is not sent now."""
        self._counts.left_out += 1
        text = f"{sent.topic} is left out: {why}"
        self._notices.begin(f"left out {sent.topic}", self._about(text))

    def dropped(self, sent: Sent, reason: str) -> None:
        """Note a message about the node that the broker rejects."""
        self._counts.refused += 1
        self._report(sent.topic, f"{reason}; the node goes on without")

    def postponed(self, sent: Sent, reason: str) -> None:
        """Note a message of the spool that the broker rejects for now."""
        self._counts.postponed += 1
        self._report(sent.topic, f"{reason}; messages are kept and tried again")

    def set_aside(self, entry: Entry, reason: str) -> None:
        """Note a message that stays in the spool, for another connection."""
        if self._suspects.is_new(entry.id):
            self._counts.refused += 1
        text = f"a message is rejected ({reason}); it is kept, and others are sent"
        self._notices.change("message", self._about(text))

    def accepted_again(self, topic: str) -> None:
        """Note that the broker accepts a kind that it rejected before."""
        self._notices.end(topic, self._about(f"{topic} is accepted again"))

    def _report(self, topic: str, text: str) -> None:
        self._notices.change(topic, self._about(f"it rejects {topic}: {text}"))

    def _about(self, text: str) -> str:
        return f"broker {self._address}: {text}"
