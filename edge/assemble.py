"""Make dated blocks of packets: unwrap counters, order components, assign UTC."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import EqedgeError
from ..firmware_bridge.counters import Unwrapper
from ..firmware_bridge.packets import Hello, Packet, Samples, TimeReply
from .dating.arrivals import Arrival, Clock, Ticked
from .resample import RateError, polyphase, same_rate
from .types import Block

Columns = tuple[int | None, int | None, int | None]
"""Column of E, N, Z in the counts, None where the sensor has none."""
ORIENTATIONS = {"E": "E", "2": "E", "X": "E", "N": "N", "1": "N", "Y": "N", "Z": "Z", "3": "Z"}
"""Last letter of a channel code -> component. The first two name band and instrument."""
REBOOT_GAP_SECONDS = 60.0
"""Added to the sample count at a reboot: how long it took is not known to the counters."""
BACKWARDS_SECONDS = 60.0
"""A counter that falls back this far is a restart, also where the sensor did not report one."""


class SensorError(EqedgeError):
    """The sensor cannot serve this model."""


@dataclass(frozen=True)
class _Layout:
    """Which columns the components are in, and which components are missing."""

    columns: Columns
    degraded: str


class Assembler:
    """Follows one sensor's packets.

    Args:
        rate_hz: The model's; a sensor of another rate must have one that can be resampled to it.
        make_clock: Called with the sensor's Hello.

    Attributes:
        hello: The sensor's latest Hello, or None.
        unannounced: Samples packets dropped because no Hello had come yet.
    """

    def __init__(self, rate_hz: float, make_clock: Callable[[Hello], Clock]) -> None:
        self.hello: Hello | None = None
        self.unannounced = 0
        self._rate_hz = rate_hz
        self._make_clock = make_clock
        self._clock: Clock | None = None
        self._layout = _Layout((0, 1, 2), "")
        self._counter = Unwrapper(bits=32)
        self._base = 0
        self._next_sample = 0
        self._boot_mismatch = False

    @property
    def introduced(self) -> bool:
        """Whether the samples that come are those the latest Hello announced."""
        return self.hello is not None and not self._boot_mismatch

    def push(self, packet: Packet, arrival: Arrival) -> Block | None:
        """Take one packet; Samples become a block once a Hello has come.

        Raises:
            SensorError: Its rate cannot be turned into the model's, or it has no component that
            could be used.
        """
        if isinstance(packet, Hello):
            self._greet(packet)
            return None
        if isinstance(packet, TimeReply) and self._clock is not None:
            self._clock.answer(packet, arrival)
        if not isinstance(packet, Samples):
            return None
        hello, clock = self.hello, self._clock
        unknown = hello is None or clock is None or packet.boot != hello.boot
        self._boot_mismatch = unknown or packet.counts.shape[1] != len(
            hello.channels if hello else ()
        )
        if self._boot_mismatch:
            self.unannounced += 1
            return None
        assert hello is not None and clock is not None
        first = self._base + self._counter(packet.first_sample)
        if first < self._next_sample - BACKWARDS_SECONDS * hello.rate_hz:
            self._restart(hello)
            clock = self._clock = self._make_clock(hello)
            first = self._base + self._counter(packet.first_sample)
        self._next_sample = max(self._next_sample, first + len(packet.counts))
        clock.observe(first + len(packet.counts), arrival, Ticked(first, packet.tick))
        return Block(
            first_sample=first,
            start_time_ns=clock.time_ns(first),
            samples=self._ordered(packet.counts),
            clock=clock.state,
            degraded=self._layout.degraded,
            received_ns=arrival.monotonic_ns,
            rate_hz=hello.rate_hz,
            rate_factor=clock.rate_factor,
        )

    def _greet(self, hello: Hello) -> None:
        if not same_rate(hello.rate_hz, self._rate_hz):
            try:
                polyphase(hello.rate_hz, self._rate_hz)
            except RateError as error:
                raise SensorError(f"sensor {hello.device_id}: {error}") from error
        if self.hello is None or hello.boot_id != self.hello.boot_id:
            if self.hello is not None:
                self._restart(hello)
            self._clock = self._make_clock(hello)
        self._layout = _layout(hello)
        self._boot_mismatch = False
        self.hello = hello

    def _restart(self, hello: Hello) -> None:
        """Let numbers go on, after a gap, though the sensor's counter begins anew.

        At another rate than before they count the same time in other steps.
        """
        before = self.hello or hello
        if hello.rate_hz != before.rate_hz:
            self._next_sample = math.ceil(self._next_sample / before.rate_hz * hello.rate_hz)
        self._base = self._next_sample + round(REBOOT_GAP_SECONDS * hello.rate_hz)
        self._counter.restart()

    def _ordered(self, counts: NDArray[np.int32]) -> NDArray[np.float32]:
        samples = np.zeros((len(counts), 3), dtype=np.float32)
        for component, column in enumerate(self._layout.columns):
            if column is not None:
                samples[:, component] = counts[:, column]
        return samples


def columns_of(channels: Sequence[str]) -> Columns | None:
    """Find E, N and Z by the last letter of the channels' codes, in any order, on one instrument.

    Of several instruments, as on a geophone with an accelerometer, the one with most components is
    taken, the first one if they are equal: components of different units make no seismogram. None
    if no instrument has a vertical.
    """
    instruments: dict[str, dict[str, int]] = {}
    for column, code in enumerate(channels):
        component = ORIENTATIONS.get(code[2])
        if component is not None:
            instruments.setdefault(code[:2], {}).setdefault(component, column)
    vertical = [found for found in instruments.values() if "Z" in found]
    if not vertical:
        return None
    found = max(vertical, key=len)
    return found.get("E"), found.get("N"), found.get("Z")


def _layout(hello: Hello) -> _Layout:
    columns = columns_of(hello.channels)
    if columns is None:
        raise SensorError(
            f"sensor {hello.device_id} has channels {', '.join(hello.channels)}: none is vertical; "
            "name channels by SEED codes such as HNE, HNN, HNZ"
        )
    missing = [name for name, column in zip("ENZ", columns, strict=True) if column is None]
    return _Layout(columns, f"no {', '.join(missing)} component" if missing else "")
