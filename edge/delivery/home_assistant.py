"""Make the messages by which Home Assistant discovers the node."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..types import Message
from .file import to_line


@dataclass(frozen=True)
class Announcements:
    """The messages that make Home Assistant show the node.

    Attributes:
        status_topic: Where Home Assistant publishes `online` when it starts and needs them again;
            empty where it is off.
        payloads: By topic, retained.
    """

    status_topic: str = ""
    payloads: Mapping[str, bytes] = field(default_factory=dict)


def discovery_messages(prefix: str, base: str) -> Announcements:
    """Return the discovery messages of a node whose topics start with `base`.

    Args:
        prefix: Home Assistant's discovery prefix; empty for none.
        base: `<prefix>/<network>/<station>`.
    """
    if not prefix:
        return Announcements()
    node = re.sub(r"[^A-Za-z0-9_-]", "_", base)
    name = " ".join(base.split("/")[-2:])
    common = {
        "availability_topic": f"{base}/status",
        # `stopped` counts as unavailable too.
        "availability_template": "{{ 'online' if value == 'online' else 'offline' }}",
        "device": {"identifiers": [node], "name": f"Seismometer {name}", "model": "eqedge"},
        "qos": 1,
    }
    live = "value_json.type != 'end' and not value_json.historical"
    entities: dict[str, Message] = {
        "binary_sensor/event": {
            "name": "Earthquake",
            "device_class": "vibration",
            "state_topic": f"{base}/event",
            "value_template": "{{ 'ON' if " + live + " else 'OFF' }}",
            "json_attributes_topic": f"{base}/event",
        },
        "sensor/pick": {
            "name": "Last pick",
            "device_class": "timestamp",
            "state_topic": f"{base}/pick",
            "value_template": "{{ value_json.time }}",
            "json_attributes_topic": f"{base}/pick",
        },
    }
    payloads = {}
    for place, entity in entities.items():
        component, item = place.split("/")
        topic = f"{prefix}/{component}/{node}/{item}/config"
        payloads[topic] = to_line({**entity, **common, "unique_id": f"{node}_{item}"})
    return Announcements(f"{prefix}/status", payloads)
