"""Read the traces to be played one by one, and leave out those that cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..resample import RateError, polyphase, same_rate
from .fields import TraceError
from .stead import SteadFile, Trace


class Playlist:
    """Reads the chosen traces one by one; leaves out those that cannot be played.

    Args:
        file: Open.
        names: In order.
        wanted_hz: The model's rate, to which it must be possible to resample the traces.

    Attributes:
        rate_hz: Rate of the first trace that could be read and of all that are played: a sensor
            does not change its rate.
        passed_over: One line for each trace left out.
        remarks: One line for each trace that is odd but played.
    """

    def __init__(self, file: SteadFile, names: Iterable[str], wanted_hz: float) -> None:
        self.rate_hz = wanted_hz
        self.passed_over: list[str] = []
        self.remarks: list[str] = []
        self._file = file
        self._names = names
        self._wanted_hz = wanted_hz
        self._begun = False

    def read(self, name: str) -> Trace:
        """Read one trace.

        Raises:
            TraceError: It cannot be read, has another rate than those before it, or one that
                cannot be resampled to the model's.
        """
        trace = self._file.read(name)
        if self._begun and trace.rate_hz != self.rate_hz:
            raise TraceError(
                f"trace {name}: {trace.rate_hz:g} Hz among others of {self.rate_hz:g} Hz; "
                "replay it from a file of its own"
            )
        if not same_rate(trace.rate_hz, self._wanted_hz):
            try:
                polyphase(trace.rate_hz, self._wanted_hz)
            except RateError as error:
                raise TraceError(f"trace {name}: {error}") from error
        self._begun, self.rate_hz = True, trace.rate_hz
        return trace

    def __iter__(self) -> Iterator[Trace]:
        """Yield the traces."""
        for name in self._names:
            try:
                trace = self.read(name)
            except TraceError as error:
                self.passed_over.append(str(error))
                continue
            if trace.remark:
                self.remarks.append(f"trace {name}: {trace.remark}")
            yield trace
