"""Publish the node's health, ping the systemd watchdog, reopen a silent source."""

from __future__ import annotations

import faulthandler
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ... import EqedgeError
from ..delivery.outputs import Delivery
from ..logs import Changes
from ..process import resident_bytes
from ..run_counts import RunCounts
from ..settings.health import HealthSettings
from ..sources import BlockSource, SourceCounts
from ..types import Block, ClockState, Message, Probabilities
from ..utc import utc_text
from .degraded import Degradation
from .liveness import Liveness, Progress, State, liveness
from .metrics import NodeCounts, health_record, metrics_of, prometheus_text, state_name
from .notify import Notifier
from .outlets import HealthFiles, HealthServer

logger = logging.getLogger(__name__)

CHECK_SECONDS = 0.5
"""How often the stages are judged."""
PING_SHARE = 1 / 3
"""Part of the watchdog's time after which it is pinged again."""

LEVELS = {State.HEALTHY: logging.INFO, State.FAILED: logging.ERROR}
"""Level of a log line that names a state; of the others it is a warning."""


class NodeStuck(EqedgeError):
    """A stage does not advance and nothing helped; whatever started the node must restart it."""

    exit_code = 70


class HealthMonitor:
    """Watches one run from its own loop, so that nothing is published once that loop hangs.

    Args:
        settings: How long a stage may be silent, and where health is published.
        identity: On every record: network, station, boot_id.
        source: Reopened when it is silent.
        delivery: Its counts are published; it writes again what the disk rejected, and publishes
            the record to the broker.
        also: Counts of further stages, see `metrics_of`; read at each record.
        notifier: Connection to systemd.
        monotonic: Seconds.

    Attributes:
        counts: What the monitor itself counts and measures.

    Raises:
        OutputFileError: The port for HTTP is taken.
    """

    def __init__(
        self,
        settings: HealthSettings,
        identity: Message,
        source: BlockSource,
        delivery: Delivery,
        *,
        also: Sequence[Any] = (),
        notifier: Notifier | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = NodeCounts()
        self._settings = settings
        self._identity = identity
        self._source = source
        self._delivery = delivery
        self._also = also
        self._notifier = notifier or Notifier()
        self._monotonic = monotonic
        now = monotonic()
        self._began = now
        self._progress = Progress.starting(now)
        self._state = liveness(now, self._progress, settings)
        self._degradation = Degradation(settings.degraded_seconds)
        self._changes = Changes(logger)
        self._clock: ClockState | None = None
        self._lag_seconds = 0.0
        self._refused_before = 0
        self._scoring_before = (now, 0.0)
        self._next_check = self._next_ping = self._next_record = now
        self._is_ready = self._is_degraded = False
        self._files = HealthFiles(settings)
        self._server: HealthServer | None = None
        if settings.http_port is not None:
            self._server = HealthServer(settings.http_host, settings.http_port)

    def sampled(self, block: Block) -> None:
        """Note that samples arrived, and how good their time is."""
        self._progress.sampled(self._monotonic(), self._settings)
        self._clock = block.clock

    def inferred(self, probabilities: Probabilities, lag_seconds: float) -> None:
        """Note that a window was scored, and how late."""
        self._progress.inference = self._monotonic()
        self._lag_seconds = max(self._lag_seconds, lag_seconds)
        self.counts.inference_duration_seconds = probabilities.inference_ms / 1000

    def tick(self, counts: RunCounts) -> None:
        """Judge the stages; ping, log changes, reopen the source, publish, each when it is due.

        Raises:
            NodeStuck: A stage has not advanced for longer than recovery and a restart may take.
        """
        now = self._monotonic()
        if now < self._next_check:
            return
        self._next_check = now + CHECK_SECONDS
        # Armed anew each time: when this loop hangs, in a library too, it prints the stack of every
        # thread and ends the program, from a thread that needs no interpreter.
        faulthandler.dump_traceback_later(self._settings.hang_seconds, exit=True, file=2)
        self._progress.output = self._delivery.proved_alive(now)
        self._note_refused(now, counts.source)
        before, self._state = self._state, liveness(now, self._progress, self._settings)
        self._log_changes(before)
        self._ping_watchdog(now)
        self._reopen_silent_source(before)
        if now >= self._next_record:
            self._next_record = now + self._settings.interval_seconds
            self._delivery.retry()
            self._publish(now, counts)
        if self._state.worst is State.FAILED:
            self._publish(now, counts)
            stuck = [name for name, state in self._state.stages.items() if state is State.FAILED]
            raise NodeStuck(f"{', '.join(stuck)} stood still and nothing helped; start it again")

    def close(self) -> None:
        """Report to systemd that the node stops; close the HTTP endpoint."""
        faulthandler.cancel_dump_traceback_later()
        self._notifier.stopping()
        self._notifier.close()
        if self._server is not None:
            self._server.close()

    def _ping_watchdog(self, now: float) -> None:
        # What a full queue rejects is sent again at the next check; nothing waits for it here.
        if not self._is_ready:
            self._is_ready = self._notifier.ready("waiting for samples")
        is_due = now >= self._next_ping and self._state.pings_watchdog
        if is_due and self._notifier.watchdog():
            self._next_ping = now + PING_SHARE * (self._notifier.watchdog_seconds or 60.0)

    def _note_refused(self, now: float, source: SourceCounts) -> None:
        """Note whether the sensor sends what cannot be used, and the node publishes why."""
        refused = source.packets_unannounced + source.hellos_unusable
        if source.trouble and refused > self._refused_before:
            self._progress.refused = now
        self._refused_before = refused

    def _log_changes(self, before: Liveness) -> None:
        for stage, state in self._state.stages.items():
            if state is not before.stages[stage]:
                logger.log(LEVELS.get(state, logging.WARNING), "%s: %s", stage, state.name.lower())

    def _reopen_silent_source(self, before: Liveness) -> None:
        attempt = self._state.attempt
        if attempt > before.attempt:
            self.counts.reopened += 1
            logger.warning("no samples; the source is reopened, attempt %d", attempt)
            self._source.reopen()

    def _publish(self, now: float, counts: RunCounts) -> None:
        self._measure(now, counts)
        stages = [self.counts, counts, *self._delivery.counts, *self._also]
        stages += [self._files.counts, self._notifier.counts]
        if self._clock is not None:
            stages.append(self._clock)
        metrics = metrics_of(stages)
        time_text = utc_text(time.time_ns())
        reasons = self._degradation.judge(now, metrics, stages)
        self._log_degraded(reasons)
        record = health_record(self._identity, time_text, metrics, self._state, reasons)
        labels = {name: str(self._identity[name]) for name in ("network", "station")}
        text = prometheus_text(labels, metrics, self._state, reasons)
        self._files.write(record, text)
        self._delivery.publish_health(record)
        if self._server is not None:
            self._server.publish(record, text)
        self._notifier.status(
            f"{state_name(self._state, reasons)}; {counts.events} events, "
            f"{counts.shedder.skipped} windows left out" + "".join(f"; {one}" for one in reasons)
        )

    def _log_degraded(self, reasons: list[str]) -> None:
        """Log that the node is degraded, with the reasons of the first record, and when no more."""
        if reasons and not self._is_degraded:
            self._changes.note(logging.WARNING, f"degraded: {'; '.join(reasons)}")
        elif self._is_degraded and not reasons:
            self._changes.note(logging.INFO, "no longer degraded")
        self._is_degraded = bool(reasons)

    def _measure(self, now: float, counts: RunCounts) -> None:
        own = self.counts
        own.uptime_seconds = now - self._began
        own.resident_bytes = _resident_bytes()
        own.data_latency_seconds = self._clock.offset_s if self._clock else None
        own.lag_seconds, self._lag_seconds = self._lag_seconds, 0.0
        then, scoring = self._scoring_before
        self._scoring_before = (now, counts.inference_seconds)
        if now > then:
            own.inference_rtf = (counts.inference_seconds - scoring) / (now - then)


def _resident_bytes() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return resident_bytes()
    return None
