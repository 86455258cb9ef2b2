"""Know what the broker can do: what it states when it accepts a connection, or refuses."""

from __future__ import annotations

import time
from typing import Any

from ..settings.delivery import MqttSettings
from .reasons import (
    CLIENT_ID_INVALID,
    QOS_NOT_SUPPORTED,
    RETAIN_NOT_SUPPORTED,
    UNSUPPORTED_VERSION,
)

WINDOW_MESSAGES = 16
"""Messages in flight at a time; brokers accept 20 unless they announce another number."""
NO_LIMIT_BYTES = 268_435_460
"""Length of the longest packet that MQTT has."""
REMEMBERED_SECONDS = 3600.0
"""A feature that the broker refused is tried again with the first connection after this long."""
RETAIN, QOS, VERSION, CLIENT_ID = "retain", "qos", "version", "client id"
KEEP_ALIVE, SUBSCRIPTION = "keep alive", "subscription"
SHORT_KEEP_ALIVE_SECONDS = 10
"""Keep alive that every broker accepts."""
BY_CODE = {
    RETAIN_NOT_SUPPORTED: RETAIN,
    QOS_NOT_SUPPORTED: QOS,
    UNSUPPORTED_VERSION: VERSION,
}
"""Feature without which a connection may be accepted, by the reason code that refuses it."""
STEPS = ((), (RETAIN,), (QOS,), (RETAIN, QOS))
"""Features that are left out in turn where a broker refuses connections without a reason."""
PROOFS = 2
"""How often QoS 1 is refused, or a connection with all features is closed after one with less was
accepted, until they are left out: a broker with too many clients also closes some connections."""
ID_STEPS = ((CLIENT_ID,), (KEEP_ALIVE,), (CLIENT_ID, KEEP_ALIVE))
"""The same where it rejects the client id: with MQTT 3.1.1, mosquitto also means a keep alive that
is longer than it allows."""


class Abilities:
    """What the broker can do, as far as it is known; it outlives connections.

    Args:
        settings: Of the broker.

    Attributes:
        max_packet_bytes: Longest packet that the broker accepts.
        window: Messages that may be in flight.
    """

    def __init__(self, settings: MqttSettings) -> None:
        self.max_packet_bytes = NO_LIMIT_BYTES
        self.window = WINDOW_MESSAGES
        self._settings = settings
        self._refused: dict[str, float] = {}
        self._stated: set[str] = set()
        self._step = 0
        self._doubted: tuple[str, ...] = ()
        self._proved = False
        self._closed = 0
        self._qos_refusals = 0

    @property
    def retain(self) -> bool:
        """Whether it accepts retained messages."""
        return self._has(RETAIN)

    @property
    def qos(self) -> int:
        """The highest quality of service that the node may use, 0 or 1."""
        return int(self._has(QOS))

    @property
    def five(self) -> bool:
        """Whether to use MQTT 5."""
        return self._settings.protocol == "5" and self._has(VERSION)

    def client_id(self, wanted: str) -> str:
        """Return the client id to use: short and without hyphens where the broker refuses others.

        Args:
            wanted: The usual one.
        """
        return wanted if self._has(CLIENT_ID) else wanted.replace("-", "")

    @property
    def keepalive_seconds(self) -> int:
        """Keep alive of the next connection."""
        longest = self._settings.keepalive_seconds
        return longest if self._has(KEEP_ALIVE) else min(longest, SHORT_KEEP_ALIVE_SECONDS)

    @property
    def subscribes(self) -> bool:
        """Whether to subscribe, where the settings demand it."""
        return self._has(SUBSCRIPTION)

    def stop_subscribing(self) -> None:
        """Note that what the broker sends on the subscription ends connections."""
        self._refused[SUBSCRIPTION] = time.monotonic()

    def connecting(self) -> None:
        """Forget what an earlier connection stated, and what was refused long ago."""
        now = time.monotonic()
        self._stated.clear()
        self.max_packet_bytes, self.window = NO_LIMIT_BYTES, WINDOW_MESSAGES
        old = {name for name, when in self._refused.items() if now - when >= REMEMBERED_SECONDS}
        if old & {RETAIN, QOS}:  # what was found out of both is found out anew
            old |= {RETAIN, QOS}
            self._step, self._closed, self._proved, self._qos_refusals = 0, 0, False, 0
        for name in old:
            self._refused.pop(name, None)

    def accepted(self, properties: Any) -> None:
        """Read the properties of CONNACK; a value that MQTT does not allow is ignored.

        Args:
            properties: Paho's, with an attribute for each that the broker stated; None without.
        """
        if not getattr(properties, "RetainAvailable", 1):
            self._stated.add(RETAIN)
        if not getattr(properties, "MaximumQoS", 1):
            self._stated.add(QOS)
        self.max_packet_bytes = getattr(properties, "MaximumPacketSize", 0) or NO_LIMIT_BYTES
        announced = getattr(properties, "ReceiveMaximum", 0) or WINDOW_MESSAGES
        self.window = min(WINDOW_MESSAGES, announced)

    def refused(self, code: int | None) -> bool:
        """Note a refusal; return whether it was of a feature, which is then left out."""
        if code == CLIENT_ID_INVALID:
            return self._refused_id()
        feature = BY_CODE.get(code or 0)
        if feature is None or feature in self._refused or (feature == VERSION and not self.five):
            return False
        if feature == QOS:
            # Without QoS 1 nothing is confirmed, therefore one refusal is no proof.
            self._qos_refusals += 1
            if self._qos_refusals < PROOFS:
                return True
        self._refused[feature] = time.monotonic()
        return True

    def acknowledged(self) -> None:
        """Note that a message was delivered: earlier refusals of QoS 1 prove nothing."""
        if self.qos:
            self._qos_refusals = 0

    def _refused_id(self) -> bool:
        left_out = tuple(one for one in (CLIENT_ID, KEEP_ALIVE) if one in self._refused)
        at = ID_STEPS.index(left_out) + 1 if left_out else 0
        steps = ID_STEPS if not self.five else ID_STEPS[:1]
        if at >= len(steps):
            return False
        self._leave_out(steps[at], of=(CLIENT_ID, KEEP_ALIVE))
        return True

    def closed_unanswered(self) -> bool:
        """Note that the broker closed a connection instead of accepting it, without a reason.

        Return whether the next connection is tried with other features.

        MQTT 3.1.1 has no reason for a will that is retained, or not at QoS 0. Both are left out
        one after the other, and used again where that does not help either.
        """
        if self.five or self._proved:
            return False
        if self._doubted:
            self._closed += 1
            self._proved = self._closed >= PROOFS
            self._step = STEPS.index(self._doubted)
            self._leave_out(self._doubted)
            self._doubted = ()
        else:
            self._step = (self._step + 1) % len(STEPS)
            self._leave_out(STEPS[self._step])
        return True

    def is_in_doubt(self) -> bool:
        """Note that a connection was accepted; return whether to try first one with all features.

        A broker that was away for a moment closes connections too, and would then be served
        without acknowledgements. Therefore a connection that is accepted with less is not used at
        first: only if one with all features is closed after it, twice, the broker cannot do them.
        """
        doubted, self._doubted = self._doubted, ()
        if doubted:
            self._step = self._closed = 0
        if self._step == 0 or self._proved:
            return False
        self._doubted = STEPS[self._step]
        self._leave_out(())
        return True

    def describe(self) -> str:
        """Return what the broker cannot do; empty where it can do all that the node needs."""
        found = []
        if not self.retain:
            found.append(
                "it takes no retained messages: who subscribes later misses status and info until "
                "its operator allows them"
            )
        if not self.qos:
            found.append("it takes QoS 0 only: delivery is not confirmed")
        if self.max_packet_bytes < self._settings.max_payload_bytes:
            found.append(
                f"it takes packets of {self.max_packet_bytes} bytes at most: longer messages about "
                "the node are left out, longer events wait until its operator allows more"
            )
        if not self._has(VERSION):
            found.append("it has MQTT 3.1.1 only: it does not report that it rejects a message")
        if not self._has(CLIENT_ID):
            found.append("it accepts no hyphens in client ids: the node's is without them")
        if not self._has(KEEP_ALIVE):
            found.append(
                f"it accepts a keep alive of {self.keepalive_seconds} s, and no longer one"
            )
        return "; ".join(found)

    def _has(self, feature: str) -> bool:
        return feature not in self._refused and feature not in self._stated

    def _leave_out(self, features: tuple[str, ...], of: tuple[str, ...] = (RETAIN, QOS)) -> None:
        for one in of:
            self._refused.pop(one, None)
        self._refused.update(dict.fromkeys(features, time.monotonic()))
