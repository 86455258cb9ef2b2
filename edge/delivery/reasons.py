"""Name why a broker ends or rejects a connection, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass

MALFORMED = 0x81
PROTOCOL_ERROR = 0x82
UNSUPPORTED_VERSION = 0x84
CLIENT_ID_INVALID = 0x85
SHUTTING_DOWN = 0x8B
KEEP_ALIVE_TIMEOUT = 0x8D
TAKEN_OVER = 0x8E
PACKET_TOO_LARGE = 0x95
USE_ANOTHER = 0x9C
MOVED = 0x9D
RETAIN_NOT_SUPPORTED = 0x9A
QOS_NOT_SUPPORTED = 0x9B

AT_A_MESSAGE = {None, 0x80, 0x81, 0x82, 0x83, 0x87, 0x90, 0x93, 0x95, 0x97, 0x99, 0x9A, 0x9B}
"""Reason codes with which a broker may answer a message by ending the connection; None: none."""


class LinkLost(Exception):
    """A connection ended or could not be made; the text is the reason.

    Args:
        text: The reason, for the log.

    Attributes:
        code: Reason code of MQTT 5 with which the broker ended it; None where it gave none.
        by_broker: The broker ended it, with or without a reason code.
        server: The broker that it named instead of itself.
        is_stuck: The broker keeps the connection and does not answer.
    """

    def __init__(
        self,
        text: str,
        *,
        code: int | None = None,
        by_broker: bool = False,
        server: str = "",
        is_stuck: bool = False,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.by_broker = by_broker
        self.server = server
        self.is_stuck = is_stuck

    @property
    def is_silent(self) -> bool:
        """Whether the broker ended the connection without a reason."""
        return self.by_broker and self.code is None


@dataclass(frozen=True)
class Identity:
    """What a remedy names.

    Attributes:
        client_id: The node's.
        base: `<prefix>/<network>/<station>`.
    """

    client_id: str
    base: str


def remedy(code: int | None, who: Identity, server: str = "") -> str:
    """Return what an operator can do about a reason code of MQTT 5; empty where nothing is known.

    Args:
        code: Of CONNACK or DISCONNECT.
        who: The node.
        server: The broker that this one names instead of itself; empty where it names none.
    """
    if code in (USE_ANOTHER, MOVED):
        return f"set the address to {server}" if server else "ask its operator for the new address"
    return _REMEDIES.get(code or 0, "").format(client_id=who.client_id, base=who.base)


_REMEDIES = {
    MALFORMED: "is it an MQTT broker?",
    PROTOCOL_ERROR: "is it an MQTT broker?",
    UNSUPPORTED_VERSION: "set [mqtt] protocol to the version that it has",
    CLIENT_ID_INVALID: "allow the client id {client_id} in the broker's configuration; with "
    "MQTT 3.1.1 also: lower keepalive_seconds",
    0x86: "check credentials_file, or EQEDGE_MQTT_USERNAME and _PASSWORD",
    0x87: "allow the node's user to connect and to write to {base}/# in the broker's access list",
    0x88: "the broker is not ready",
    0x89: "the broker has too many clients or too little memory",
    0x8A: "the broker's operator has to allow the node again",
    SHUTTING_DOWN: "the broker is stopped or restarted",
    0x8C: "the broker demands a login that the node does not have; use user name and password, or "
    "a certificate",
    KEEP_ALIVE_TIMEOUT: "the line is too slow or interrupted; lower keepalive_seconds",
    TAKEN_OVER: "another client has the client id {client_id}: are there two nodes with this "
    "network and station code? Give each its own code",
    0x90: "check topic_prefix, or allow {base}/# in the broker's access list",
    PACKET_TOO_LARGE: "raise the broker's maximum packet size",
    0x96: "raise the broker's limit of messages a second",
    0x97: "raise the broker's quota for this client",
    0x98: "the broker's operator ended it",
    RETAIN_NOT_SUPPORTED: "the node goes on without retained messages",
    QOS_NOT_SUPPORTED: "the node goes on with QoS 0",
    0x9F: "raise the broker's limit of connections a second",
    0xA0: "the broker limits how long a connection lasts",
}
"""By reason code of MQTT 5."""


def unexplained(who: Identity) -> str:
    """Return the likely causes where a broker closes accepted connections and gives no reason."""
    return (
        "the broker ended connections without a reason, several in a row; likely: "
        f"another client with the client id {who.client_id} (two nodes with one station code), an "
        "access list, or a limit on messages; the broker's log has details"
    )


IDLE_ENDED = "the broker ended connections without a reason, several in a row, with all answered"
"""Where connections end while nothing that was sent waits for an answer."""
REFUSED_UNEXPLAINED = (
    "the broker closed the connection without an answer; likely: it has too many clients, allows "
    "no retained messages, no QoS 1 or no packets of this length, does not have this version of "
    "MQTT, or expects TLS or a login; the broker's log has details"
)
"""Where no connection was accepted."""
AT_A_MESSAGE_REMEDY = (
    "allow it in the broker's access list, or raise its limit on the length of messages; its log "
    "has details"
)
"""Where connections end at one message."""
