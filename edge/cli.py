"""`eqedge run`: read the options, run a node, end it at a signal."""

from __future__ import annotations

import faulthandler
import logging
from pathlib import Path
from threading import Event
from typing import Any

import click

from . import logs
from .options import check_paths, given_options, speed, within
from .replay.options import trace_selection
from .settings.node import (
    SensorSettings,
    Settings,
    StationSettings,
    TriggerSettings,
    WindowSettings,
)
from .settings.validation import SettingsError
from .signals import stop_on_signals

LONGEST_SECONDS = 3600.0
"""Longest duration that an option accepts."""
DURATION = within(0, LONGEST_SECONDS, " s")

logger = logging.getLogger(__name__)


def _print_config(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print every setting and exit."""
    if value and not context.resilient_parsing:
        from .settings.config import reference

        click.echo(reference(), nl=False)
        context.exit()


@click.command(context_settings={"show_default": True})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Read settings from here; options on the command line override them.",
)
@click.option(
    "--print-config",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_config,
    help="Print such a file, with every setting, its default and its meaning, and exit.",
)
@click.option(
    "--sim",
    type=click.Path(path_type=Path),
    metavar="FILE.hdf5",
    help="Replay the traces of a STEAD-layout file as if they were live; of several rates only "
    "those of the first trace's, and the others are named.",
)
@click.option(
    "--serial",
    metavar="PORT",
    help="Read a sensor: /dev/ttyACM0, a pty, or a pyserial URL such as socket://host:port.",
)
@click.option("--baud", type=int, default=SensorSettings.baud, help="Speed of the serial port.")
@trace_selection("--sim")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    help="Seed of --traces and of the noise between traces.",
)
@click.option(
    "--speed",
    metavar="FACTOR|max",
    callback=speed,
    default="1",
    help="Speed of --sim, as a multiple of real time.",
)
@click.option(
    "--spacing",
    type=click.FloatRange(1, 600),
    callback=DURATION,
    default=30.0,
    metavar="SECONDS",
    help="Length of the noise between two traces of --sim.",
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
    help="Time from one 60-s window to the next.",
)
@click.option(
    "--preset",
    default=TriggerSettings.preset,
    help="Thresholds and confirmation rules of the model: default, early-warning or catalogue.",
)
@click.option(
    "--detection-threshold",
    type=float,
    help="Probability that detection must reach.  [default: the preset's]",
)
@click.option(
    "--p-threshold",
    "P_threshold",
    type=float,
    help="Probability that a P pick must reach.  [default: the preset's]",
)
@click.option(
    "--s-threshold",
    "S_threshold",
    type=float,
    help="Probability that an S pick must reach.  [default: the preset's]",
)
@click.option(
    "--confirm-windows",
    type=int,
    help="Windows in which a pick must be found before it is announced.  [default: the preset's]",
)
@click.option(
    "--confirm-seconds",
    type=float,
    callback=DURATION,
    metavar="SECONDS",
    help="Signal that must follow a pick before it is announced.  [default: the preset's]",
)
@click.option(
    "--min-duration",
    "min_duration_seconds",
    type=float,
    callback=DURATION,
    metavar="SECONDS",
    help="Shortest duration of detection around a pick.  [default: the preset's]",
)
@click.option(
    "--refractory",
    "refractory_seconds",
    type=float,
    callback=DURATION,
    metavar="SECONDS",
    default=TriggerSettings.refractory_seconds,
    help="Shortest time between picks of two events.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.jsonl",
    help="Write triggers here; --sim overwrites the file, --serial appends."
    "  [default: standard output]",
)
@click.option(
    "--mqtt", metavar="mqtt://HOST:1883", help="Publish triggers to this broker too, with QoS 1."
)
@click.option("--network", default=StationSettings.network, help="FDSN network code.")
@click.option("--station", default=StationSettings.station, help="Station code.")
@click.option("--location", default=StationSettings.location, help="Location code; may be empty.")
@click.option(
    "--log-level",
    type=click.Choice(logs.LEVELS),
    default="info",
    help="Lowest level of the messages that are logged, on standard error.",
)
@click.pass_context
def run(context: click.Context, /, **flags: Any) -> None:
    """Pick earthquakes from a live or simulated sensor.

    At each hop the network scores the last 60 s of the stream. Picks become events. Each event is
    written as JSON lines (`new`, `update`, `end`) and published by MQTT.

    Ctrl-C, SIGTERM or SIGHUP ends the run: what is left is written and published, and it exits with
    0. Another one after a second or more hastens this: what is left is written, and after 10 s the
    run ends wherever it is.
    """
    logs.configure(flags.pop("log_level"))
    stop = Event()
    # before the imports, which take a while on a small computer
    with stop_on_signals(stop.set, "ending; what is open is written first"):
        _run(context, flags, stop)


def _run(context: click.Context, flags: dict[str, Any], stop: Event) -> None:
    """Run a node until it ends or is stopped."""
    from ..models.registry import require_model
    from .node import run_node
    from .settings.flags import settings_of, warnings

    if flags["sim"] is not None and flags["serial"] is not None:
        raise click.UsageError("give either --sim FILE.hdf5 or --serial PORT")
    check_paths(flags)
    given = given_options(context, flags)
    settings = settings_of(flags["config"], given)
    if "model" in given:  # typed by someone: a wrong name is corrected here, not replaced
        require_model(settings.model)
    if flags["sim"] is None and settings.sensor.port is None:
        raise click.UsageError(
            "give either --sim FILE.hdf5 or --serial PORT, or set port in [sensor] of --config"
        )
    _refuse_overwriting_inputs(settings, flags)
    for line in warnings(flags["config"], settings):
        logger.warning("%s", line)
    replay = None
    if flags["sim"] is not None:
        from .replay.request import Replay
        from .replay.selection import TraceSelection

        replay = Replay(
            flags["sim"],
            TraceSelection(flags["labels_csv"], flags["where"], flags["traces"], flags["seed"]),
            spacing_seconds=flags["spacing"],
            speed=flags["speed"],
        )
    # A crash inside a library, or systemd's SIGABRT to a hung node, logs where.
    faulthandler.enable(2)
    run_node(settings, stop, replay)


def _refuse_overwriting_inputs(settings: Settings, flags: dict[str, Any]) -> None:
    """Refuse an output that would overwrite what is read."""
    output = Path(settings.output) if settings.output else None
    for name in (flags["sim"], flags["labels_csv"], flags["config"], settings.model):
        path = Path(name) if name else None
        if output and path and output.exists() and path.exists() and output.samefile(path):
            raise SettingsError(f"output {output} is an input of this run; name another file")
