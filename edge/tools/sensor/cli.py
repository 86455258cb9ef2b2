"""`eqedge sensor`: watch, record, check or simulate a sensor."""

from __future__ import annotations

import math
import time
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from .... import reason_of
from ...files import written_whole
from ...options import speed, within
from ...signals import stop_on_signals

if TYPE_CHECKING:
    from .listener import Listener

BAUDS = (115_200, 57_600, 230_400, 921_600, 9_600)


@click.group()
def sensor() -> None:
    """Watch, record, check or simulate a sensor."""


LONGEST_SECONDS = 366 * 86_400.0
LARGEST_PPM = 100_000.0

_port = click.argument("port")
_baud = click.option("--baud", default=115_200, show_default=True, help="Speed of a serial port.")
_seconds = click.option(
    "--seconds",
    default=0.0,
    callback=within(0, LONGEST_SECONDS),
    help="Stop after this time.  [default: until Ctrl-C]",
)


@sensor.command()
@_port
@_baud
@_seconds
@click.option(
    "--every",
    default=1.0,
    show_default=True,
    callback=within(0.1, 3600),
    help="Seconds between reports.",
)
def watch(port: str, baud: int, seconds: float, every: float) -> None:
    """Show rate, gaps, clock and noise of the sensor on PORT, live.

    PORT is a path (/dev/ttyACM0) or a pyserial URL (socket://host:port).
    """
    from .monitor import Monitor
    from .watch import report_lines

    with suppress(KeyboardInterrupt), _opened(port, baud) as open_port:
        listener, monitor = _listener(open_port, min(0.2, every)), Monitor()
        report_at = time.monotonic() + every
        for portion in listener.packets(_end(seconds)):
            for received in portion:
                monitor.take(received)
            if time.monotonic() >= report_at:
                report_at += every
                for line in report_lines(listener.decoder, monitor, open_port, baud):
                    click.echo(line)


@sensor.command()
@_port
@click.argument("file", type=click.Path(path_type=Path))
@_baud
@_seconds
@click.option("--network", default="XX", show_default=True, help="FDSN network code.")
@click.option("--station", default="EDGE", show_default=True, help="Station code.")
def record(port: str, file: Path, baud: int, seconds: float, network: str, station: str) -> None:
    """Record the sensor on PORT to FILE, .hdf5 or .mseed.

    HDF5 is in STEAD's layout. A gap or a restart begins a new trace. Samples are dated as `eqedge
    run` dates them. An existing file is not overwritten; without a sample none is left.
    """
    from .listener import Listener
    from .recording import Recorder
    from .recording_files import open_writer

    stop = Event()
    with (
        _opened(port, baud) as open_port,
        stop_on_signals(stop.set, "ending; the recording is completed"),
    ):
        writer = open_writer(file, network, station)
        listener, recorder = Listener(open_port, stop=stop), Recorder(writer)
        try:
            with closing(writer), closing(recorder):
                for portion in listener.packets(_end(seconds)):
                    for received in portion:
                        recorder.take(received)
        finally:
            if not recorder.samples:
                file.unlink(missing_ok=True)
    if not recorder.samples:
        _explain_silence(listener, baud)
    click.echo(f"{recorder.samples} samples in {recorder.runs} traces: {file}")


@sensor.command()
@_port
@click.option("--baud", type=int, help="Speed of a serial port.  [default: found by trial]")
@click.option(
    "--seconds",
    default=15.0,
    show_default=True,
    callback=within(0, LONGEST_SECONDS),
    help="Duration of the check.",
)
def check(port: str, baud: int | None, seconds: float) -> None:
    """Check wiring, rate and clock of the sensor on PORT.

    Prints each fault with its remedy; the exit status is 1 if there is one.
    """
    from ..finding import as_text
    from .check import examine
    from .monitor import Monitor

    found = baud or _find_baud(port)
    with _opened(port, found) as open_port:
        listener, monitor = _listener(open_port), Monitor()
        for portion in listener.packets(time.monotonic() + seconds):
            for received in portion:
                monitor.take(received)
    checks = examine(listener.decoder, monitor, found)
    for one in checks:
        click.echo(as_text(one, width=10))
    if not all(one.good for one in checks):
        raise SystemExit(1)


@sensor.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--pty", is_flag=True, help="Open a pseudo-terminal and print its name.")
@click.option(
    "--tcp", type=click.IntRange(0, 65_535), help="Open this TCP port of this computer; 0: any."
)
@click.option("--trace", help="Name of the trace.  [default: the first]")
@click.option(
    "--speed",
    default="1",
    show_default=True,
    callback=speed,
    help="Multiple of real time, or `max`.",
)
@click.option("--drop", default=0.0, callback=within(0, 1), help="Fraction of frames lost.")
@click.option(
    "--corrupt", default=0.0, callback=within(0, 1), help="Fraction of bytes with a wrong bit."
)
@click.option("--stall", metavar="EVERY:FOR", help="Silence of FOR seconds, once in EVERY seconds.")
@click.option("--jump", metavar="EVERY:FOR", help="Data of FOR seconds missing, once in EVERY.")
@click.option(
    "--drift",
    default=0.0,
    callback=within(-LARGEST_PPM, LARGEST_PPM),
    help="Error of the crystal in ppm; positive is too fast.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the faults.")
@click.option("--boot-id", type=int, help="Boot number in the Hello.  [default: random]")
def simulate(file: Path, pty: bool, tcp: int | None, trace: str | None, **flags: Any) -> None:
    """Simulate a sensor that measures a trace of FILE.

    FILE is HDF5 in STEAD's layout. Waits for a reader, plays the trace once and ends. The faults
    are for testing the reader.
    """
    import random

    from .outlet import Outlet
    from .player import Player
    from .record import read_record

    if pty == (tcp is not None):
        raise click.UsageError("give either --pty or --tcp PORT")
    faults = _faults(flags)
    pace = math.inf if flags["speed"] is None else flags["speed"]
    played = read_record(file, trace)
    boot_id = flags["boot_id"] if flags["boot_id"] is not None else random.getrandbits(32)
    hello = played.hello("simulated", "eqedge sensor simulate", boot_id)
    with suppress(KeyboardInterrupt), closing(Outlet(tcp)) as outlet:
        click.echo(outlet.url)
        outlet.wait_for_reader()
        Player(hello, played.counts, speed=pace, faults=faults).play(outlet)


@sensor.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--trace", help="Name of the trace.  [default: the first]")
@click.option(
    "--crystal-ppm",
    default=0.0,
    callback=within(-LARGEST_PPM, LARGEST_PPM),
    help="Error of the board's crystal in ppm; positive is too fast.",
)
def waveform(file: Path, output: Path, trace: str | None, crystal_ppm: float) -> None:
    """Write a trace of FILE to OUTPUT as a waveform file.

    For firmware without a converter.
    """
    from .record import read_record
    from .recording_files import RecordingError
    from .waveform import waveform_bytes

    played = read_record(file, trace)
    hello = played.hello("waveform", "", boot_id=1)
    try:
        with written_whole(output) as unfinished:
            unfinished.write_bytes(waveform_bytes(hello, played.counts, crystal_ppm))
    except OSError as error:
        raise RecordingError(output, reason_of(error)) from error
    click.echo(f"{played.name}: {len(played.counts)} samples: {output}")


def _opened(port: str, baud: int) -> Any:
    from ....firmware_bridge.port import Port

    return Port(port, baud)


def _listener(port: Any, read_seconds: float = 0.2) -> Listener:
    """Make a listener that measures the sensor's clock: it requests the tick every second."""
    from ...dating.ticks import EAGER_SECONDS, TickRequests
    from .listener import Listener

    return Listener(port, TickRequests(calm_seconds=EAGER_SECONDS), read_seconds)


def _end(seconds: float) -> float:
    """Return when to stop, on the monotonic clock; 0 seconds is never."""
    return time.monotonic() + seconds if seconds else float("inf")


def _find_baud(port: str) -> int:
    """Return the first usual speed at which a packet arrives, or else the most usual one."""
    if "://" in port:
        return BAUDS[0]
    for baud in BAUDS:
        with _opened(port, baud) as open_port:
            until = time.monotonic() + 3.0  # an Uno resets when opened, and boots for a second
            for portion in _listener(open_port).packets(until):
                if portion:
                    if baud != BAUDS[0]:
                        click.echo(f"the sensor sends at {baud} baud: give --baud {baud}")
                    return baud
    return BAUDS[0]


def _explain_silence(listener: Listener, baud: int) -> None:
    from ....firmware_bridge.diagnosis import diagnose

    reason = diagnose(listener.decoder, baud) or "no samples came: try `eqedge sensor check`"
    click.echo(reason, err=True)
    raise SystemExit(1)


def _faults(flags: dict[str, Any]) -> Any:
    from .faults import Faults

    pairs = {}
    for name in ("stall", "jump"):
        every, _, length = (flags[name] or "0:0").partition(":")
        try:
            pairs[name] = float(every), float(length)
        except ValueError:
            pairs[name] = -1.0, -1.0
        if not all(0 <= seconds <= LONGEST_SECONDS for seconds in pairs[name]):
            raise click.BadParameter(f"--{name}: use EVERY:FOR in seconds, such as 60:5")
    return Faults(
        drop=flags["drop"],
        corrupt=flags["corrupt"],
        stall_every_seconds=pairs["stall"][0],
        stall_seconds=pairs["stall"][1],
        jump_every_seconds=pairs["jump"][0],
        jump_seconds=pairs["jump"][1],
        drift_ppm=flags["drift"],
        seed=flags["seed"],
    )
