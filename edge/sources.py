"""Where bytes come from: a sensor on a port, or STEAD traces through one in software."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import TYPE_CHECKING, Protocol

from ..firmware_bridge.dialogue import WHO_IS_THERE
from ..firmware_bridge.framing import frame
from ..firmware_bridge.packets import Hello
from ..firmware_bridge.port import Port, PortState
from ..firmware_bridge.virtual import VirtualSensor
from .dating.arrivals import Arrival, Clock, ReplayClock, SimClock
from .dating.ticks import Questions, TickDatedClock
from .types import NANOSECONDS

if TYPE_CHECKING:
    from .replay.timeline import Timeline  # brings h5py, 11 MB that a live node need not carry

SIM_CHANNELS = ("HHE", "HHN", "HHZ")
SIM_CHUNK_SECONDS = 0.5
MOST_SAMPLES = 255
"""In one packet."""
READ_SECONDS = 0.5


class Source(Protocol):
    """A stream of bytes in the sensor's protocol."""

    @property
    def losses(self) -> int:
        """Times that the connection was lost: a frame begun before is not continued after."""

    def __iter__(self) -> Iterator[tuple[bytes, Arrival]]:
        """Yield what came and when, empty bytes when nothing has for a while; end at `stop`."""

    def clock(self, hello: Hello) -> Clock:
        """Make the clock that dates the samples of a sensor."""

    def ask_who(self) -> None:
        """Ask the sensor to introduce itself."""

    def reopen(self) -> None:
        """Give up a connection that has fallen silent and make a new one."""


def now() -> Arrival:
    """Return both of the host's clocks at this moment."""
    return Arrival(time.monotonic_ns(), time.time_ns())


class SerialSource:
    """A sensor on a serial port or socket; a lost port is reopened, for ever.

    Args:
        port: Opened by the iteration.
        stop: Set to end it.
        notice: Told one line when the port is lost and when it is back.
        speed: Multiple of real time at which a recording is played on the port; 1 for a sensor.
    """

    def __init__(
        self, port: Port, stop: Event, notice: Callable[[str], None], speed: float = 1.0
    ) -> None:
        self._port = port
        self._stop = stop
        self._notice = notice
        self._speed = speed
        self._questions = Questions()

    def __iter__(self) -> Iterator[tuple[bytes, Arrival]]:
        """Yield what the port delivers, and ask for the sensor's tick in between."""
        self._port.open()
        state = self._port.state
        try:
            while not self._stop.is_set():
                question = self._questions.due(now())
                if question:
                    self._port.write(question)
                data = self._port.read(READ_SECONDS)
                if self._port.state is not state:
                    state = self._port.state
                    self._notice(self._changed())
                yield data, now()
        finally:
            self._port.close()

    @property
    def losses(self) -> int:
        """Times that the port was lost."""
        return self._port.losses

    def _changed(self) -> str:
        if self._port.state is not PortState.OPEN:
            return f"port lost ({self._port.last_fault}); looking for it again"
        return f"port {self._port.opened_url} is back"

    def clock(self, hello: Hello) -> Clock:
        """Return a clock that follows the host's."""
        if self._speed != 1.0:
            return ReplayClock(hello.rate_hz, self._speed)
        self._questions.begin()
        return TickDatedClock(hello, self._questions)

    def ask_who(self) -> None:
        """Send an Identify command."""
        self._port.write(frame(WHO_IS_THERE.to_bytes()))

    def reopen(self) -> None:
        """Give up the port; the iteration looks for the sensor, under another name too."""
        self._port.reopen()


class SimSource:
    """A timeline of traces, digitised, framed and delivered at any speed.

    Args:
        timeline: What to play.
        rate_hz: Its rate.
        start_ns: UTC of its first sample.
        speed: Multiple of real time; None for as fast as it is taken.
        stop: Set to end it.
    """

    def __init__(
        self, timeline: Timeline, rate_hz: float, start_ns: int, speed: float | None, stop: Event
    ) -> None:
        hello = Hello(
            device_id="eqedge-sim",
            firmware="VirtualSensor",
            rate_hz=rate_hz,
            channels=SIM_CHANNELS,
            adc_bits=32,
        )
        samples_per_packet = min(round(rate_hz * SIM_CHUNK_SECONDS), MOST_SAMPLES)
        self._sensor = VirtualSensor(hello, samples_per_packet)
        self._timeline = timeline
        self._rate_hz = rate_hz
        self._start_ns = start_ns
        self._speed = speed
        self._stop = stop

    def __iter__(self) -> Iterator[tuple[bytes, Arrival]]:
        """Yield the sensor's bytes at their time."""
        chunk = round(self._rate_hz * SIM_CHUNK_SECONDS)
        begin = time.monotonic()
        sent = 0
        yield self._sensor.greet(), now()
        for counts in self._timeline.stretches():
            for at in range(0, len(counts), chunk):
                if self._stop.is_set():
                    return
                part = counts[at : at + chunk]
                sent += len(part)
                arrival = now()
                if self._speed is not None:
                    due = begin + sent / self._rate_hz / self._speed
                    self._stop.wait(max(0.0, due - time.monotonic()))
                    # Taken late, it has been waiting since it was due.
                    arrival = Arrival(round(due * NANOSECONDS), time.time_ns())
                yield self._sensor.push(part), arrival
        yield self._sensor.flush(), now()

    @property
    def losses(self) -> int:
        """None: a file is not unplugged."""
        return 0

    def clock(self, hello: Hello) -> Clock:
        """Return the timeline's own time."""
        return SimClock(self._start_ns, hello.rate_hz)

    def ask_who(self) -> None:
        """Say nothing: the greeting cannot be lost here."""

    def reopen(self) -> None:
        """Do nothing: a file does not fall silent."""
