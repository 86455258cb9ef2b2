from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from eqedge.convert.training.student import Student
from eqedge.edge.replay.synthetic import earthquake, noise

from .steps import BROKEN_AT, SETTINGS, STEPS, take_steps

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


@pytest.fixture
def stead_file(tmp_path: Path) -> Path:
    """Six earthquakes and three noise records of six stations."""
    return write_stead(tmp_path / "small.hdf5")


@dataclass(frozen=True)
class Whole:
    """A run of twenty steps, and the checkpoint of its eleventh."""

    start: list[Any]
    student: Student
    end: dict[str, Any]
    folder: Path
    broken: Path


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """State after twenty uninterrupted steps, and after a run broken off at the eleventh."""
    student = Student(SETTINGS, seed=1)
    start = [w.copy() for w in student.network.get_weights()]
    folder = tmp_path_factory.mktemp("run")
    take_steps(student, folder, BROKEN_AT)
    broken = folder / "broken"
    broken.mkdir()
    (folder / "checkpoint.npz").rename(broken / "checkpoint.npz")
    take_steps(student, folder, STEPS - BROKEN_AT)
    return Whole(start, student, student.state(), folder, broken)
