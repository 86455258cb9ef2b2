"""Make earthquakes for a soak that a node picks clearly when nothing is wrong.

An earthquake that the network misses would prove nothing about the node. Each is first played to a
chain in this process: over a line without faults, over some with single frames lost and bridged,
and over one that begins shortly before P.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

import numpy as np
from eqedge.edge.node import daemon_of
from eqedge.edge.replay.source import SimSource
from eqedge.edge.replay.synthetic import earthquake
from eqedge.edge.settings.node import Settings, WindowSettings
from eqedge.edge.types import Message
from eqedge.models.registry import open_model

from .account import BEFORE_SECONDS, Quake
from .sensor import PACKET, RATE

CELL_SECONDS = 240
"""One earthquake in each."""
CLEAR = 0.5
"""Probability that both picks must reach; the node needs 0.3."""
BAD_LINES = 4
"""Times that each is shown with frames missing."""
FRAMES_BRIDGED = 0.0175
"""Share of frames that the soak's line loses or damages."""
FULL_SECONDS = 70
"""Before P, for the chain alone: a window and some."""
HOP_SECONDS = WindowSettings().hop_seconds
"""By which a message of the node may come later than that of the chain alone."""
Cell = tuple[np.ndarray, Quake]
"""Counts (samples, 3), int32, and the earthquake in them, by the cell's own samples."""


class Cells:
    """Draws cells, the next one while the last is played.

    Args:
        seed: Decides all.

    Attributes:
        drawn_anew: Earthquakes not clear enough.
    """

    def __init__(self, seed: int) -> None:
        self.drawn_anew = 0
        self._rng = np.random.default_rng(seed)
        self._line = np.random.default_rng((seed, 1))
        self._chain = Chain()

    def __call__(self, number: int) -> Iterator[Cell]:
        """Yield so many cells."""
        with ThreadPoolExecutor(max_workers=1) as ahead:
            coming = ahead.submit(self._clear)
            for _ in range(number - 1):
                cell, coming = coming.result(), ahead.submit(self._clear)
                yield cell
            yield coming.result()

    def _clear(self) -> Cell:
        while True:
            counts, quake = self._draw()
            lines = self._lines(counts, quake)
            if all(is_clear(here, self._chain.messages(line)) for line, here in lines):
                return counts, quake
            self.drawn_anew += 1

    def _lines(self, counts: np.ndarray, quake: Quake) -> Iterator[Cell]:
        whole, here = part(counts, quake, FULL_SECONDS)
        yield whole, here
        for _ in range(BAD_LINES):
            yield bridged(whole, self._line), here
        short, here = part(counts, quake, BEFORE_SECONDS)
        yield bridged(short, self._line), here

    def _draw(self) -> Cell:
        record = earthquake(
            self._rng,
            n_samples=CELL_SECONDS * RATE,
            p_arrival_sample=int(self._rng.integers(90, 140)) * RATE,
            distance_km=float(self._rng.uniform(10, 60)),
            magnitude=2.5,
            snr_db=float(self._rng.uniform(35, 50)),
        )
        quake = Quake(record.p_arrival_sample, record.s_arrival_sample)
        return np.rint(record.waveform).astype(np.int32), quake


def part(counts: np.ndarray, quake: Quake, before_seconds: int) -> Cell:
    """Cut a cell: from so long before P until the earthquake must have been reported."""
    first = quake.p - before_seconds * RATE
    return counts[first : quake.due(first)], Quake(quake.p - first, quake.s - first)


def bridged(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put straight lines where a bad line would have lost single frames."""
    known = np.repeat(rng.random(-(-len(counts) // PACKET)) >= FRAMES_BRIDGED, PACKET)
    known = known[: len(counts)]
    at = np.arange(len(counts))
    columns = [np.interp(at, at[known], column[known]) for column in counts.T]
    return np.rint(np.stack(columns, axis=1)).astype(np.int32)


class Chain:
    """The node's chain alone: a perfect line in, messages out."""

    def __init__(self) -> None:
        self._settings = Settings()
        self._model = open_model(self._settings.model)

    def messages(self, counts: np.ndarray) -> list[Message]:
        """Return the messages for counts (samples, 3); samples are numbered from 0."""
        source = SimSource(_Stretch(counts), float(RATE), 0, None, Event())
        sink = _Messages()
        daemon_of(self._settings, self._model, source, live=False).run([sink])
        return sink.messages


def is_clear(quake: Quake, messages: list[Message]) -> bool:
    """Whether one message has both picks, right and probable, in time."""
    latest = quake.due(0) - HOP_SECONDS * RATE
    return any(
        len(message["picks"]) == 2
        and window_end(message) <= latest
        and all(pick["probability"] >= CLEAR and quake.is_right(pick) for pick in message["picks"])
        for message in messages
    )


def window_end(message: Message) -> float:
    """Return the sample up to which there was signal when a message was made."""
    data_seconds = message["latency_ms"]["data"] / 1000
    return float(message["picks"][-1]["sample"] + data_seconds * RATE)


@dataclass
class _Messages:
    """A sink that keeps messages."""

    messages: list[Message] = field(default_factory=list)

    def write(self, message: Message) -> None:
        self.messages.append(message)

    def close(self) -> None:
        """Nothing is pending."""


@dataclass(frozen=True)
class _Stretch:
    """A timeline of one piece."""

    counts: np.ndarray

    def stretches(self) -> Iterator[np.ndarray]:
        yield self.counts
