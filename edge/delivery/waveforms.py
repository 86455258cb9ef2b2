"""Write one miniSEED file for each event, from before its first pick to after it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ... import reason_of
from ...firmware_bridge.measured import counter
from ..assemble import columns_of
from ..files import UNFINISHED, written_whole
from ..miniseed import MiniSeedError, Packer, require_library, source_id, version_for
from ..resample import same_rate
from ..run_counts import RunCounts
from ..settings.delivery import WaveformSettings
from ..settings.validation import SettingsError
from ..types import NANOSECONDS, Block, Message, Probabilities
from .errors import NO_ROOM, OutputFileError
from .notices import Notices

logger = logging.getLogger(__name__)

CONFIRM_SECONDS = 60.0
"""An event may be announced this long after its first pick: the length of a window."""
SUFFIX = ".mseed"
COUNTS = np.iinfo(np.int32)


@dataclass(frozen=True)
class _Wanted:
    """One file to be written, in seconds of samples, which no step of a clock moves.

    Attributes:
        event_id: Its name.
        pick: The first pick, as seconds of samples since the sensor's start.
        pick_ns: UTC of it, by the event's newest message.
        begin: Of the file, as `pick`.
        end: Of the file, as `pick`.
        source_ids: FDSN source identifiers of E, N, Z; None where the sensor lacks the component.
        version: Of miniSEED.
    """

    event_id: str
    pick: float
    pick_ns: int
    begin: float
    end: float
    source_ids: tuple[str | None, ...]
    version: int

    def time_ns(self, seconds: float) -> int:
        """Return UTC of the sample at this many seconds of samples after the sensor's start."""
        return self.pick_ns + round((seconds - self.pick) * NANOSECONDS)


@dataclass
class WaveformCounts:
    """What became of the files."""

    written: int = counter("snippets_total", "Waveform files written.")
    purged: int = counter("snippets_purged_total", "Waveform files removed to keep the quota.")
    errors: int = counter(
        "snippets_errors_total", "Waveform files that could not be written.", degrades=1
    )


class WaveformWriter:
    """Keep the newest samples in memory; write the file of each event.

    The samples are the sensor's own, at its own rate. They are cut by their numbers and dated from
    the event's first pick. A file appears under its event's id once its last sample has come, whole
    or not at all. An error of the disk is logged and counted; it costs the file, not the event, and
    the next file is tried all the same.

    Args:
        folder: For the files; made where it is missing.
        settings: Lengths and quota.

    Raises:
        SettingsError: pymseed is not installed.
        OutputFileError: The folder cannot be made. A full or read-only disk is only logged.
    """

    def __init__(self, folder: Path, settings: WaveformSettings) -> None:
        try:
            require_library()
        except MiniSeedError as error:
            raise SettingsError(f"waveforms.folder is set but {error}") from error
        self.counts = WaveformCounts()
        self._folder = folder
        self._settings = settings
        self._notices = Notices(logger)
        self._blocks: deque[Block] = deque()
        self._kept_seconds = settings.before_seconds + settings.after_seconds + CONFIRM_SECONDS
        self._wanted: dict[str, _Wanted] = {}
        self._ready = False
        try:
            self._make_ready()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise OutputFileError(
                    f"cannot make the folder {folder}: {reason_of(error)}; choose another for "
                    "waveforms"
                ) from error
            self._failed(f"waveforms in {folder} cannot be written: {reason_of(error)}")

    def sampled(self, block: Block) -> None:
        """Keep a block; write the files whose last sample has come."""
        self._blocks.append(block)
        newest = _end(block)
        for one in [one for one in self._wanted.values() if one.end <= newest]:
            del self._wanted[one.event_id]
            self._save(one)
        while _begin(self._blocks[0]) < newest - self._kept_seconds:
            self._blocks.popleft()

    def inferred(self, probabilities: Probabilities, lag_seconds: float) -> None:
        """Do nothing."""

    def tick(self, counts: RunCounts) -> None:
        """Do nothing."""

    def write(self, message: Message) -> None:
        """Note that an event has begun, or that its first pick has moved."""
        first = message["picks"][0]
        pick, pick_ns = first["sample"] / _counted_at(message), first["time_ns"]
        event_id = message["event_id"]
        if message["type"] == "new":
            self._wanted[event_id] = _Wanted(
                event_id,
                pick,
                pick_ns,
                pick - self._settings.before_seconds,
                pick + self._settings.after_seconds,
                _source_ids(message),
                version_for(*_codes(message)),
            )
        elif event_id in self._wanted:
            self._wanted[event_id] = replace(self._wanted[event_id], pick=pick, pick_ns=pick_ns)

    def close(self) -> None:
        """Write the files whose last samples will not come anymore."""
        for one in self._wanted.values():
            self._save(one)
        self._wanted.clear()

    def _make_ready(self) -> None:
        """Make the folder, and remove files that a kill left unfinished."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for unfinished in self._folder.glob(f".*{SUFFIX}{UNFINISHED}"):
            unfinished.unlink()
        self._ready = True

    def _save(self, wanted: _Wanted) -> None:
        path = self._folder / f"{wanted.event_id}{SUFFIX}"
        try:
            if not self._ready:
                self._make_ready()
            # On the disk before it is renamed: under its own name the file is whole.
            with written_whole(path, durable=True) as unfinished:
                self._pack(wanted, unfinished)
            self._keep_quota()
        except (OSError, ValueError, RuntimeError) as error:
            self._failed(f"waveform file {path} is not written: {reason_of(error)}; the event is")
            return
        self._notices.end("disk", f"waveforms in {self._folder} are written again")
        self.counts.written += 1

    def _failed(self, line: str) -> None:
        self.counts.errors += 1
        self._notices.begin("disk", line)

    def _pack(self, wanted: _Wanted, path: Path) -> None:
        packer = Packer(wanted.version, compress=True)
        for start_ns, rate_hz, counts in self._cut(wanted):
            for source, column in zip(wanted.source_ids, counts.T, strict=True):
                if source is not None:
                    packer.add(source, column, start_ns=start_ns, rate_hz=rate_hz)
        with path.open("wb") as file:
            file.writelines(packer.all_records())

    def _cut(self, wanted: _Wanted) -> Iterator[tuple[int, float, NDArray[np.int32]]]:
        """Yield UTC, rate and counts (samples, 3) of each piece: in order, each sample once."""
        done = wanted.begin
        for block in sorted(self._blocks, key=_begin):
            rate_hz, begin = block.rate_hz, _begin(block)
            first = max(0, round((done - begin) * rate_hz))
            last = min(len(block.samples), round((wanted.end - begin) * rate_hz))
            if first < last:
                counts = np.rint(block.samples[first:last].astype(np.float64))
                # As float32, a saturated count is rounded up beyond the largest 32-bit integer.
                counts = counts.clip(COUNTS.min, COUNTS.max).astype(np.int32)
                yield wanted.time_ns(begin + first / rate_hz), rate_hz, counts
                done = begin + last / rate_hz

    def _keep_quota(self) -> None:
        """Remove the oldest files until the rest is within the quota; the newest one stays."""
        files = [(path.stat(), path) for path in self._folder.glob(f"*{SUFFIX}")]
        files.sort(key=lambda entry: entry[0].st_mtime_ns)
        total = sum(status.st_size for status, _ in files)
        for status, path in files[:-1]:
            if total <= self._settings.max_bytes:
                return
            path.unlink()
            total -= status.st_size
            self.counts.purged += 1


def _begin(block: Block) -> float:
    """Return when its first sample was taken, in seconds of samples since the sensor's start."""
    return block.first_sample / block.rate_hz


def _end(block: Block) -> float:
    return (block.first_sample + len(block.samples)) / block.rate_hz


def _counted_at(message: Message) -> float:
    """Return the rate at which picks are counted, hertz: the sensor's, unless it was resampled."""
    sensor_hz: float = message["sensor_rate_hz"]
    model_hz: float = message["sampling_rate_hz"]
    return sensor_hz if same_rate(sensor_hz, model_hz) else model_hz


def _codes(message: Message) -> tuple[str, str, str]:
    return message["network"], message["station"], message["location"]


def _source_ids(message: Message) -> tuple[str | None, ...]:
    channels: list[str] = message["channels"]
    return tuple(
        None if column is None else source_id(*_codes(message), channels[column])
        for column in columns_of(channels) or (None, None, None)
    )
