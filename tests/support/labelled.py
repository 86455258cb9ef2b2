"""Small STEAD-layout files of synthetic records, for all tests of training and scoring."""

from pathlib import Path

import h5py
import numpy as np
from eqedge.edge.replay.synthetic import earthquake, noise

STATIONS = ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"]


def write_stead(path: Path, n_events: int = 6, n_noise: int = 3, seed: int = 7) -> Path:
    """STEAD's layout with STEAD's string-valued attributes, one station a record."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        for k in range(n_events + n_noise):
            event = k < n_events
            record = (
                earthquake(rng, distance_km=30, magnitude=2.5, snr_db=40, p_arrival_sample=900)
                if event
                else noise(rng)
            )
            station = STATIONS[k % len(STATIONS)]
            name = f"{station}.XX_2020010{k}000000_{'EV' if event else 'NO'}"
            dataset = file.create_dataset(f"data/{name}", data=record.waveform)
            labels = {
                "p_arrival_sample": float(record.p_arrival_sample) if event else "",
                "s_arrival_sample": str(record.s_arrival_sample) if event else "",
                "coda_end_sample": f"[[ {record.coda_end_sample}.]]" if event else "",
            }
            dataset.attrs.update(
                trace_name=name,
                trace_category="earthquake_local" if event else "noise",
                network_code="XX",
                receiver_code=station,
                p_status="manual",
                **labels,
            )
    return path
