import h5py
import numpy as np
import pytest
from eqedge.convert.data.indexing import index_continuous
from eqedge.convert.data.picker import Picker, open_picker
from eqedge.convert.data.waveforms import WaveformCache
from eqedge.convert.evaluation.stream import announced_picks, run_hop_by_hop
from eqedge.edge.replay.synthetic import earthquake, noise
from eqedge.models.spec import ModelSpec

ENDS = range(6000, 9001, 25)


def picks_of(*seen):
    """Picks of each window: (sample, first end, last end) is seen by windows that end between."""
    return [[k for k, first, last in seen if first <= end <= last] for end in ENDS]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([(6500, 6525, 9000)], [(6500, True)]),
        ([(6500, 6525, 7000)], [(6500, False)]),
        ([(6500, 6800, 9000)], []),
        ([(6500, 6525, 6600), (6540, 6700, 9000)], [(6500, True)]),
        ([(8100, 8125, 9000)], []),
        ([(6500, 6525, 9000), (6700, 6725, 7000)], [(6500, True), (6700, False)]),
    ],
    ids=["stays", "is lost", "too late", "moves", "nobody looked later", "two"],
)
def test_what_is_news_and_what_stays(found, expected):
    """A P is announced once, while fresh; ten seconds later the window says whether it stays."""
    assert announced_picks(picks_of(*found), ENDS) == expected


@pytest.fixture
def continuous(tmp_path):
    """Three minutes with an earthquake in the second one; returns the record and its P."""
    rng = np.random.default_rng(8)
    parts = [noise(rng, transients=False).waveform, noise(rng, transients=False).waveform]
    record = earthquake(rng, distance_km=30, snr_db=40, p_arrival_sample=2000)
    path = tmp_path / "stream.hdf5"
    with h5py.File(path, "w") as file:
        made = np.concatenate([parts[0], record.waveform, parts[1]])
        file["XX/SYN/0"] = made.astype(np.float32)
        file["XX/SYN/0"].attrs.update(network="XX", station="SYN", sampling_rate_hz=100.0)
    return index_continuous(path).records, 8000


def test_an_earthquake_is_announced_and_confirmed(continuous):
    """By the shipped model: one announcement, which stays."""
    records, _ = continuous
    made = run_hop_by_hop(open_picker("leqnet_gru_float32"), records, WaveformCache(0), (0.3, 0.5))
    assert made.announced.sum(axis=0).tolist() == [1, 1]
    assert made.unconfirmed.sum() == 0
    assert made.seconds.sum() == pytest.approx(110.01)


def test_who_cries_at_every_end_is_found_out(continuous):
    """A network that always picks a second before the end announces on and on, for nothing."""

    def predict(windows):
        answer = np.zeros((len(windows), 6000, 3), np.float32)
        answer[:, 5900, 1] = 0.9
        return answer

    crier = Picker("crier", "", (ModelSpec("crier", "leqnet-gru"),), predict)
    made = run_hop_by_hop(crier, continuous[0], WaveformCache(0), (0.3,))
    assert made.announced.sum() > 50
    assert np.array_equal(made.unconfirmed, made.announced)
