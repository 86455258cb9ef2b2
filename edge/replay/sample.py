"""Write synthetic records to a small HDF5 file with STEAD's layout and attributes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ... import EqedgeError, reason_of
from ..files import written_whole
from ..utc import stead_text
from .synthetic import SyntheticRecord, earthquake, noise

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STATION = ("XX", "SYN")
DEMO_FILE = Path(__file__).parent / "samples" / "demo.hdf5"
"""The embedded sample: `eqedge sample demo.hdf5 --events 10 --noise 2 --seed 22` made it."""


class SampleError(EqedgeError):
    """The sample cannot be written."""


def write_sample(path: Path, *, events: int, noise_traces: int, seed: int) -> list[str]:
    """Write a file of synthetic traces; the same arguments give the same traces.

    Args:
        path: Written under a temporary name, then renamed.
        events: Local earthquakes of 4 to 100 km, 20 to 50 dB above the noise.
        noise_traces: Records without one, with steps and vehicles in them.
        seed: Of traces and order.

    Returns:
        The traces' names, in order of time.

    Raises:
        SampleError: The file cannot be written.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation([True] * events + [False] * noise_traces).tolist()
    names = []
    try:
        with written_whole(path) as unfinished, h5py.File(unfinished, "w") as file:
            group = file.create_group("data")
            for index, is_event in enumerate(order):
                time = BEGIN + timedelta(minutes=7 * index)
                record = _event(rng) if is_event else noise(rng)
                name = f"{STATION[1]}.{STATION[0]}_{time:%Y%m%d%H%M%S}_{'EV' if is_event else 'NO'}"
                dataset = group.create_dataset(
                    name,
                    data=np.rint(record.waveform).astype(np.float32),
                    compression="gzip",
                    compression_opts=9,
                    shuffle=True,
                )
                dataset.attrs.update(_attributes(record, name, time))
                names.append(name)
    except OSError as error:
        reason = reason_of(error)
        raise SampleError(
            f"cannot write {path}: {reason}; give a file in a folder that exists"
        ) from error
    return names


def _event(rng: np.random.Generator) -> SyntheticRecord:
    """An earthquake whose S lies well inside the record, as in STEAD."""
    distance_km = float(np.exp(rng.uniform(np.log(8.0), np.log(100.0))))
    return earthquake(rng, distance_km=distance_km, snr_db=float(rng.uniform(20.0, 50.0)))


def _attributes(record: SyntheticRecord, name: str, time: datetime) -> dict[str, Any]:
    shared = {
        "network_code": STATION[0],
        "receiver_code": STATION[1],
        "receiver_type": "HH",
        "trace_name": name,
        "trace_start_time": stead_text(time),
    }
    if record.p_arrival_sample is None:
        empty = {"p_arrival_sample": "", "s_arrival_sample": "", "coda_end_sample": ""}
        return {**shared, **empty, "trace_category": "noise"}
    return {
        **shared,
        "trace_category": "earthquake_local",
        "p_arrival_sample": float(record.p_arrival_sample),
        "p_status": "manual",
        "s_arrival_sample": float(record.s_arrival_sample or 0),
        "s_status": "manual",
        "coda_end_sample": f"[[{record.coda_end_sample}.]]",
        "snr_db": f"[{record.snr_db:.1f} {record.snr_db:.1f} {record.snr_db:.1f}]",
        "source_magnitude": record.magnitude,
        "source_distance_km": record.distance_km,
        "back_azimuth_deg": record.back_azimuth_deg,
    }
