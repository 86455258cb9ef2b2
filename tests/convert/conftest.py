"""What the converter's tests share: networks of random weights, files of synthetic records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from eqedge.convert.graph.networks import Variant, build_network
from eqedge.edge.replay.synthetic import earthquake, noise

from tests.support.labelled import write_stead

SHARED = Path(__file__).resolve().parents[3] / "shared"
SMALL = Variant(cnn_blocks=1, lstm_blocks=1)


def randomised(name: str, variant: Variant):
    """Build a network whose every weight, batch statistics included, is away from its default."""
    import keras  # not above: the tests beside that need no TensorFlow are fast

    keras.utils.set_random_seed(11)
    rng = np.random.default_rng(11)
    network = build_network(name, variant)
    for layer in network.layers:
        weights = [
            value * rng.uniform(0.5, 2.0, value.shape)
            if "variance" in variable.name
            else value + rng.normal(0, 0.05, value.shape)
            for value, variable in zip(layer.get_weights(), layer.weights, strict=True)
        ]
        layer.set_weights(weights)
    return network


@dataclass(frozen=True)
class Built:
    """A network and what it was built from."""

    name: str
    variant: Variant
    network: object

    @property
    def layers(self):
        """Weights by layer name."""
        return {layer.name: layer.get_weights() for layer in self.network.layers if layer.weights}


@pytest.fixture(scope="session")
def built():
    """Return a builder of randomised networks that builds each once."""
    cache: dict[tuple[str, Variant], Built] = {}

    def get(name: str, variant: Variant = SMALL) -> Built:
        if (name, variant) not in cache:
            cache[name, variant] = Built(name, variant, randomised(name, variant))
        return cache[name, variant]

    return get


@pytest.fixture(scope="session")
def windows():
    """Return (12, 6000, 3) standardised windows with events of very different sizes."""
    rng = np.random.default_rng(5)
    raw = np.stack([earthquake(rng).waveform for _ in range(12)])
    return ((raw - raw.mean(1, keepdims=True)) / raw.std(1, keepdims=True)).astype(np.float32)


def write_records(path: Path, events: int, quiet: int, rate_hz: float | None = None) -> Path:
    """Write a STEAD-layout file of synthetic earthquakes and noise."""
    rng = np.random.default_rng(events + 100 * quiet)
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        for number in range(events + quiet):
            record = earthquake(rng) if number < events else noise(rng)
            kind = "EV" if number < events else "NO"
            data = group.create_dataset(f"SYN{number:03d}.XX_{kind}", data=record.waveform)
            data.attrs["trace_category"] = "earthquake_local" if number < events else "noise"
            if number < events:
                data.attrs["p_arrival_sample"] = float(record.p_arrival_sample)
                data.attrs["s_arrival_sample"] = float(record.s_arrival_sample)
            if rate_hz is not None:
                data.attrs["trace_sampling_rate_hz"] = rate_hz
    return path


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    """Return a STEAD-layout file of 16 events and 6 quiet records."""
    return write_records(tmp_path_factory.mktemp("records") / "records.hdf5", 16, 6)


@pytest.fixture(scope="session")
def shared():
    """Return the development data's folder; skip where it is absent."""
    if not (SHARED / "teachers").is_dir():
        pytest.skip("no ../shared beside the checkout")
    return SHARED


@pytest.fixture
def stead_file(tmp_path: Path) -> Path:
    """Six earthquakes and three noise records of six stations."""
    return write_stead(tmp_path / "small.hdf5")
