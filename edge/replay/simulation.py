"""Play a STEAD file as a live station (`--sim`), and score the picks against its labels."""

from __future__ import annotations

import logging
from threading import Event

from ... import EqedgeError
from ..resample import same_rate
from ..run_counts import RunCounts
from ..types import NANOSECONDS, Message
from .field_names import START_FIELD
from .fields import TraceError, text_of
from .playlist import Playlist
from .request import Replay
from .scoreboard import Scoreboard, score
from .source import SimSource
from .stead import SteadError
from .timeline import Timeline
from .values import parse_time, shown

logger = logging.getLogger(__name__)

DEFAULT_START = "2000-01-01"
DEFAULT_START_NS = parse_time(DEFAULT_START) or 0
"""Time of the first trace, where it has none."""
LEAD_SECONDS = 60.0
"""Noise before the first trace: a window is full when it begins."""


class Simulation:
    """Holds the open file, the timeline and, as a sink, the messages to be scored.

    Args:
        replay: The file, and how it is played.
        rate_hz: The model's sampling rate.
        stop: Set to end it.

    Raises:
        SteadError: The file cannot be read, or not one of its traces can be played.
    """

    def __init__(self, replay: Replay, rate_hz: float, stop: Event) -> None:
        self._messages: list[Message] = []
        self._file = replay.selection.open(replay.path)
        try:
            names = replay.selection.names(self._file)
            self.playlist = Playlist(self._file, names, rate_hz)
            start_ns = self._start(names) - round(LEAD_SECONDS * NANOSECONDS)
        except EqedgeError:
            self._file.close()
            raise
        own_hz = self.playlist.rate_hz
        self._rate_hz = own_hz
        self._step = 1.0 if same_rate(own_hz, rate_hz) else own_hz / rate_hz
        self.timeline = Timeline(
            self.playlist,
            own_hz,
            spacing_seconds=replay.spacing_seconds,
            lead_seconds=LEAD_SECONDS,
            seed=replay.selection.seed,
        )
        self.source = SimSource(self.timeline, own_hz, start_ns, replay.speed, stop)

    def _start(self, names: list[str]) -> int:
        """Return the time of the first trace that can be played.

        Raises:
            SteadError: There is none.
        """
        reason = ""
        for name in names:
            try:
                first = self.playlist.read(name)
            except TraceError as error:
                reason = reason or str(error)
                continue
            if first.start_time_ns is not None:
                return first.start_time_ns
            text = text_of(first.attributes, START_FIELD)
            why = f"{START_FIELD} {shown(text)} cannot be read" if text else f"no {START_FIELD}"
            logger.warning("trace %s: %s; dated %s", name, why, DEFAULT_START)
            return DEFAULT_START_NS
        raise SteadError(f"{self._file.path}: no trace can be played; {reason}")

    def __enter__(self) -> Simulation:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def locate(self, sample: int) -> tuple[str, int] | None:
        """Return (trace_name, sample within it) of a sample at the model's rate."""
        return self.timeline.locate(round(sample * self._step))

    def write(self, message: Message) -> None:
        """Keep a message for the scoreboard."""
        self._messages.append(message)

    def close(self) -> None:
        """Do nothing."""

    def scoreboard(self, samples: int) -> Scoreboard:
        """Score the traces that were played whole; the others are not counted as missed."""
        played = [p for p in self.timeline.placements if p.end_sample <= samples]
        return score(played, self._messages, self._rate_hz)

    def problems(self) -> list[str]:
        """Return lines for people: traces that were left out or are odd, ten of them at most."""
        odd = [*self.playlist.passed_over, *self.playlist.remarks]
        more = [f"... and {len(odd) - 10} more traces passed over or odd"] if len(odd) > 10 else []
        return [*self._file.remarks, *odd[:10], *more]

    def report(self, counts: RunCounts) -> list[str]:
        """Return lines for people: what was played, what was found, how fast."""
        seconds = counts.stream.seconds
        board = self.scoreboard(counts.stream.samples)
        windows = max(counts.windows_scored, 1)
        return [
            f"played {board.traces} traces, {seconds / 3600:.2f} h of data, through "
            f"{counts.source.losses.frames_ok} frames ({counts.source.losses.frames_bad} bad, "
            f"{counts.source.losses.sequence_lost} lost), {counts.stream.gaps} gaps",
            *board.lines(seconds),
            f"speed    {seconds / max(counts.wall_seconds, 1e-9):.0f} times real time; "
            f"{counts.windows_scored} windows ({counts.shedder.skipped} left out to keep up), "
            f"{counts.inference_seconds / windows * 1000:.2f} ms each for preparation and network",
        ]
