"""Count false events per hour in real noise: the field records inside PyPI's package sprit.

    pip download --no-deps sprit==3.14.1
    python -m studies.quiet sprit-3.14.1-py3-none-any.whl
    python -m studies.quiet sprit-3.14.1-py3-none-any.whl --write noise_train_stead.hdf5

The package (MIT) carries 5.5 hours of microtremor in miniSEED: a Raspberry Shake 3D at six sites
and Tromino seismometers, 128 Hz, at seven, set up by hand in daytime. No earthquake is known in
it, so each event counts as false. A record is a stream of its own, brought to the model's rate,
window by window as on a node. The second command writes what the shipped weights were trained on.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pymseed
from eqedge import EqedgeError
from eqedge.convert.data.records import held_out, station_key
from eqedge.edge.resample import Resampler
from eqedge.edge.settings.node import TriggerSettings
from eqedge.edge.trigger import thresholds_of
from eqedge.edge.types import Block, ClockState
from eqedge.models.registry import DEFAULT_MODEL, open_model
from eqedge.models.spec import Thresholds
from numpy.typing import NDArray
from scipy.stats import chi2

from studies.announcements import play

INSTRUMENTS = {"AM": "Raspberry Shake 3D", "TR": "Tromino"}
HELD_OUT = "all, stations held out of training"
RECORD_SECONDS, STEP_SECONDS = 64, 32
"""Length and spacing of the training records: a window plus room to shift it."""
SUFFIX = ".mseed"
BLOCK_SECONDS = 10.0


@dataclass(frozen=True, eq=False)
class FieldRecord:
    """Three components of one file.

    Attributes:
        network: SEED network code; here it identifies the instrument.
        station: SEED station code.
        samples: (n, 3) E, N, Z.
        rate_hz: Samples a second.
    """

    network: str
    station: str
    samples: NDArray[np.float32]
    rate_hz: float


def field_records(wheel: Path) -> Iterator[FieldRecord]:
    """Read the wheel's miniSEED files; each is in the wheel under two names and is read once.

    Raises:
        EqedgeError: The file is not a wheel, or the wheel has no miniSEED file.
    """
    seen: set[str] = set()
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                if not name.lower().endswith(SUFFIX):
                    continue
                content = archive.read(name)
                digest = hashlib.sha256(content).hexdigest()
                if digest not in seen:
                    seen.add(digest)
                    yield read_record(content)
    except (OSError, zipfile.BadZipFile) as error:
        raise EqedgeError(f"{wheel}: cannot be read as a wheel ({error})") from error
    if not seen:
        raise EqedgeError(f"{wheel}: no miniSEED file in it; give the wheel of sprit 3.14.1")


def read_record(content: bytes) -> FieldRecord:
    """Cut the three components of a miniSEED file to the span that all of them have.

    Raises:
        EqedgeError: A component is missing or has a gap.
    """
    spans: dict[str, list[tuple[int, float, NDArray[np.float64]]]] = {}
    network = station = ""
    with tempfile.NamedTemporaryFile(suffix=SUFFIX) as file:
        file.write(content)
        file.flush()
        for trace in pymseed.MS3TraceList.from_file(file.name, unpack_data=True):
            network, station, *_ = pymseed.sourceid2nslc(trace.sourceid)
            for segment in trace:
                spans.setdefault(trace.sourceid[-1], []).append(
                    (segment.starttime, segment.samprate, np.array(segment.datasamples))
                )
    if set(spans) != set("ENZ") or any(len(parts) != 1 for parts in spans.values()):
        raise EqedgeError(f"{network}: a record needs E, N and Z without a gap")
    (rate_hz,) = {rate for ((_, rate, _),) in spans.values()}
    latest = max(start for ((start, _, _),) in spans.values())
    cut = [
        samples[round((latest - start) * rate_hz / 1e9) :]
        for ((start, _, samples),) in (spans[component] for component in "ENZ")
    ]
    length = min(map(len, cut))
    rows = np.stack([samples[:length] for samples in cut], axis=1).astype(np.float32)
    return FieldRecord(network, station, rows, rate_hz)


def at_rate(record: FieldRecord, rate_hz: float) -> NDArray[np.float32]:
    """Resample a record to the model's rate, as a node does."""
    resampler, rows = Resampler(rate_hz), record.samples - record.samples.mean(axis=0)
    step = round(BLOCK_SECONDS * record.rate_hz)
    made: list[NDArray[np.float32]] = []
    for first in range(0, len(rows), step):
        block = Block(
            first,
            round(first * 1e9 / record.rate_hz),
            rows[first : first + step],
            ClockState("sim", True),
            rate_hz=record.rate_hz,
        )
        made += [new.samples for new in resampler.push(block)]
    made += [new.samples for new in resampler.close()]
    return np.concatenate(made)


@dataclass
class Count:
    """Events of one instrument and preset, by the phases of their last message."""

    seconds: float = 0.0
    p_and_s: int = 0
    p_alone: int = 0
    s_alone: int = 0

    @property
    def events(self) -> int:
        """All of them."""
        return self.p_and_s + self.p_alone + self.s_alone

    def rate(self) -> str:
        """Format events per hour with the 95 % Poisson interval."""
        hours = self.seconds / 3600
        low = chi2.ppf(0.025, 2 * self.events) / 2 if self.events else 0.0
        high = chi2.ppf(0.975, 2 * self.events + 2) / 2
        return f"{self.events / hours:.1f} [{low / hours:.1f}, {high / hours:.1f}]"


def count(
    wheel: Path, model_name: str, hop_seconds: float, presets: dict[str, Thresholds]
) -> dict[tuple[str, str], Count]:
    """Count events by (instrument, preset)."""
    model = open_model(model_name)
    rate = model.spec.sampling_rate_hz
    counts: dict[tuple[str, str], Count] = {}
    for record in field_records(wheel):
        rows = at_rate(record, rate)
        instrument = INSTRUMENTS.get(record.network, record.network)
        for preset, result in play([rows], model, hop_seconds, presets).items():
            rows_of = [instrument, "all"]
            if held_out(station_key(record.network, record.station)):
                rows_of.append(HELD_OUT)
            for key in ((row, preset) for row in rows_of):
                sums = counts.setdefault(key, Count())
                sums.seconds += len(rows) / rate
                last = {trigger.event_id: trigger for _, trigger in result.messages}
                for trigger in last.values():
                    phases = {pick.phase for pick in trigger.picks}
                    sums.p_and_s += len(phases) == 2
                    sums.p_alone += phases == {"P"}
                    sums.s_alone += phases == {"S"}
    return counts


def write(wheel: Path, path: Path, rate_hz: float) -> int:
    """Write the records as noise in STEAD's layout for `eqedge train --data`; return how many.

    Records overlap by half.
    """
    length, step = round(RECORD_SECONDS * rate_hz), round(STEP_SECONDS * rate_hz)
    written = 0
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        for number, record in enumerate(field_records(wheel)):
            rows = at_rate(record, rate_hz)
            for part, first in enumerate(range(0, len(rows) - length + 1, step)):
                name = f"{record.station}.{record.network}_{number:02d}_{part:03d}_NO"
                one = group.create_dataset(name, data=rows[first : first + length])
                one.attrs.update(
                    trace_name=name,
                    trace_category="noise",
                    network_code=record.network,
                    receiver_code=record.station,
                )
                written += 1
    return written


def main() -> None:
    """Print the table, or write the training noise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--hop", type=float, action="append")
    parser.add_argument("--preset", action="append", help="of the model's card; default: all")
    parser.add_argument("--write", type=Path, metavar="FILE.hdf5", help="instead: to train on")
    chosen = parser.parse_args()
    spec = open_model(chosen.model).spec
    if chosen.write:
        try:
            written = write(chosen.wheel, chosen.write, spec.sampling_rate_hz)
        except (EqedgeError, OSError) as error:
            parser.error(str(error))
        print(f"{written} records of noise: {chosen.write}")
        return
    names = chosen.preset or list(spec.thresholds)
    presets = {name: thresholds_of(TriggerSettings(preset=name), spec) for name in names}
    print("| hop, s | preset | instrument | hours | P and S | P alone | S alone | events an hour |")
    print("|---" * 8 + "|")
    for hop in chosen.hop or (1.0,):
        try:
            counts = count(chosen.wheel, chosen.model, hop, presets)
        except EqedgeError as error:
            parser.error(str(error))
        for instrument, preset in sorted(counts, key=lambda key: (names.index(key[1]), key[0])):
            sums = counts[instrument, preset]
            kinds = f"{sums.p_and_s} | {sums.p_alone} | {sums.s_alone}"
            hours = f"{sums.seconds / 3600:.2f}"
            print(f"| {hop:g} | {preset} | {instrument} | {hours} | {kinds} | {sums.rate()} |")


if __name__ == "__main__":
    main()
