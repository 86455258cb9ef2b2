"""`eqedge run`: flags -> settings, source and sinks; the daemon does the rest."""

from __future__ import annotations

import faulthandler
import logging
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .settings.node import (
    SensorSettings,
    Settings,
    SettingsError,
    StationSettings,
    TriggerSettings,
    WindowSettings,
)

if TYPE_CHECKING:
    from .replay.simulation import Simulation

LONGEST_SECONDS = 3600.0
"""No duration on the command line is longer."""


def say(line: str) -> None:
    """Tell the operator one line, on standard error: standard output may be triggers."""
    with suppress(OSError):  # a log on a full disk must not end the node
        click.echo(f"eqedge: {line}", err=True)


class _Lines(logging.Handler):
    """Write each log record as one line on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        say(record.getMessage())


@contextmanager
def _log_lines() -> Iterator[None]:
    logger, handler = logging.getLogger("eqedge"), _Lines()
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _speed(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    """Read a multiple of real time; None for `max`."""
    if value == "max":
        return None
    try:
        factor = float(value)
    except ValueError:
        factor = 0.0
    if not 0 < factor < 1e6:
        raise click.BadParameter(f"{value!r} is not a speed; use 1, 10 or max")
    return factor


def _seconds(
    context: click.Context, parameter: click.Parameter, value: float | None
) -> float | None:
    """Refuse what is no duration; click's own ranges let NaN pass."""
    if value is not None and not 0 <= value <= LONGEST_SECONDS:
        raise click.BadParameter(f"{value:g} s; use 0 to {LONGEST_SECONDS:g}")
    return value


def _print_config(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print every setting and leave."""
    if value and not context.resilient_parsing:
        from .settings.config import reference

        click.echo(reference(), nl=False)
        context.exit()


@click.command(context_settings={"show_default": True})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Read settings from here; flags that are given go first.",
)
@click.option(
    "--print-config",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_config,
    help="Print such a file with every setting, its default and meaning, and leave.",
)
@click.option(
    "--sim",
    type=click.Path(path_type=Path),
    metavar="FILE.hdf5",
    help="Replay the traces of a STEAD-layout file as if they were live.",
)
@click.option(
    "--serial",
    metavar="PORT",
    help="Read a sensor: /dev/ttyACM0, a pty, or a pyserial URL such as socket://host:port.",
)
@click.option("--baud", type=int, default=SensorSettings.baud, help="Speed of the serial port.")
@click.option(
    "--csv",
    "labels",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Labels of --sim; by default the CSV beside the file, if there is one.",
)
@click.option(
    "--traces",
    type=click.IntRange(min=1),
    metavar="N",
    help="Replay N traces chosen at random.  [default: all, in the file's order]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    help="Of --traces and of the noise between traces.",
)
@click.option(
    "--speed",
    metavar="FACTOR|max",
    callback=_speed,
    default="1",
    help="Of --sim, as a multiple of real time.",
)
@click.option(
    "--spacing",
    type=click.FloatRange(1, 600),
    callback=_seconds,
    default=30.0,
    metavar="SECONDS",
    help="Noise between two traces of --sim.",
)
@click.option(
    "--model",
    default=Settings.model,
    metavar="NAME|FILE.tflite",
    help="A shipped model (see eqedge models) or a file with its card beside it.",
)
@click.option(
    "--hop",
    type=float,
    default=WindowSettings.hop_seconds,
    metavar="SECONDS",
    help="From one 60-s window to the next.",
)
@click.option(
    "--preset",
    default=TriggerSettings.preset,
    help="Thresholds and confirmation on the model's card: default, early-warning or catalogue.",
)
@click.option("--detection-threshold", type=float, help="Probability.  [default: the preset's]")
@click.option(
    "--p-threshold", "P_threshold", type=float, help="Probability.  [default: the preset's]"
)
@click.option(
    "--s-threshold", "S_threshold", type=float, help="Probability.  [default: the preset's]"
)
@click.option(
    "--confirm-windows",
    type=int,
    help="Windows that must see a pick before it is announced.  [default: the preset's]",
)
@click.option(
    "--confirm-seconds",
    type=float,
    callback=_seconds,
    metavar="SECONDS",
    help="Signal that must follow a pick before it is announced.  [default: the preset's]",
)
@click.option(
    "--min-duration",
    "min_duration_seconds",
    type=float,
    callback=_seconds,
    metavar="SECONDS",
    help="Least duration of detection about a pick.  [default: the preset's]",
)
@click.option(
    "--refractory",
    "refractory_seconds",
    type=float,
    callback=_seconds,
    metavar="SECONDS",
    default=TriggerSettings.refractory_seconds,
    help="Least time between two events' picks.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.jsonl",
    help="Write triggers here: --sim starts the file anew, --serial appends."
    "  [default: standard output]",
)
@click.option("--mqtt", metavar="mqtt://HOST:1883", help="Publish triggers too, QoS 1.")
@click.option("--network", default=StationSettings.network, help="FDSN network code.")
@click.option("--station", default=StationSettings.station, help="Station code.")
@click.option("--location", default=StationSettings.location, help="Location code, may be empty.")
@click.pass_context
def run(context: click.Context, /, **flags: Any) -> None:
    """Pick earthquakes from a live or simulated sensor.

    The sensor's bytes go through the wire protocol into a ring buffer; every hop the network
    looks at the last 60 s; picks become one event each, written as JSON lines (`new`, `update`,
    `end`) and published by MQTT. Ctrl-C or SIGTERM brings out what is left and exits 0.
    """
    from .settings.flags import settings_of

    if flags["sim"] is not None and flags["serial"] is not None:
        raise click.UsageError("give either --sim FILE.hdf5 or --serial PORT")
    given = {
        name: value
        for name, value in flags.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    with _log_lines():
        _run_with(settings_of(flags["config"], given), flags)


def _run_with(settings: Settings, flags: dict[str, Any]) -> None:
    from .settings.flags import warnings

    if flags["sim"] is None and settings.sensor.port is None:
        raise click.UsageError("give either --sim FILE.hdf5 or --serial PORT")
    _spare_inputs(settings, flags)
    for line in warnings(flags["config"], settings):
        say(line)
    stop = Event()
    with _signals(stop), ExitStack() as open_things:
        _run(settings, flags, stop, open_things)


def _spare_inputs(settings: Settings, flags: dict[str, Any]) -> None:
    """Refuse an output that would overwrite what is read."""
    output = Path(settings.output) if settings.output else None
    for name in (flags["sim"], flags["labels"], flags["config"], settings.model):
        path = Path(name) if name else None
        if output and path and output.exists() and path.exists() and output.samefile(path):
            raise SettingsError(f"output {output} is an input of this run; name another file")


def _run(settings: Settings, flags: dict[str, Any], stop: Event, open_things: ExitStack) -> None:
    from ..firmware_bridge.port import Port
    from ..models.shelf import open_model
    from .daemon import Daemon
    from .delivery.file import Sink
    from .delivery.outputs import Delivery
    from .delivery.waveforms import Waveforms
    from .health.monitor import Vitals
    from .message import Node
    from .run_counts import Watches
    from .sources import SerialSource, Source

    # A crash inside a library, or systemd's SIGABRT to a hung node, says where.
    faulthandler.enable()
    model = open_model(settings.model)
    rate_hz = model.spec.sampling_rate_hz
    source: Source
    simulation: Simulation | None = None
    if flags["sim"] is not None:
        from .replay.simulation import Simulation

        simulation = open_things.enter_context(
            Simulation(
                flags["sim"],
                labels=flags["labels"],
                traces=flags["traces"],
                seed=flags["seed"],
                spacing_seconds=flags["spacing"],
                speed=flags["speed"],
                rate_hz=rate_hz,
                stop=stop,
            )
        )
        source = simulation.source
    else:
        assert settings.sensor.port is not None
        port = Port(settings.sensor.port, settings.sensor.baud)
        source = SerialSource(port, stop, say, settings.sensor.speed)
    node = Node(
        settings.station,
        model,
        secrets.token_hex(4),
        simulation.locate if simulation else None,
    )
    # before the output is opened: a model that cannot be run must not cost an earlier run's events
    waits = simulation is not None and flags["speed"] is None
    daemon = Daemon(settings, model, source, node, say, live=not waits)
    delivery = open_things.enter_context(Delivery(settings, node, fresh=simulation is not None))
    waveforms: list[Waveforms] = []
    if settings.waveforms.folder is not None:
        waveforms = [Waveforms(Path(settings.waveforms.folder), settings.waveforms)]
        open_things.callback(waveforms[0].close)
    measures = [one.measure for one in waveforms]
    vitals = Vitals(settings.health, node.identity, source, delivery, say, also=measures)
    open_things.callback(vitals.close)
    sinks: list[Sink] = [delivery, *waveforms, *([simulation] if simulation else [])]
    account = daemon.run(sinks, Watches(vitals, *waveforms))
    if simulation:
        for line in simulation.report(account):
            say(line)
    else:
        say(f"stopped after {account.stream.seconds:.0f} s of data, {account.events} events")


@contextmanager
def _signals(stop: Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop`; a second one ends the program at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            sys.exit(128 + number)
        stop.set()

    before: dict[signal.Signals, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number in before:
            signal.signal(number, before[number])
