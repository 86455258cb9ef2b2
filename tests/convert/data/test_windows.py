import h5py
import numpy as np
import pytest
from eqedge.convert.data.indexing import index_continuous, index_stead
from eqedge.convert.data.records import CONTINUOUS_SAMPLES
from eqedge.convert.data.waveforms import WaveformCache
from eqedge.convert.data.windows import cuts

from tests.support.labelled import write_stead


def cut(records, **changes):
    """All windows of some records."""
    facts = {"seed": 1, "draws": 2, "ages": (100, 500)} | changes
    return list(cuts(records, WaveformCache(budget_bytes=0), **facts))


@pytest.mark.parametrize("p", [20, 900, 5600, 5990])
def test_windows_are_whole_and_hold_their_p(tmp_path, p):
    """Wherever P lies in the record: 60 s of it, with the label at the sample it marks."""
    path = write_stead(tmp_path / "late.hdf5", n_events=1, n_noise=0)
    with h5py.File(path, "a") as file:
        next(iter(file["data"].values())).attrs.update(p_arrival_sample=p, s_arrival_sample="")
    record = index_stead(path).records[0]
    windows = cut([record])
    assert {window.use for window in windows} >= {"event"}
    waveform = WaveformCache(0).read(record)
    for window in windows:
        assert window.samples.shape == (6000, 3)
        if window.use == "event":
            assert np.array_equal(window.samples[window.labels.p_arrival_sample], waveform[p])
        if window.use == "onset":
            assert window.age in (100, 500) and window.first + 6000 <= record.n_samples


def test_an_onset_window_ends_at_its_age(stead_file):
    """The last sample is the one so long after P."""
    record = next(r for r in index_stead(stead_file).records if r.kind == "event")
    waveform = WaveformCache(0).read(record)
    onsets = [window for window in cut([record]) if window.use == "onset"]
    assert [window.age for window in onsets] == [100, 500]
    for window in onsets:
        assert np.array_equal(
            window.samples[-1], waveform[record.p_arrival_sample + window.age - 1]
        )


def test_onsets_of_some_events_only(stead_file):
    """A cap draws that many, the same for the same seed, and leaves the other windows alone."""
    records = index_stead(stead_file).records
    few, again, every = (cut(records, onset_events=n) for n in (2, 2, None))
    of_few = {window.record for window in few if window.use == "onset"}
    assert len(of_few) == 2
    assert of_few == {window.record for window in again if window.use == "onset"}
    firsts = [[w.first for w in windows if w.use == "event"] for windows in (few, every)]
    assert firsts[0] == firsts[1]


def test_a_continuous_record_is_noise_from_end_to_end(tmp_path):
    """Every sample but the rest at the end is in one window, also across two stretches."""
    path = tmp_path / "quiet.hdf5"
    n = CONTINUOUS_SAMPLES + 13_000
    ramp = np.arange(n, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    with h5py.File(path, "w") as file:
        file["NET/STA/start"] = ramp
        file["NET/STA/start"].attrs.update(network="CX", station="PB01", sampling_rate_hz=100.0)
    windows = cut(index_continuous(path).records)
    starts = sorted(window.record.first + window.first for window in windows)
    assert {window.use for window in windows} == {"noise"}
    assert starts == list(range(0, n - 5999, 6000))
