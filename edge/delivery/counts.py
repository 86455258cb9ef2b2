"""Count what becomes of connections to the broker, and of messages."""

from __future__ import annotations

from dataclasses import dataclass

from ...firmware_bridge.measured import Limit, counter, gauge, label

REFUSED = "Messages too long to be sent, or permanently rejected by the broker."
LEFT_OUT = "Messages about the node itself that the broker does not take: status, info, health."


@dataclass
class MqttCounts:
    """What became of connections and messages.

    Attributes:
        refused: Too long for the broker, or permanently rejected: an event waits in the spool for
            another connection; a status or info message is dropped.
        left_out: Not sent: longer than the broker takes, or the broker ends the connection at it.
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
    left_out: int = counter("mqtt_left_out_total", LEFT_OUT)
    unconfirmed: int = counter(
        "mqtt_unconfirmed_total", "Delivered messages that a broker without QoS 1 did not confirm."
    )
    dropped: int = counter(
        "mqtt_dropped_total", "Messages from the broker that were too long, read and dropped."
    )
    takeovers: int = counter(
        "mqtt_takeovers_total",
        "Connections that another client with this client id took over.",
        degrades=1,
    )
    limits: str | None = label("mqtt_limits", "What the broker cannot do.")
    trouble: str | None = label("mqtt_trouble", "Why the broker is not connected, or was not.")
