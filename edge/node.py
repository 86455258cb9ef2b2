"""Compose a node from its settings: source, chain, outputs and health."""

from __future__ import annotations

import logging
import secrets
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from ..firmware_bridge.port import Port
from ..models.registry import Model
from .daemon import Daemon
from .delivery.file import Sink
from .delivery.outputs import Delivery
from .delivery.waveforms import WaveformWriter
from .fallback import ModelUse, choose_model
from .health.monitor import HealthMonitor
from .message import Locate, Node
from .replay.request import Replay
from .run_counts import Observers, RunCounts
from .settings.node import Settings
from .signals import hastened
from .sources import ByteSource, SerialSource
from .wire import WireSource

if TYPE_CHECKING:
    from .replay.simulation import Simulation  # brings h5py, 11 MB that a live node need not carry

logger = logging.getLogger(__name__)


def daemon_of(
    settings: Settings,
    model: Model,
    source: ByteSource,
    *,
    live: bool,
    locate: Locate | None = None,
    use: ModelUse | None = None,
) -> Daemon:
    """Build the chain behind a source of bytes; nothing is opened.

    Args:
        settings: Of the node.
        model: The picker.
        source: A sensor's bytes.
        live: See `Daemon`.
        locate: In simulation, finds a sample's trace.
        use: For `info`, where another model than the settings' picks.

    Raises:
        ModelError: The model cannot be run.
        SettingsError: The settings do not suit the model.
    """
    node = Node(settings.station, model, secrets.token_hex(4), locate, use)
    blocks = WireSource(source, model.spec.sampling_rate_hz)
    return Daemon(settings, model, blocks, node, live=live)


def run_node(settings: Settings, stop: Event, replay: Replay | None = None) -> RunCounts:
    """Run a node until its source ends or `stop` is set, and log how it went.

    A sensor's node runs with a packaged model where that of the settings cannot be used, see
    `choose_model`; a replay, which scores the model, ends with the error.

    Args:
        settings: Of the node; without `replay` they name the sensor's port.
        stop: Set to end it.
        replay: A file to play in place of the sensor.

    Raises:
        EqedgeError: A part cannot be opened, or failed for good.
    """
    choice = choose_model(settings, attended=replay is not None)
    settings, model = choice.settings, choice.model
    with ExitStack() as opened:
        simulation: Simulation | None = None
        if replay is not None:
            from .replay.simulation import Simulation

            rate_hz = model.spec.sampling_rate_hz
            simulation = opened.enter_context(Simulation(replay, rate_hz, stop))
        source = simulation.source if simulation else _sensor(settings, stop)
        # before the output is opened: a model that cannot be run must not cost an earlier run's
        # events
        daemon = daemon_of(
            settings,
            model,
            source,
            live=replay is None or replay.speed is not None,
            locate=simulation.locate if simulation else None,
            use=choice.use,
        )
        delivery = Delivery(settings, daemon.node, fresh=simulation is not None)
        opened.enter_context(hastened(delivery.hasten))  # also while the delivery closes
        opened.enter_context(delivery)
        waveforms: list[WaveformWriter] = []
        if settings.waveforms.folder is not None:
            waveforms = [WaveformWriter(Path(settings.waveforms.folder), settings.waveforms)]
            opened.callback(waveforms[0].close)
        monitor = HealthMonitor(
            settings.health,
            daemon.node.identity,
            daemon.source,
            delivery,
            also=[choice.use, *(one.counts for one in waveforms)],
        )
        opened.callback(monitor.close)
        sinks: list[Sink] = [delivery, *waveforms, *([simulation] if simulation else [])]
        counts = daemon.run(sinks, Observers(monitor, *waveforms))
        _log_end(counts, simulation)
        return counts


def _sensor(settings: Settings, stop: Event) -> SerialSource:
    assert settings.sensor.port is not None
    port = Port(settings.sensor.port, settings.sensor.baud)
    return SerialSource(port, stop, settings.sensor.speed)


def _log_end(counts: RunCounts, simulation: Simulation | None) -> None:
    if simulation is not None:
        for line in simulation.problems():
            logger.warning("%s", line)
        for line in simulation.report(counts):
            logger.info("%s", line)
    else:
        seconds, events = counts.stream.seconds, counts.events
        logger.info("stopped after %.0f s of data, %d events", seconds, events)
