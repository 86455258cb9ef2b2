import multiprocessing

import h5py
import numpy as np
import pytest
from eqedge.convert.data.example import onsets
from eqedge.convert.data.indexing import index_continuous, index_stead
from eqedge.convert.data.records import DataError
from eqedge.convert.data.teacher_labels import TeacherLabels
from eqedge.convert.data.waveforms import Unusable
from eqedge.convert.training.library import Library
from eqedge.convert.training.options import AugmentOptions
from eqedge.convert.training.sampling import Mixture, Sampler
from eqedge.convert.training.stream import StreamError, StreamSettings, batches
from eqedge.edge.prepare import prepare
from eqedge.edge.replay.synthetic import earthquake
from eqedge.models.spec import ModelSpec

SPEC = ModelSpec("leqnet_gru", "leqnet-gru")
EVENTS_ONLY = Mixture(
    event_share=1.0, continuous_share=0, noise_share=0, synthetic_event_share=0,
    augment=AugmentOptions(
        add_event_r=0, add_noise_r=0, add_gap_r=0, drop_channel_r=0, scale_amplitude_r=0,
        rotate_r=0, stretch_r=0, sensor_r=0, glitch_r=0, gain_step_r=0, clip_r=0,
    ),
)  # fmt: skip


def library(path):
    """All records of a file, held-out ones too."""
    return Library(index_stead(path).records, {})


def test_windows_are_prepared_as_on_the_device(stead_file):
    """A window goes through edge.prepare itself: preparing it again changes nothing."""
    windows, _ = Sampler(library(stead_file), SPEC, Mixture()).batch(0, 0, 8)
    assert windows.shape == (8, 6000, 3) and windows.dtype == np.float32
    for window in windows:
        assert np.allclose(prepare(window, SPEC), window, atol=2e-5)


def test_p_lies_anywhere_in_the_window(stead_file):
    """From the first second to the last one, as a live window has it."""
    sampler = Sampler(library(stead_file), SPEC, EVENTS_ONLY)
    _, targets = sampler.batch(0, 0, 200)
    at = targets[:, :, 1].argmax(1)
    assert at.min() < 1500 and at.max() > 5900
    assert 0.02 < (at > 5700).mean() < 0.2


def test_targets_sit_on_the_onset(stead_file):
    """Where the target says P, the waveform rises: before it there is only noise."""
    windows, targets = Sampler(library(stead_file), SPEC, EVENTS_ONLY).batch(1, 0, 60)
    checked = 0
    for window, target in zip(windows, targets, strict=True):
        p = int(target[:, 1].argmax())
        if 600 < p < 5700:
            before, after = window[p - 500 : p - 3], window[p : p + 200]
            assert (
                np.abs(after - before.mean(0)).max() > 2.5 * np.abs(before - before.mean(0)).std()
            )
            checked += 1
    assert checked > 20


def test_batches_depend_on_seed_and_number_alone(stead_file):
    """The same number gives the same batch whatever was drawn before; another seed another."""
    fresh, used = (Sampler(library(stead_file), SPEC, Mixture()) for _ in range(2))
    used.batch(5, 0, 4)
    assert np.array_equal(fresh.batch(5, 1, 4)[0], used.batch(5, 1, 4)[0])
    assert not np.array_equal(fresh.batch(5, 1, 4)[0], fresh.batch(6, 1, 4)[0])


def test_workers_make_the_same_batches_in_order(stead_file):
    """Two processes give what none gives, and end when the stream is closed."""
    records = index_stead(stead_file).records
    settings = StreamSettings(3, 2, Mixture(), SPEC)
    alone = batches(records, {}, settings, first=4, workers=0)
    shared = batches(records, {}, settings, first=4, workers=2)
    try:
        for _ in range(4):
            (x, y), (u, v) = next(alone), next(shared)
            assert np.array_equal(x, u)
            assert np.array_equal(y, v)
    finally:
        shared.close()
    assert not multiprocessing.active_children()


def test_a_worker_that_fails_is_reported(tmp_path):
    """An error in the other process ends the stream with a reason, not in silence."""
    settings = StreamSettings(3, 2, Mixture(), SPEC)
    with pytest.raises(StreamError, match="--resume"):
        next(batches([], {}, settings, first=0, workers=1))


def test_held_out_stations_never_reach_training(stead_file):
    """The records that training draws from are of no held-out station."""
    index = index_stead(stead_file)
    held = {r.station for r in index.held_out()}
    assert held, "the fixture has stations on both sides"
    kept = index.training()
    assert kept and not {r.station for r in kept} & held


def test_events_and_quiet_of_a_continuous_record(tmp_path):
    """A teacher's picks make events, and where it found nothing is noise."""
    rng = np.random.default_rng(2)
    long = np.concatenate([earthquake(rng, n_samples=12_000, p_arrival_sample=8000).waveform] * 2)
    path = tmp_path / "c.hdf5"
    with h5py.File(path, "w") as file:
        file["a"] = long
        file["a"].attrs.update(network="AA", station="BBB")
    records = index_continuous(path).records
    detection = np.zeros(2400, np.float32)
    detection[800:1100] = 1.0
    answer = TeacherLabels(onsets((8000, 0.9)), onsets(), detection)
    made = Library(records, {(records[0].path, records[0].key): [answer]})
    assert [spot.sample for spot in made.found] == [8000]
    assert all(not spot.sample < 8000 < spot.sample + 6000 for spot in made.quiet)
    assert len(made.quiet) > 0


def test_data_without_an_earthquake_is_refused(stead_file):
    """Noise alone cannot be trained on, and the message says what to add."""
    noise = [r for r in index_stead(stead_file).records if r.kind == "noise"]
    with pytest.raises(DataError, match="labelled records or a teacher"):
        Library(noise, {})


def test_unreadable_records_are_passed_over(stead_file):
    """A record full of NaN among good ones costs nothing but itself."""
    with h5py.File(stead_file, "a") as file:
        next(iter(file["data"].values()))[...] = np.nan
    made = library(stead_file)
    windows, _ = Sampler(made, SPEC, EVENTS_ONLY).batch(0, 0, 30)
    assert np.isfinite(windows).all()
    assert made.unusable.counts() == {"NaN or infinite samples": 1}


@pytest.mark.parametrize("workers", [0, 2])
def test_what_workers_cannot_read_is_reported_here(stead_file, workers):
    """Each record once, by file and name, whichever process met it; what is drawn goes on."""
    records = index_stead(stead_file).records
    bad = [r.dataset for r in records if r.kind == "event"][:2]
    with h5py.File(stead_file, "a") as file:
        file[bad[0]][...] = np.nan
        attributes = dict(file[bad[1]].attrs)
        del file[bad[1]]
        file[bad[1]] = np.full((6000, 3), "text", "S4")
        file[bad[1]].attrs.update(attributes)
    lines = []
    settings = StreamSettings(3, 8, EVENTS_ONLY, SPEC)
    stream = batches(records, {}, settings, 0, workers, Unusable(lines.append))
    assert all(np.isfinite(next(stream)[0]).all() for _ in range(4))
    stream.close()
    assert sorted(line.split(": ")[0] for line in lines) == [
        f"skipped small.hdf5 {name}" for name in sorted(bad)
    ]
