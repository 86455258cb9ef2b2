"""Records of other rates are read as a node would read their sensor."""

import h5py
import numpy as np
import pytest
from eqedge.convert.data.indexing import index_continuous, index_stead
from eqedge.convert.data.waveforms import WaveformCache
from eqedge.edge.replay.sample import DEMO_FILE


def wave(rate_hz, seconds=90):
    """Return 3 and 7 Hz on a large offset, and their sum, as a sensor of a rate has them."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    slow, fast = np.sin(2 * np.pi * 3 * t), np.sin(2 * np.pi * 7 * t)
    return 1e9 + 1000 * np.stack([slow, fast, slow + fast], axis=1)


@pytest.mark.parametrize("rate_hz", [20.0, 40.0, 50.0, 62.5, 125.0, 200.0, 500.0])
def test_samples_and_labels_keep_their_time(tmp_path, rate_hz):
    """The same motion, whatever the rate; P and S at the same seconds."""
    path = tmp_path / "other.hdf5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("data/A.XX_1_EV", data=wave(rate_hz))
        made.attrs.update(
            sampling_rate_hz=rate_hz,
            p_arrival_sample=20 * rate_hz,
            s_arrival_sample=30 * rate_hz,
            coda_end_sample=50 * rate_hz,
        )
    (record,) = index_stead(path).records
    assert (record.p_arrival_sample, record.s_arrival_sample) == (2000, 3000)
    assert (record.coda_end_sample, record.n_samples) == (5000, 9000)
    samples = WaveformCache().read(record)
    assert samples.shape == (9000, 3)
    expected = wave(100.0) - wave(100.0).mean(axis=0)
    inner = slice(500, -500)
    limit = 1.0 if rate_hz > 20 else 2000.0  # 20 Hz passes up to 8 Hz and folds nothing back
    assert np.abs(samples[inner] - expected[inner]).max() < limit


def test_stretches_of_a_continuous_record(tmp_path):
    """Each is an hour and a window, at its own place; a node's recording has its station."""
    path = tmp_path / "long.hdf5"
    x = wave(50.0, 3700)
    with h5py.File(path, "w") as file:
        made = file.create_dataset("data/EQ1.XX_1_CO", data=x)
        made.attrs.update(sampling_rate_hz=50.0, network_code="XX", receiver_code="EQ1")
    first, second = index_continuous(path).records
    assert (first.first, first.n_samples, second.first) == (0, 366_000, 180_000)
    assert second.n_samples == 10_000 and first.station == "EQ1.XX"
    samples = WaveformCache().read(second)
    expected = wave(100.0, 3700)[360_000:]
    assert len(samples) == 10_000
    inner = slice(500, -500)
    assert np.abs(samples[inner] - (expected - x[180_000:].mean(axis=0))[inner]).max() < 1.0


def test_half_the_rate_half_the_file_same_records(tmp_path):
    """The demo's events at 50 Hz keep their labels to the sample."""
    half = tmp_path / "half.hdf5"
    with h5py.File(DEMO_FILE) as source, h5py.File(half, "w") as out:
        for name, dataset in source["data"].items():
            made = out.create_dataset(f"data/{name}", data=dataset[::2])
            made.attrs.update(dict(dataset.attrs), trace_sampling_rate_hz="50 Hz")
            for label in ("p_arrival_sample", "s_arrival_sample"):
                if dataset.attrs[label] != "":
                    made.attrs[label] = dataset.attrs[label] / 2
            made.attrs["coda_end_sample"] = ""
    for one, other in zip(index_stead(DEMO_FILE).records, index_stead(half).records, strict=True):
        assert (one.trace, one.n_samples) == (other.trace, other.n_samples)
        if one.p_arrival_sample is not None:
            assert abs(one.p_arrival_sample - other.p_arrival_sample) <= 1
