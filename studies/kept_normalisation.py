"""Records in, what a normalisation kept from an earlier window costs in picks out.

`python -m studies.kept_normalisation FILE.hdf5` is the study behind `docs/performance.md`: features
of overlapping windows can be used again only if both are normalised alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from eqedge.convert.console import run_with_one_line_errors
from eqedge.convert.data.indexing import index_continuous
from eqedge.convert.data.records import DataError
from eqedge.convert.data.waveforms import WaveformCache
from eqedge.edge.detector import Detector
from eqedge.edge.picks import find_peaks
from eqedge.edge.prepare import prepare
from eqedge.models.registry import DEFAULT_MODEL, open_model
from eqedge.models.spec import ModelSpec
from numpy.typing import NDArray

MATCH_SAMPLES = 50
"""A pick within half a second is the same pick."""
AGES_SECONDS = (1, 5, 15, 30)
STEP_SAMPLES = 500
"""From one window of a record to the next."""


@dataclass(frozen=True)
class Kept:
    """Picks of a phase with a normalisation that is not the window's own.

    Attributes:
        kept: Picks of the window's own normalisation that the older one gives too.
        lost: Those it does not.
        added: Those only the older one gives.
    """

    kept: int
    lost: int
    added: int

    def __str__(self) -> str:
        """Return the share of picks kept, and how many were added."""
        total = self.kept + self.lost
        return f"{self.kept} of {total} ({self.kept / max(total, 1):.1%}), {self.added} added"


def prepared_by(window: NDArray[np.floating], earlier: NDArray[np.floating]) -> NDArray[np.float32]:
    """Normalise a window by the mean and the deviation of another.

    Args:
        window: (n, 3) counts.
        earlier: (m, 3) counts.

    Returns:
        (n, 3); a component that did not move in `earlier` is all zero.
    """
    scale = earlier.std(axis=0)
    divisor = np.where(scale > 0, scale, np.inf)
    return np.asarray((window - earlier.mean(axis=0)) / divisor, dtype=np.float32)


def compare_ages(
    records: Sequence[NDArray[np.floating]], detector: Detector, ages: Sequence[int] = AGES_SECONDS
) -> dict[int, dict[str, Kept]]:
    """Pick every window of the records with its own normalisation and with older ones.

    Args:
        records: (n, 3) counts each, longer than a window.
        detector: Runs the model.
        ages: Seconds between a window and the one whose normalisation it gets.

    Returns:
        By age and phase.
    """
    spec = detector.model.spec
    default = spec.thresholds["default"]
    thresholds = {"P": (1, default.P_threshold), "S": (2, default.S_threshold)}
    counts = {(age, phase): [0, 0, 0] for age in ages for phase in thresholds}
    for record, start in _windows(records, spec, max(ages)):
        window = record[start : start + spec.window_samples]
        own = detector(prepare(window, spec))
        for age in ages:
            before = start - int(age * spec.sampling_rate_hz)
            older = detector(prepared_by(window, record[before : before + spec.window_samples]))
            for phase, (column, threshold) in thresholds.items():
                first, second = (
                    [peak.sample for peak in find_peaks(curves[:, column], threshold)]
                    for curves in (own, older)
                )
                kept = sum(_near(sample, second) for sample in first)
                added = sum(not _near(sample, first) for sample in second)
                for place, value in enumerate((kept, len(first) - kept, added)):
                    counts[age, phase][place] += value
    return {age: {phase: Kept(*counts[age, phase]) for phase in thresholds} for age in ages}


def _windows(
    records: Sequence[NDArray[np.floating]], spec: ModelSpec, oldest: int
) -> Iterator[tuple[NDArray[np.floating], int]]:
    first = int(oldest * spec.sampling_rate_hz)
    for record in records:
        for start in range(first, len(record) - spec.window_samples + 1, STEP_SAMPLES):
            yield record, start


def _near(sample: int, others: Sequence[int]) -> bool:
    return any(abs(sample - other) <= MATCH_SAMPLES for other in others)


def read_all(
    path: Path, most: int | None, least_samples: int, report: Callable[[str], None]
) -> list[NDArray[np.float32]]:
    """Read the records of a file, an hour at a time.

    Args:
        path: HDF5 with (n, 3) datasets: STEAD's layout, or continuous records.
        most: So many at most.
        least_samples: Shorter ones are left out.
        report: Called with what was left out, a line a reason.

    Raises:
        DataError: There is no record to use.
    """
    index, waveforms = index_continuous(path), WaveformCache(budget_bytes=0)
    long = [record for record in index.records if record.n_samples >= least_samples]
    left_out = index.skipped + Counter(
        {f"shorter than {least_samples} samples": len(index.records) - len(long)}
    )
    found = [waveforms.read(record) for record in long[:most]]
    for reason, count in (left_out + waveforms.skipped).items():
        report(f"{count}: {reason}")
    usable = [waveform for waveform in found if waveform is not None]
    if not usable:
        raise DataError(f"{path}: no record of {least_samples} usable samples; give another file")
    return usable


@click.command(context_settings={"show_default": True})
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.hdf5")
@click.option("--model", default=DEFAULT_MODEL, help="Shipped name or file.")
@click.option("--records", type=click.IntRange(min=1), metavar="N", help="First N records only.")
def main(file: Path, model: str, records: int | None) -> None:
    """Print what older normalisations cost on the (n, 3) records of a file, hour by hour."""
    detector = Detector(open_model(model))
    spec = detector.model.spec
    least = spec.window_samples + int(max(AGES_SECONDS) * spec.sampling_rate_hz)
    waveforms = read_all(file, records, least, lambda line: click.echo(f"eqedge: {line}", err=True))
    for age, phases in compare_ages(waveforms, detector).items():
        for phase, kept in phases.items():
            click.echo(f"normalised {age:3d} s before  {phase}  {kept}")


if __name__ == "__main__":
    run_with_one_line_errors(main, "python -m studies.kept_normalisation")
