"""Request the identity of a sensor that has not sent its Hello, and log what it sends instead."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..firmware_bridge.decoder import Decoder
from ..firmware_bridge.diagnosis import diagnose
from .dating.arrivals import Arrival

REQUEST_SECONDS = 2.0
"""Time between two requests; a sensor also sends its Hello every ten seconds of samples."""
LOG_SECONDS = 6.0
"""Time after which a warning is logged."""

logger = logging.getLogger(__name__)


class Identification:
    """Waits for a Hello, in the host's monotonic time.

    Args:
        decoder: Has taken the bytes; knows what came instead of packets.
        request: Sends the request.
    """

    def __init__(self, decoder: Decoder, request: Callable[[], None]) -> None:
        self._decoder = decoder
        self._request = request
        self._first_ns: int | None = None
        self._requested_ns = 0
        self._is_logged = False

    def wait(self, arrival: Arrival, *, logs: bool = True) -> None:
        """Call whenever bytes, or none, came and the sensor is still unknown.

        Args:
            arrival: When they came.
            logs: Whether the wait is worth a warning; False where another one has the reason.
        """
        now_ns = arrival.monotonic_ns
        if self._first_ns is None:
            self._first_ns = self._requested_ns = now_ns
            self._is_logged = False
        if now_ns - self._requested_ns >= REQUEST_SECONDS * 1e9:
            self._requested_ns = now_ns
            self._request()
        if logs and not self._is_logged and now_ns - self._first_ns >= LOG_SECONDS * 1e9:
            self._is_logged = True
            logger.warning(
                "%s",
                diagnose(self._decoder)
                or "the port is open but no sensor has introduced itself: check power, wiring and "
                "that the sensor runs eqedge's firmware",
            )

    def settle(self) -> None:
        """Call when the sensor is known; if it becomes unknown later, waiting begins anew."""
        self._first_ns = None
