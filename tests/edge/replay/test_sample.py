"""The sample file: STEAD's layout, seeded, never half-written."""

import h5py
import numpy as np
import pytest
from eqedge.edge.replay.sample import DEMO_FILE, SampleError, write_sample
from eqedge.edge.replay.stead import SteadFile


def test_the_same_seed_writes_the_same_traces(tmp_path):
    """Bit for bit, in names and samples; another seed writes others."""
    read = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        path = tmp_path / f"{name}.hdf5"
        write_sample(path, events=1, noise_traces=1, seed=seed)
        with SteadFile(path) as file:
            read.append({n: file.read(n).waveform for n in file.names})
    assert list(read[0]) == list(read[1])
    assert all(np.array_equal(read[0][n], read[1][n]) for n in read[0])
    assert not np.array_equal(next(iter(read[0].values())), next(iter(read[2].values())))


def test_its_layout_is_steads(tmp_path):
    """Our own reader finds labels in events and none in noise, as STEAD writes them."""
    path = tmp_path / "s.hdf5"
    names = write_sample(path, events=3, noise_traces=2, seed=4)
    with SteadFile(path) as file:
        traces = [file.read(name) for name in names]
        assert file.names == sorted(names)
    assert sum(t.is_noise for t in traces) == 2
    for t in traces:
        assert t.waveform.shape == (6000, 3)
        assert t.start_time_ns is not None
        assert t.name.endswith("_NO" if t.is_noise else "_EV")
        assert (t.p_arrival_sample is None) == t.is_noise
        if not t.is_noise:
            assert t.p_arrival_sample < t.s_arrival_sample <= t.coda_end_sample
    with h5py.File(path) as file:
        assert isinstance(file[f"data/{names[0]}"].attrs["trace_start_time"], str)


def test_the_embedded_sample_is_what_its_command_makes(tmp_path):
    """`eqedge sample demo.hdf5` with the defaults writes the file that lies in the package."""
    path = tmp_path / "demo.hdf5"
    write_sample(path, events=10, noise_traces=2, seed=22)
    with SteadFile(path) as made, SteadFile(DEMO_FILE) as embedded:
        assert made.names == embedded.names
        for name in made.names:
            ours, theirs = made.read(name), embedded.read(name)
            np.testing.assert_allclose(ours.waveform, theirs.waveform, atol=2)
            assert ours.p_arrival_sample == theirs.p_arrival_sample


@pytest.mark.parametrize("place", ["no/such/folder/s.hdf5", "file/s.hdf5", "folder"])
def test_a_place_that_cannot_be_written(tmp_path, place):
    """One line, and nothing is left behind."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SampleError, match=r"cannot write .*; give a file in a folder") as caught:
        write_sample(tmp_path / place, events=0, noise_traces=1, seed=0)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}
