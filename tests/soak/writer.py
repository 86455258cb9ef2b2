"""A process that writes events to file, spool and broker, as fast as they come, until it is killed.

python -m tests.soak.writer FOLDER BROKER_PORT FIRST_EVENT SEED
"""

from __future__ import annotations

import random
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

from eqedge.edge.delivery.outputs import Delivery
from eqedge.edge.message import Node
from eqedge.edge.settings.delivery import FileSettings, MqttSettings
from eqedge.edge.settings.node import Settings
from eqedge.models.registry import open_model

LONGEST_PAUSE_SECONDS = 0.004


def settings_of(folder: Path, port: int) -> Settings:
    """Return the settings of the node that is killed."""
    return Settings(
        output=str(folder / "events.jsonl"),
        mqtt=MqttSettings("127.0.0.1", port, retry_min_seconds=0.05, retry_max_seconds=0.2),
        file=FileSettings(rotate_bytes=262_144, keep_files=1000),
    )


def delivery_of(folder: Path, port: int) -> Delivery:
    """Open file, spool and broker as a live node does."""
    settings = settings_of(folder, port)
    return Delivery(
        settings, Node(settings.station, open_model(settings.model), "kills"), fresh=False
    )


def event(number: int, kind: str, sequence: int, station: str, network: str) -> dict[str, Any]:
    """Return a message of the length that a node's have."""
    codes = {"network": network, "station": station, "location": "00"}
    head = {"schema": 1, "type": kind, "event_id": f"{number:08d}", "sequence": sequence, **codes}
    picks = [{"phase": phase, "time": f"{number}{phase}"} for phase in "PS"[: 1 + sequence]]
    return {**head, "picks": picks, "clock": {"source": "host", "synced": True}, "x": "x" * 500}


def main() -> None:
    """Write until killed; print a line when the first event is written."""
    folder, port, first, seed = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    station = settings_of(folder, port).station
    rng = random.Random(seed)
    delivery = delivery_of(folder, port)
    for number in count(first):
        for sequence, kind in enumerate(("new", "update", "end")):
            delivery.write(event(number, kind, sequence, station.station, station.network))
        if number == first:
            print("writes", flush=True)
        time.sleep(rng.uniform(0, LONGEST_PAUSE_SECONDS))
        if rng.random() < 0.05:
            delivery.retry()  # as with each health record


if __name__ == "__main__":
    main()
