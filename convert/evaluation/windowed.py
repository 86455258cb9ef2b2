"""Score networks on held-out records, window by window: memory does not grow with the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...models.spec import RATE_HZ
from ..data.files import DataFiles, index_files, teacher_labels
from ..data.indexing import index_continuous
from ..data.picker import Picker
from ..data.records import DataError, Index, Record
from ..data.unseen import Selection
from ..data.waveforms import Unusable, WaveformCache
from ..data.windows import TRIAL_DRAWS, TRIAL_SEED, Cut, cuts
from ..progress import OnProgress
from .score_table import Ledger, ScoreTable
from .stream import run_hop_by_hop
from .subjects import Catalogue, Subject

BATCH_WINDOWS = 64
HOP_SAMPLES = 25
"""From one onset window to the next."""
LAST_AGE_SAMPLES = 1000
ONSET_EVENTS = 300
"""Each costs forty windows."""
SWEPT = tuple(round(0.05 * k, 2) for k in range(1, 20))


@dataclass(frozen=True)
class WindowScores:
    """What networks were scored on, and what came of it.

    Attributes:
        tables: One for each network.
        records: Number of records, by data set, then by kind.
        stations: Number of stations.
        skipped: Records that could not be used, by reason.
    """

    tables: Sequence[ScoreTable]
    records: dict[str, dict[str, int]]
    stations: int
    skipped: dict[str, int]


@dataclass(frozen=True)
class ScoredData:
    """The records that networks are scored on.

    Attributes:
        files: Labelled data, and teachers whose common picks mark unlabelled earthquakes.
        index: All records of the labelled data.
        records: Chosen of these, then those of noise.
        stretches: Continuous records, scored hop by hop.
        catalogues: Of each labelled file, by its path.
        skipped: Records that cannot be used, by reason.
        limit: How many of how many were drawn, and by which seed; None for all.
    """

    files: DataFiles
    index: Index
    records: Sequence[Record]
    stretches: Sequence[Record]
    catalogues: Mapping[str, Catalogue]
    skipped: Counter[str]
    limit: dict[str, Any] | None


def choose_data(
    files: DataFiles, noise: Sequence[Path], streams: Sequence[Path], selection: Selection
) -> ScoredData:
    """Choose the records to score on; no waveform is read.

    Args:
        files: Labelled data, and teachers.
        noise: HDF5 of continuous records in which there is no earthquake.
        streams: HDF5 of continuous records in which there may be some.
        selection: Which of the labelled records, and whether all of the streams.

    Raises:
        DataError: A file has nothing to use, or no station of it is held out.
    """
    catalogues = {str(path): Catalogue(path, files.selection) for path in files.labelled}
    index = index_files(files)
    chosen, limit = selection.of(index)
    records = chosen.records
    skipped = Counter(chosen.skipped)
    for path in noise:
        quiet = index_continuous(path)
        records = [*records, *quiet.records]
        skipped.update(quiet.skipped)
    stretches = _stretches(streams, selection.all_stations, skipped)
    return ScoredData(files, index, records, stretches, catalogues, skipped, limit)


def score_networks(
    networks: Sequence[Picker],
    data: ScoredData,
    thresholds: Sequence[float],
    report: Callable[[str], None],
    progress: OnProgress | None = None,
) -> WindowScores:
    """Show every network the same windows.

    Args:
        networks: To be scored.
        data: From `choose_data`.
        thresholds: Scored in addition to `SWEPT`.
        report: Called with a line for each record that cannot be used.
        progress: Called with what is done, how much of it, and of how much.

    Raises:
        DataError: No record can be read.
    """
    records, stretches, catalogues = data.records, data.stretches, data.catalogues
    unusable = Unusable(report)
    labels = teacher_labels(data.files, data.index, unusable)
    skipped = Counter(data.skipped)
    place = {record: number for number, record in enumerate(records, start=1)}
    columns = sorted({*SWEPT, *thresholds})
    ledgers = [Ledger(columns, labels, HOP_SAMPLES / RATE_HZ) for _ in networks]
    waveforms = WaveformCache(0, unusable)
    subjects: dict[Record, Subject] = {}
    for batch in _batches(cuts_of(records, waveforms)):
        for cut in batch:
            if cut.record not in subjects:
                subjects[cut.record] = _subject(cut.record, catalogues)
        samples = [cut.samples for cut in batch]
        for network, ledger in zip(networks, ledgers, strict=True):
            for cut, answer in zip(batch, network.answer(samples), strict=True):
                ledger.add(cut, subjects[cut.record], answer)
        if progress is not None:
            progress("scoring", place[batch[-1].record], len(records))
    tables = [ledger.table() for ledger in ledgers]
    if stretches:
        streamed = [
            run_hop_by_hop(network, stretches, waveforms, columns, progress) for network in networks
        ]
        tables = [
            replace(scores, stream=stream if stream.units else None)
            for scores, stream in zip(tables, streamed, strict=True)
        ]
    skipped.update(unusable.counts())
    if not subjects:
        raise DataError(f"no record of the data can be read ({'; '.join(skipped)})")
    counts: dict[str, dict[str, int]] = {}
    for record in (*subjects, *stretches):
        kinds = counts.setdefault(record.source, {})
        kinds[record.kind] = kinds.get(record.kind, 0) + 1
    stations = len({record.station for record in subjects})
    return WindowScores(tables, counts, stations, dict(skipped))


def cuts_of(records: Sequence[Record], waveforms: WaveformCache) -> Iterator[Cut]:
    """Cut the card's windows, and onset windows hop by hop."""
    ages = range(HOP_SAMPLES, LAST_AGE_SAMPLES + 1, HOP_SAMPLES)
    return cuts(records, waveforms, TRIAL_SEED, TRIAL_DRAWS, ages, ONSET_EVENTS)


def _stretches(streams: Sequence[Path], all_stations: bool, skipped: Counter[str]) -> list[Record]:
    found: list[Record] = []
    for path in streams:
        index = index_continuous(path)
        skipped.update(index.skipped)
        records = index.records if all_stations else index.held_out()
        if not records:
            raise DataError(f"{path}: no station of it is held out; give --all-stations")
        found += records
    return found


def _batches(windows: Iterator[Cut]) -> Iterator[list[Cut]]:
    batch: list[Cut] = []
    for cut in windows:
        batch.append(cut)
        if len(batch) == BATCH_WINDOWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _subject(record: Record, catalogues: Mapping[str, Catalogue]) -> Subject:
    if record.path in catalogues:
        return catalogues[record.path].subject(record)
    return Subject(record, record.key, {})
