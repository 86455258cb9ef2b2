"""From settings to open sinks: the file first, so that a message is on disk before any network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .message import Node
from .mqtt import Mqtt
from .settings import Settings
from .sinks import JsonLines, Sink
from .spool import Spool

SPOOL_SUFFIX = ".spool"
"""A live node keeps what the broker has not acknowledged beside its output."""


def open_sinks(
    settings: Settings, node: Node, *, fresh: bool, notice: Callable[[str], None]
) -> list[Sink]:
    """Open what the settings name.

    Args:
        settings: Of the node.
        node: Its description, for the broker's `info`.
        fresh: Start the output anew and leave no spool behind, as a simulation does.
        notice: Told one line when the disk or the broker changes state.

    Raises:
        OutputError: The output or the spool cannot be written.
        SettingsError: The broker's settings contradict themselves.
    """
    path = Path(settings.output) if settings.output else None
    sinks: list[Sink] = [JsonLines(path, append=not fresh, on_state=notice)]
    if settings.mqtt is None:
        return sinks
    keep = None if fresh or path is None else path.with_name(path.name + SPOOL_SUFFIX)
    sinks.append(
        Mqtt(
            settings.mqtt,
            network=settings.station.network,
            station=settings.station.station,
            info=node.info(settings),
            spool=Spool(keep, on_state=notice),
            on_state=notice,
        )
    )
    return sinks
