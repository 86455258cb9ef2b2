"""Packets -> blocks: counters unwrapped, components put in order, every block dated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import EqedgeError
from ..firmware_bridge.counters import Unwrapper
from ..firmware_bridge.packets import Hello, Packet, Samples
from .clock import Arrival, Clock
from .records import Block

ORIENTATIONS = {"E": "E", "2": "E", "X": "E", "N": "N", "1": "N", "Y": "N", "Z": "Z", "3": "Z"}
"""Last letter of a channel code -> component."""
REBOOT_GAP_SECONDS = 60.0
"""Added to the sample count at a reboot: how long it took is not known to the counters."""


class SensorError(EqedgeError):
    """The sensor cannot serve this model."""


@dataclass(frozen=True)
class _Layout:
    """Column of each component in the counts, None where the sensor has none."""

    columns: tuple[int | None, int | None, int | None]
    degraded: str


class Assembler:
    """Follows one sensor's packets.

    Args:
        rate_hz: What the model wants.
        make_clock: Called with the sensor's rate once it is known.

    Attributes:
        hello: The sensor's latest introduction, or None.
        unannounced: Samples packets dropped because no Hello had come yet.
    """

    def __init__(self, rate_hz: float, make_clock: Callable[[float], Clock]) -> None:
        self.hello: Hello | None = None
        self.unannounced = 0
        self._rate_hz = rate_hz
        self._make_clock = make_clock
        self._clock: Clock | None = None
        self._layout = _Layout((0, 1, 2), "")
        self._counter = Unwrapper(bits=32)
        self._base = 0
        self._next_sample = 0

    def push(self, packet: Packet, arrival: Arrival) -> Block | None:
        """Take one packet; Samples become a block once the sensor has said who it is.

        Raises:
            SensorError: Its rate is not the model's, or it has no component that could be used.
        """
        if isinstance(packet, Hello):
            self._greet(packet)
            return None
        if not isinstance(packet, Samples):
            return None
        hello, clock = self.hello, self._clock
        unknown = hello is None or clock is None or packet.boot != hello.boot
        if unknown or packet.counts.shape[1] != len(hello.channels if hello else ()):
            self.unannounced += 1
            return None
        assert clock is not None
        first = self._base + self._counter(packet.first_sample)
        self._next_sample = max(self._next_sample, first + len(packet.counts))
        clock.observe(first + len(packet.counts), arrival)
        return Block(
            first_sample=first,
            start_time_ns=clock.time_ns(first),
            samples=self._ordered(packet.counts),
            clock=clock.state,
            degraded=self._layout.degraded,
            received_ns=arrival.monotonic_ns,
        )

    def _greet(self, hello: Hello) -> None:
        if abs(hello.rate_hz - self._rate_hz) > 1e-3 * self._rate_hz:
            raise SensorError(
                f"sensor {hello.device_id} delivers {hello.rate_hz:g} Hz, the model wants "
                f"{self._rate_hz:g} Hz; set the sensor's rate"
            )
        if self.hello is None or hello.boot_id != self.hello.boot_id:
            if self.hello is not None:
                self._base = self._next_sample + round(REBOOT_GAP_SECONDS * hello.rate_hz)
                self._counter.restart()
            self._clock = self._make_clock(hello.rate_hz)
        self._layout = _layout(hello)
        self.hello = hello

    def _ordered(self, counts: NDArray[np.int32]) -> NDArray[np.float32]:
        samples = np.zeros((len(counts), 3), dtype=np.float32)
        for component, column in enumerate(self._layout.columns):
            if column is not None:
                samples[:, component] = counts[:, column]
        return samples


def _layout(hello: Hello) -> _Layout:
    """Find E, N and Z among the channels by the last letter of their codes, whatever their order."""
    found: dict[str, int] = {}
    for column, code in enumerate(hello.channels):
        component = ORIENTATIONS.get(code[2])
        if component is not None:
            found.setdefault(component, column)
    if "Z" not in found:
        raise SensorError(
            f"sensor {hello.device_id} has channels {', '.join(hello.channels)}: none is vertical; "
            "name channels by SEED codes such as HNE, HNN, HNZ"
        )
    missing = [c for c in "ENZ" if c not in found]
    columns = (found.get("E"), found.get("N"), found.get("Z"))
    return _Layout(columns, f"no {', '.join(missing)} component" if missing else "")
