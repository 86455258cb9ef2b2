"""What the daemon tells of itself -> health records, the watchdog's food, and rescue attempts."""

from __future__ import annotations

import faulthandler
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ... import EqedgeError
from ..delivery.outputs import Delivery
from ..run_counts import RunCounts
from ..settings.node import HealthSettings
from ..sources import BlockSource
from ..types import Block, Message, Probabilities
from .liveness import Liveness, Pulse, State, liveness
from .metrics import Metrics, health_record, prometheus_text
from .notify import Notifier
from .outlets import HealthFiles, HealthServer

LOOK_SECONDS = 0.5
"""How often the stages are judged."""
FEED_SHARE = 1 / 3
"""Part of the watchdog's time after which it is fed again."""


class NodeStuck(EqedgeError):
    """A stage stands still and nothing helped; whoever started the node shall start it anew."""

    exit_code = 70


class Vitals:
    """Watches one run from its own loop, so that nothing is told once that loop stands still.

    Args:
        settings: How long a stage may be silent, and where health is told.
        identity: On every record: network, station, boot_id.
        source: Reopened when it falls silent.
        delivery: Measured, retried and, for the broker, told how the node is.
        notice: Told one line when a stage changes its state.
        also: Fill in more of the metrics.
        notifier: Speaks to systemd.
        monotonic: Seconds.

    Raises:
        OutputError: The port for HTTP is taken.
    """

    def __init__(
        self,
        settings: HealthSettings,
        identity: Message,
        source: BlockSource,
        delivery: Delivery,
        notice: Callable[[str], None],
        *,
        also: Sequence[Callable[[Metrics], None]] = (),
        notifier: Notifier | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.metrics = Metrics()
        self._settings = settings
        self._identity = identity
        self._source = source
        self._delivery = delivery
        self._notice = notice
        self._measures = (delivery.measure, *also)
        self._notifier = notifier or Notifier()
        self._monotonic = monotonic
        now = monotonic()
        self._began = now
        self._pulse = Pulse(now, settings)
        self._state = liveness(now, self._pulse.progress, settings)
        self._lag_seconds = 0.0
        self._scoring_before = (now, 0.0)
        self._reopened = 0
        self._next_look = self._next_meal = self._next_record = now
        self._is_ready = False
        self._files = HealthFiles(settings, notice)
        self._server: HealthServer | None = None
        if settings.http_port is not None:
            self._server = HealthServer(settings.http_host, settings.http_port)

    def sampled(self, block: Block) -> None:
        """Note that samples came, and how good their time is."""
        self._pulse.sampled(self._monotonic())
        clock = block.clock
        self.metrics.clock_source = clock.source
        self.metrics.clock_synced = clock.synced
        self.metrics.clock_offset_seconds = round(clock.offset_s, 6)
        self.metrics.clock_error_seconds = round(clock.error_s, 6)

    def inferred(self, probabilities: Probabilities, lag_seconds: float) -> None:
        """Note that a window was scored, and how late."""
        self._pulse.inferred(self._monotonic())
        self._lag_seconds = max(self._lag_seconds, lag_seconds)
        self.metrics.inference_duration_seconds = round(probabilities.inference_ms / 1000, 6)

    def tick(self, counts: RunCounts) -> None:
        """Judge the stages; feed the watchdog, tell, rescue, as it is time.

        Raises:
            NodeStuck: A stage has stood still for longer than rescue and restart may take.
        """
        now = self._monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        # Armed anew each time: it fires, from a thread that needs no interpreter, when this loop
        # hangs, in a library too; and tells where.
        faulthandler.dump_traceback_later(self._settings.hang_seconds, exit=True)
        self._pulse.put_out(self._delivery.proved_alive(now))
        before, self._state = self._state, liveness(now, self._pulse.progress, self._settings)
        self._tell_changes(before)
        self._feed(now)
        self._rescue(before)
        if now >= self._next_record:
            self._next_record = now + self._settings.interval_seconds
            self._delivery.retry()
            self._report(now, counts)
        if self._state.worst is State.FAILED:
            self._report(now, counts)
            stuck = [name for name, state in self._state.stages.items() if state is State.FAILED]
            raise NodeStuck(f"{', '.join(stuck)} stood still and nothing helped; start it again")

    def close(self) -> None:
        """Tell systemd of the end, stop listening."""
        faulthandler.cancel_dump_traceback_later()
        self._notifier.stopping()
        self._notifier.close()
        if self._server is not None:
            self._server.close()

    def _feed(self, now: float) -> None:
        # What a full queue refused is sent again at the next look; nothing waits for it here.
        if not self._is_ready:
            self._is_ready = self._notifier.ready("waiting for samples")
        is_due = now >= self._next_meal and self._state.feeds_watchdog
        if is_due and self._notifier.watchdog():
            self._next_meal = now + FEED_SHARE * (self._notifier.watchdog_seconds or 60.0)

    def _tell_changes(self, before: Liveness) -> None:
        for stage, state in self._state.stages.items():
            if state is not before.stages[stage]:
                self._notice(f"{stage}: {state.name.lower()}")

    def _rescue(self, before: Liveness) -> None:
        if self._state.attempt > before.attempt:
            self._reopened += 1
            self._notice(f"no samples; the source is opened anew, attempt {self._state.attempt}")
            self._source.reopen()

    def _report(self, now: float, counts: RunCounts) -> None:
        self._measure(now, counts)
        time_text = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        record = health_record(self._identity, time_text, self.metrics, self._state)
        labels = {name: str(self._identity[name]) for name in ("network", "station")}
        text = prometheus_text(labels, self.metrics, self._state)
        self._files.write(record, text)
        self._delivery.publish_health(record)
        if self._server is not None:
            self._server.publish(record, text)
        self._notifier.status(
            f"{self._state.worst.name.lower()}; {self.metrics.events_total} events, "
            f"{self.metrics.windows_skipped_total} windows left out"
        )

    def _measure(self, now: float, counts: RunCounts) -> None:
        metrics, stream, losses = self.metrics, counts.stream, counts.source.losses
        metrics.uptime_seconds = round(now - self._began, 3)
        metrics.samples_total = stream.samples
        metrics.samples_lost_total = stream.samples_lost
        metrics.gaps_total = stream.gaps
        metrics.frames_crc_errors_total = losses.crc_errors
        metrics.frames_seq_lost_total = max(0, losses.sequence_lost)
        sensor = counts.source.sensor
        metrics.sensor_samples_dropped_total = sensor.samples_dropped
        metrics.sensor_adc_faults_total = sensor.adc_faults
        metrics.sensor_adc_ok = sensor.adc_ok
        metrics.sensor_temperature_celsius = sensor.temperature_celsius
        metrics.sensor_supply_volts = sensor.supply_volts
        metrics.windows_total = counts.windows_scored
        metrics.windows_skipped_total = counts.windows_skipped
        metrics.hop_factor = counts.hop_factor
        metrics.source_reopened_total = self._reopened
        metrics.events_total = counts.events
        metrics.messages_total = counts.messages
        metrics.data_latency_seconds = metrics.clock_offset_seconds
        metrics.lag_seconds = round(self._lag_seconds, 4)
        self._lag_seconds = 0.0
        then, scoring = self._scoring_before
        self._scoring_before = (now, counts.inference_seconds)
        metrics.inference_seconds_total = round(counts.inference_seconds, 3)
        if now > then:
            metrics.inference_rtf = round((counts.inference_seconds - scoring) / (now - then), 5)
        metrics.resident_memory_bytes = _resident_bytes()
        metrics.health_errors_total = self._files.errors
        metrics.notify_unsent_total = self._notifier.unsent
        for measure in self._measures:
            measure(metrics)


def _resident_bytes() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return None
