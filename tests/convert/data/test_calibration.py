"""Windows from STEAD-layout files, and files that cannot calibrate anything."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from eqedge.convert.data.calibration import (
    EVERY_THIRD,
    HELD_OUT,
    MIN_TRACES,
    CalibrationError,
    load_windows,
)
from eqedge.convert.data.windows import crop, cut_windows
from eqedge.edge.replay.stead import SteadError, SteadFile, Trace
from eqedge.models.spec import ModelSpec

from tests.convert.conftest import write_records

SPEC = ModelSpec("x", "leqnet-gru")


def trace(length, arrival):
    """Return a record whose samples are their own numbers."""
    waveform = np.repeat(np.arange(length, dtype=np.float32)[:, None], 3, axis=1)
    return Trace("t", waveform, 100.0, None, {}, p_arrival_sample=arrival)


@pytest.mark.parametrize("length", [6000, 9001, 5000, 20_000])
@pytest.mark.parametrize("arrival", [700.0, 3000.0, 4800.0])
def test_every_crop_shows_the_arrival(rng, length, arrival):
    """Wherever the window falls, it holds the P arrival and is no longer than a window."""
    seen = set()
    for _ in range(60):
        samples = trace(length, arrival).waveform[crop(trace(length, arrival), 6000, rng)]
        assert len(samples) <= 6000
        assert samples[0, 0] <= arrival <= samples[-1, 0]
        seen.add(arrival - samples[0, 0])
    assert len(seen) > 10, "the arrival is not always at the same place"


def test_windows_are_the_device_s_own(records):
    """Windows are prepared, of the network's shape, and split by trace."""
    data = load_windows([records], SPEC)
    assert data.calibrate.windows.shape[1:] == (6000, 3)
    assert (data.calibrate.traces, data.verify.traces) == (14, 8)
    assert data.verify.is_noise.any() and not data.verify.is_noise.all()
    means, deviations = data.calibrate.windows.mean(1), data.calibrate.windows.std(1)
    # a piece shorter than the window is mirrored, and its mirror image weighs its parts unevenly
    whole = np.abs(deviations - 1).max(axis=1) < 1e-4
    assert whole.sum() > 20, "enough windows are whole for a judgement"
    np.testing.assert_allclose(means[whole], 0, atol=1e-4)
    np.testing.assert_allclose(means, 0, atol=0.15)
    np.testing.assert_allclose(deviations, 1, atol=0.5)


def test_the_same_seed_gives_the_same_windows(records):
    """Conversion can be repeated."""
    first, second = (load_windows([records], SPEC, seed=4).calibrate.windows for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_component_order_is_the_network_s(records):
    """A network that takes Z first gets Z first."""
    spec = ModelSpec("x", "leqnet-gru", component_order="ZNE")
    expected = load_windows([records], SPEC).calibrate.windows[..., [2, 1, 0]]
    found = load_windows([records], spec).calibrate.windows
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_too_few_traces(tmp_path):
    """The message gives both numbers."""
    path = write_records(tmp_path / "few.hdf5", 3, 0)
    with pytest.raises(CalibrationError, match=rf"3 usable traces, at least {MIN_TRACES}"):
        load_windows([path], SPEC)


def test_all_noise(tmp_path):
    """Noise alone never shows the ranges of an earthquake."""
    path = write_records(tmp_path / "noise.hdf5", 0, 14)
    with pytest.raises(CalibrationError, match="0 of 14 traces hold an earthquake"):
        load_windows([path], SPEC)


def test_records_of_another_rate_are_resampled(tmp_path):
    """As a node does; a rate that cannot be is named by the first record of it."""
    path = write_records(tmp_path / "slow.hdf5", 12, 2, rate_hz=50.0)
    data = load_windows([path], SPEC)
    assert data.skipped == 0 and data.calibrate.windows.shape[1:] == (6000, 3)
    path = write_records(tmp_path / "odd.hdf5", 12, 2, rate_hz=10.0)
    with pytest.raises(CalibrationError, match=r"0 usable traces.*10 Hz cannot be turned into"):
        load_windows([path], SPEC)


def test_nan_and_wrong_shapes_are_skipped_and_counted(tmp_path):
    """A few bad traces do not spoil a file; a file of nothing else is refused."""
    path = write_records(tmp_path / "mixed.hdf5", 14, 4)
    with h5py.File(path, "a") as file:
        for number, name in enumerate(list(file["data"])):
            if number < 2:
                file["data"][name][5, 1] = np.nan
        file["data"].create_dataset("flat", data=np.zeros((6000, 2), np.float32))
    data = load_windows([path], SPEC)
    assert data.skipped == 3
    with h5py.File(path, "a") as file:
        for name in file["data"]:
            file["data"][name][5, 1] = np.nan
    with pytest.raises(CalibrationError, match=r"0 usable traces.*NaN"):
        load_windows([path], SPEC)


def test_a_missing_file(tmp_path):
    """The reader's own line reaches the user."""
    with pytest.raises(SteadError, match="no such file"):
        load_windows([tmp_path / "none.hdf5"], SPEC)


def stations(numbers):
    """Return the stations of some of the fixture's records."""
    return [f"SYN{number:03d}.XX" for number in numbers]


def test_held_out_stations_are_verified_on(records):
    """What training has not seen is verified on, whole and alone; the rest calibrates."""
    held_out = stations([0, 1, 2, 3, 4, 5, 6, 16, 17, 18])
    data = load_windows([records], SPEC, held_out=held_out)
    assert (data.calibrate.traces, data.verify.traces) == (12, 10)
    assert data.verified_on == HELD_OUT


def test_too_few_held_out_stations_are_reported(records):
    """Then every third trace is verified on, and the card has the reason."""
    data = load_windows([records], SPEC, held_out=stations([0, 1, 2]))
    assert data.verify.traces == 8
    assert data.verified_on == f"{EVERY_THIRD}; 3 are of stations held out of training, too few"


def test_what_comes_before_p_is_noise_too(records):
    """Beside the file's own noise there are windows that end before the P of an event."""
    with SteadFile(records) as file:
        traces = [file.read(name) for name in file]
    late = replace(traces[0], p_arrival_sample=4000.0)
    some = cut_windows([late, traces[-1]], 4, SPEC, np.random.default_rng(0), quiet=9)
    assert len(some.windows) == 5 and traces[-1].is_noise
    assert some.is_noise.tolist() == [False, True, False, True, True]
    assert some.labels[-1] is None, "a mirrored piece cannot be scored"
    assert cut_windows([late], 1, SPEC, np.random.default_rng(0)).is_noise.tolist() == [False]


def test_labels_move_with_the_window(rng):
    """A label stands where the window has it, and is gone where the window ends before it."""
    long = replace(trace(9000, 3000.0), s_arrival_sample=3900.0)
    long.waveform[:] = rng.standard_normal((9000, 3))
    long.waveform[3000] = 1e4
    some = cut_windows([long], 8, SPEC, rng)
    assert len(some.windows) == 8
    for window, labels in zip(some.windows, some.labels, strict=True):
        assert labels is not None and not labels.is_noise
        p = int(window[:, 0].argmax())
        assert labels.p_arrival_sample == p
        assert labels.s_arrival_sample == (p + 900 if p + 900 < 6000 else None)
