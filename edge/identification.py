"""A sensor that has not said who it is: asked again, and the operator told what comes instead."""

from __future__ import annotations

from collections.abc import Callable

from ..firmware_bridge.decoder import Decoder
from ..firmware_bridge.diagnosis import diagnose
from .dating.arrivals import Arrival

ASK_SECONDS = 2.0
"""How often the sensor is asked; it says who it is by itself every ten seconds of samples."""
PUZZLED_SECONDS = 6.0
"""After this long the operator is told."""


class Introduction:
    """Waits for a Hello, in the host's monotonic time.

    Args:
        decoder: What the bytes went into; knows what came instead of packets.
        ask: Sends the question.
        notice: Takes one line for the operator.
    """

    def __init__(
        self, decoder: Decoder, ask: Callable[[], None], notice: Callable[[str], None]
    ) -> None:
        self._decoder = decoder
        self._ask = ask
        self._notice = notice
        self._first_ns: int | None = None
        self._asked_ns = 0
        self._told = False

    def wait(self, arrival: Arrival) -> None:
        """Call whenever bytes, or none, came and the sensor is still unknown."""
        now_ns = arrival.monotonic_ns
        if self._first_ns is None:
            self._first_ns = self._asked_ns = now_ns
            self._told = False
        if now_ns - self._asked_ns >= ASK_SECONDS * 1e9:
            self._asked_ns = now_ns
            self._ask()
        if not self._told and now_ns - self._first_ns >= PUZZLED_SECONDS * 1e9:
            self._told = True
            self._notice(
                diagnose(self._decoder)
                or "the port is open but no sensor has introduced itself: check power, wiring and "
                "that the sensor runs eqedge's firmware"
            )

    def settle(self) -> None:
        """Call when the sensor is known; if it becomes strange later, waiting begins anew."""
        self._first_ns = None
