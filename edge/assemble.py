"""Make dated blocks of packets: check the rate, order the components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import EqedgeError
from ..firmware_bridge.packets import Hello, Packet, Samples
from .dating.arrivals import Arrival, Clock
from .dating.samples import SampleDating
from .resample import RateError, ratio_of, same_rate
from .types import Block

Columns = tuple[int | None, int | None, int | None]
"""Column of E, N, Z in the counts, None where the sensor has none."""
ORIENTATIONS = {"E": "E", "2": "E", "X": "E", "N": "N", "1": "N", "Y": "N", "Z": "Z", "3": "Z"}
"""Last letter of a channel code -> component. The first two name band and instrument."""


class SensorError(EqedgeError):
    """The sensor cannot serve this model."""


@dataclass(frozen=True)
class Layout:
    """Which columns the components are in, and which components are missing."""

    columns: Columns
    absent: str

    @property
    def degraded(self) -> str:
        """The missing components as an event's message has them; empty where there are three."""
        return f"no {', '.join(self.absent)} component" if self.absent else ""


class Assembler:
    """Makes blocks of one sensor's packets.

    Args:
        rate_hz: The model's; a sensor of another rate must have one that can be resampled to it.
        make_clock: Called with the sensor's Hello.
    """

    def __init__(self, rate_hz: float, make_clock: Callable[[Hello], Clock]) -> None:
        self._rate_hz = rate_hz
        self._dating = SampleDating(make_clock)
        self._layout = Layout((0, 1, 2), "")
        self._is_usable = True
        self._dropped = 0

    @property
    def hello(self) -> Hello | None:
        """The latest Hello that could be used, or None."""
        return self._dating.hello

    @property
    def unannounced(self) -> int:
        """Samples packets dropped because no Hello that can be used had announced them."""
        return self._dating.unannounced + self._dropped

    @property
    def impossible_replies(self) -> int:
        """Time replies left out, see `SampleDating`."""
        return self._dating.impossible_replies

    @property
    def introduced(self) -> bool:
        """Whether the samples that come are those the latest Hello announced."""
        return self._is_usable and self._dating.introduced

    def push(self, packet: Packet, arrival: Arrival) -> Block | None:
        """Take one packet; Samples become a block once a Hello has come.

        Raises:
            SensorError: Its rate cannot be turned into the model's, or it has no component that
            could be used. Until a usable Hello comes, its samples are dropped and counted.
        """
        if isinstance(packet, Hello):
            self._is_usable = False
            self._layout = layout_for(packet, self._rate_hz)
            self._is_usable = True
        elif not self._is_usable:
            self._dropped += isinstance(packet, Samples)
            return None
        dated = self._dating.push(packet, arrival)
        if dated is None or not isinstance(packet, Samples):
            return None
        return Block(
            first_sample=dated.first_sample,
            start_time_ns=dated.start_time_ns,
            samples=self._ordered(packet.counts),
            clock=dated.clock,
            degraded=self._layout.degraded,
            received_ns=arrival.monotonic_ns,
            rate_hz=dated.hello.rate_hz,
            rate_factor=dated.rate_factor,
            full_scale=float(2 ** (dated.hello.adc_bits - 1) - 1),
            absent=self._layout.absent,
        )

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


def layout_for(hello: Hello, rate_hz: float) -> Layout:
    """Find the components of a sensor that serves a model.

    Args:
        hello: What the sensor announced itself as.
        rate_hz: The model's.

    Raises:
        SensorError: Its rate cannot be turned into the model's, or it has no vertical component.
    """
    if not same_rate(hello.rate_hz, rate_hz):
        try:
            ratio_of(hello.rate_hz, rate_hz)
        except RateError as error:
            raise SensorError(f"sensor {hello.device_id}: {error}") from error
    columns = columns_of(hello.channels)
    if columns is None:
        raise SensorError(
            f"sensor {hello.device_id} has channels {', '.join(hello.channels)}: none is vertical; "
            "name channels by SEED codes such as HNE, HNN, HNZ"
        )
    missing = [name for name, column in zip("ENZ", columns, strict=True) if column is None]
    return Layout(columns, "".join(missing))
