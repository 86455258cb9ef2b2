"""Write each message to the file, then to the broker's spool, in this order."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ...firmware_bridge.measured import gauge
from ..message import Node
from ..settings.node import Settings
from ..types import Message
from .catch_up import unknown_lines
from .errors import OutputFileError
from .file import JsonLines
from .history import is_live, message_of, recent_lines
from .mqtt import Mqtt
from .spool import Spool

logger = logging.getLogger(__name__)

SPOOL_SUFFIX = ".spool"
"""A live node keeps what the broker has not acknowledged in a file beside its output."""


BATCH = 500
"""Lines that are stored in one transaction at a start."""


@dataclass(frozen=True)
class DiskState:
    """The disk that the output is on; unknown where there is none."""

    free_bytes: int | None = gauge("disk_free_bytes", "Space left where messages are kept.")


class Delivery:
    """All outputs that the settings name, as one sink.

    Args:
        settings: Of the node.
        node: Its description, for the broker's `info`.
        fresh: Start the output anew and leave no spool behind, as a simulation does.

    Raises:
        OutputFileError: The output or the spool cannot be written, or a simulation would
            overwrite events of a live sensor.
        SettingsError: The broker's settings contradict themselves.
    """

    def __init__(self, settings: Settings, node: Node, *, fresh: bool) -> None:
        path = Path(settings.output) if settings.output else None
        if fresh and path is not None:
            _refuse_live_events(path)
        self._node = node
        self._folder = path.parent if path else None
        health = settings.health
        self._alarming_seconds = health.output_silence_seconds + health.retry_seconds / 2
        self._file = JsonLines(
            path,
            append=not fresh,
            fsync=settings.file.fsync,
            rotate_bytes=0 if fresh else settings.file.rotate_bytes,
            keep_files=settings.file.keep_files,
        )
        self._spool: Spool | None = None
        self._broker: Mqtt | None = None
        if settings.mqtt is None:
            return
        keep = None if fresh or path is None else path.with_name(path.name + SPOOL_SUFFIX)
        if path is None and not fresh:
            logger.warning(
                "without an output file, messages wait for the broker in memory only and a restart "
                "loses them; give --output FILE.jsonl"
            )
        self._spool = Spool(keep, settings.spool)
        self._broker = Mqtt(
            settings.mqtt,
            network=settings.station.network,
            station=settings.station.station,
            info=node.info(settings),
            spool=self._spool,
        )
        self._kept_in = None if fresh else path
        self._catch_up(again=False)

    def write(self, message: Message) -> None:
        """Write the message to the file, then store it for the broker."""
        self._file.write(message)
        if self._broker is not None:
            self._broker.write(message)
            self._catch_up(again=True)

    def retry(self) -> None:
        """Write again what the disk rejected: the next message may be days away."""
        self._file.retry()
        if self._spool is not None:
            self._spool.retry()
            self._catch_up(again=True)

    def publish_health(self, record: Message) -> None:
        """Publish a health record to the broker, if there is one."""
        if self._broker is not None:
            self._broker.publish_health(record)

    def proved_alive(self, now: float) -> float:
        """Return the latest monotonic time at which no output was stuck.

        The file is written by the caller's own thread: as long as that calls, the file is not
        stuck. A broker that acknowledges nothing is worth an alarm, but never a restart, which
        would not mend it and would interrupt the stream.

        Args:
            now: Monotonic time.
        """
        if self._broker is None:
            return now
        answered = max(self._broker.answered_time, now - self._alarming_seconds)
        return min(now, self._broker.progress_time, answered)

    @property
    def counts(self) -> list[Any]:
        """What each output counted, and what it measures now."""
        counts: list[Any] = [self._file.counts, DiskState(_free_bytes(self._folder))]
        if self._broker is not None and self._spool is not None:
            counts += [self._spool.counts, self._spool.state, self._broker.counts]
        return counts

    def hasten(self) -> None:
        """Let `close` not wait for the broker; what it has not acknowledged stays in the spool."""
        if self._broker is not None:
            self._broker.hasten()

    def close(self, *, failed: bool = False) -> None:
        """Write or deliver what waits, first to the file; `failed`: an error ends the run."""
        try:
            self._file.close()
        finally:
            if self._broker is not None:
                self._broker.close(failed=failed)

    def _catch_up(self, *, again: bool) -> None:
        """Store the lines of the output that the spool does not know, if it may lack any."""
        path, spool, broker = self._kept_in, self._spool, self._broker
        if path is None or spool is None or broker is None or not spool.is_incomplete:
            return
        if spool.known_lines() is None:
            return
        spool.is_incomplete = False
        number = 0
        lines = unknown_lines(path, spool, self._node)
        while batch := list(islice(lines, BATCH)):
            broker.catch_up(batch, again=again)
            number += len(batch)
        if number:
            spool.counts.restored += number
            text = "%d line%s of %s that the spool did not know: sent to the broker, perhaps again"
            logger.info(text, number, "s"[: number > 1], path)

    def __enter__(self) -> Self:
        """Return itself, open since it was made."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it; the broker's status shows whether an error ended the run."""
        self.close(failed=error is not None)


def _refuse_live_events(path: Path) -> None:
    messages = map(message_of, recent_lines(path, rotated=False))
    if any(message is not None and is_live(message) for message in messages):
        raise OutputFileError(
            f"{path}: holds events of a live sensor, which a replay would overwrite; give another "
            "--output, or move that file away"
        )


def _free_bytes(folder: Path | None) -> int | None:
    if folder is None:
        return None
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
