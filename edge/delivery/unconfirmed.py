"""Know which messages at QoS 0 the broker has read: those before a ping that it answered."""

from __future__ import annotations

import time

from paho.mqtt.client import Client


class Unconfirmed:
    """Messages at QoS 0 over one connection: MQTT has no other sign that they were read.

    The library's ping, and the time since which it waits for the answer, are private; a test checks
    that both still are what they are taken for.

    Args:
        client: Sent the messages, and sends the pings.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sent: set[int] = set()
        self._pinged: set[int] = set()
        self._is_used = False
        self._waited = False

    def __len__(self) -> int:
        """How many the broker may not have read yet."""
        return len(self._sent) + len(self._pinged)

    def add(self, number: int) -> None:
        """Note a message that was sent under this packet number."""
        self._is_used = True
        self._sent.add(number)

    def prove(self) -> list[int]:
        """Return the messages that were read by now, in order; ping after those sent since."""
        if getattr(self._client, "_ping_t", 0) or self._client.socket() is None:
            return []
        proved, self._pinged = sorted(self._pinged), set()
        if self._sent:
            self._pinged, self._sent = self._sent, set()
            self._client._send_pingreq()
            # As after the library's own pings: the time for the answer begins now.
            for name in ("_last_bytes_received", "_last_msg_in"):
                if hasattr(self._client, name):
                    setattr(self._client, name, time.monotonic())
        return proved

    def keep_waiting(self, *, ended: bool) -> None:
        """Note that a long message arrives, whose end the library takes for an answer to a ping.

        It proves the broker alive, but not that what was sent before the ping was read.

        Args:
            ended: It has ended.
        """
        waits = bool(getattr(self._client, "_ping_t", 0))
        if waits or (ended and self._waited and self._is_used):
            setattr(self._client, "_ping_t", time.monotonic())  # noqa: B010
        self._waited = waits and not ended
