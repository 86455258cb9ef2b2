"""Blocks and triggers -> one miniSEED file an event, from before its first pick to after it."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..assemble import ORIENTATIONS
from ..operation.account import Account
from ..operation.metrics import Metrics
from ..records import NANOSECONDS, Block, Message, Probabilities
from ..settings import SettingsError, SnippetSettings
from .sinks import OutputError

CONFIRM_SECONDS = 60.0
"""An event can be told as long after its first pick as a window is long."""
SUFFIX = ".mseed"
HALF = ".part"


@dataclass(frozen=True)
class _Wanted:
    event_id: str
    first_ns: int
    end_ns: int
    source_ids: tuple[str | None, str | None, str | None]


class Snippets:
    """Keeps the newest samples in memory; cuts out and writes what an event's file needs.

    The samples are the sensor's own, at its own rate. A file appears under its event's id once its
    last sample has come, whole or not at all. Trouble with the disk is told and counted, and costs
    the file, not the event.

    Args:
        folder: For the files; made where it is missing.
        settings: Lengths and quota.
        notice: Told one line when the disk takes no files.

    Raises:
        SettingsError: pymseed is not installed.
        OutputError: The folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        settings: SnippetSettings,
        notice: Callable[[str], None],
    ) -> None:
        try:
            import pymseed  # noqa: F401
        except ImportError as error:
            raise SettingsError(
                "snippets.folder is set but pymseed is not installed; pip install 'eqedge[mseed]'"
            ) from error
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for half in folder.glob(f"*{SUFFIX}{HALF}"):  # what a kill left
                half.unlink()
        except OSError as error:
            raise OutputError(
                f"cannot make the folder {folder}: {error.strerror}; choose another for snippets"
            ) from error
        self.written = self.purged = self.errors = 0
        self._folder = folder
        self._settings = settings
        self._notice = notice
        self._blocks: deque[Block] = deque()
        self._kept_seconds = settings.before_seconds + settings.after_seconds + CONFIRM_SECONDS
        self._wanted: list[_Wanted] = []
        self._refusing = False

    def sampled(self, block: Block) -> None:
        """Keep a block; write the files whose last sample has come."""
        self._blocks.append(block)
        newest = block.first_sample + len(block.samples)
        while self._blocks[0].first_sample < newest - self._kept_seconds * block.rate_hz:
            self._blocks.popleft()
        ripe = [one for one in self._wanted if one.end_ns <= block.start_time_ns]
        self._wanted = [one for one in self._wanted if one not in ripe]
        for one in ripe:
            self._save(one)

    def inferred(self, probabilities: Probabilities, lag_seconds: float) -> None:
        """Do nothing."""

    def tick(self, account: Account) -> None:
        """Do nothing."""

    def write(self, message: Message) -> None:
        """Note that an event has begun."""
        if message["type"] != "new":
            return
        first_ns = message["start_time_ns"]
        self._wanted.append(
            _Wanted(
                message["event_id"],
                first_ns - round(self._settings.before_seconds * NANOSECONDS),
                first_ns + round(self._settings.after_seconds * NANOSECONDS),
                _source_ids(message),
            )
        )

    def measure(self, metrics: Metrics) -> None:
        """Fill in what became of the files."""
        metrics.snippets_total = self.written
        metrics.snippets_purged_total = self.purged
        metrics.snippets_errors_total = self.errors

    def close(self) -> None:
        """Write the files whose last samples will not come any more."""
        for one in self._wanted:
            self._save(one)
        self._wanted.clear()

    def _save(self, wanted: _Wanted) -> None:
        path = self._folder / f"{wanted.event_id}{SUFFIX}"
        half = path.with_name(path.name + HALF)
        try:
            self._pack(wanted, half)
            os.replace(half, path)
            self._keep_quota()
        except (OSError, ValueError, RuntimeError) as error:
            half.unlink(missing_ok=True)
            self.errors += 1
            if not self._refusing:
                self._refusing = True
                self._notice(f"snippet {path} is not written: {error}; the event is")
            return
        self._refusing = False
        self.written += 1

    def _pack(self, wanted: _Wanted, path: Path) -> None:
        from pymseed import MS3TraceList

        traces = MS3TraceList()
        for block in self._blocks:
            length_ns = round(len(block.samples) * NANOSECONDS / block.rate_hz)
            end_ns = block.start_time_ns + length_ns
            if end_ns <= wanted.first_ns or block.start_time_ns >= wanted.end_ns:
                continue
            for column, source_id in enumerate(wanted.source_ids):
                if source_id is not None:
                    counts = np.rint(block.samples[:, column]).astype(np.int32)
                    traces.add_data(
                        source_id, counts, "i", block.rate_hz, starttime=block.start_time_ns
                    )
        traces.to_file(path, overwrite=True, max_record_length=512, format_version=2)

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
            self.purged += 1


def _source_ids(message: Message) -> tuple[str | None, str | None, str | None]:
    """FDSN source identifiers of E, N, Z; None where the sensor has no such component."""
    codes: Sequence[str] = [code for code in message["channels"] if code[2] in ORIENTATIONS]
    if not codes:
        return None, None, None
    # As the assembler chooses: of several instruments the one with most components.
    instrument = Counter(code[:2] for code in codes).most_common(1)[0][0]
    found = {ORIENTATIONS[code[2]]: code for code in codes if code.startswith(instrument)}
    station = f"FDSN:{message['network']}_{message['station']}_{message['location']}"
    east, north, vertical = (
        f"{station}_{'_'.join(found[part])}" if part in found else None for part in "ENZ"
    )
    return east, north, vertical
