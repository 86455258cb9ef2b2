"""Which traces of a STEAD file are played, and which cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from .stead import SteadFile, Trace, TraceError


def choose(names: Sequence[str], count: int | None, seed: int) -> list[str]:
    """Choose `count` names at random, without repeats; all in the file's order if None."""
    if count is None or count >= len(names):
        return list(names)
    order = np.random.default_rng(seed).choice(len(names), size=count, replace=False)
    return [names[index] for index in order.tolist()]


class Playlist:
    """Reads the chosen traces one by one, and passes over those that cannot be played.

    Args:
        file: Open.
        names: In order.
        rate_hz: What the model wants.

    Attributes:
        passed_over: One line for each trace left out.
        remarks: One line for each trace that is odd but played.
    """

    def __init__(self, file: SteadFile, names: Iterable[str], rate_hz: float) -> None:
        self.passed_over: list[str] = []
        self.remarks: list[str] = []
        self._file = file
        self._names = names
        self._rate_hz = rate_hz

    def read(self, name: str) -> Trace:
        """Read one trace, at the model's rate.

        Raises:
            TraceError: It cannot be read, or has another rate.
        """
        trace = self._file.read(name)
        if trace.rate_hz != self._rate_hz:
            raise TraceError(
                f"trace {name}: {trace.rate_hz:g} Hz, the model wants {self._rate_hz:g} Hz; "
                "resample it"
            )
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
