import numpy as np
import pytest
from eqedge.convert.data.example import Example, onsets
from eqedge.convert.training import augment
from eqedge.convert.training.augment import add_event, add_noise, corrupt
from eqedge.convert.training.options import AugmentOptions
from eqedge.edge.replay.synthetic import earthquake, noise

EVERYTHING = AugmentOptions(
    add_gap_r=1.0, drop_channel_r=1.0, scale_amplitude_r=1.0, rotate_r=1.0, sensor_r=1.0,
    glitch_r=1.0, gain_step_r=1.0, clip_r=1.0,
)  # fmt: skip


def example(seed=0, p=2000, snr_db=45.0):
    """A synthetic earthquake with its onsets."""
    record = earthquake(
        np.random.default_rng(seed), distance_km=40, magnitude=2.0, snr_db=snr_db,
        p_arrival_sample=p,
    )  # fmt: skip
    return Example(
        record.waveform, onsets((p, 1)), onsets((record.s_arrival_sample, 1)),
        np.zeros(6000, np.float32),
    )  # fmt: skip


def onset_of(waveform):
    """First sample beyond a third of the peak, all components together."""
    power = np.abs(waveform - waveform.mean(0)).sum(1)
    return int(np.argmax(power > power.max() / 3))


@pytest.mark.parametrize(
    "change",
    [augment.respond, augment.rotate, augment.glitch, augment.step, augment.clip,
     augment.quantise, augment.gap, augment.drop_channel],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(5))
def test_each_change_keeps_shape_and_is_finite(change, seed):
    """Whatever a sensor or a line does, a window stays a window."""
    x = example().waveform
    before = x.copy()
    y = change(x, np.random.default_rng(seed))
    assert y.shape == x.shape
    assert np.isfinite(y).all()
    assert np.array_equal(x, before)


@pytest.mark.parametrize("seed", range(8))
def test_another_instrument_does_not_move_the_onset(seed):
    """Every response is causal: nothing rises before the arrival."""
    x = np.zeros((6000, 3), np.float32)
    x[3000:] = np.sin(np.arange(3000) * 0.5)[:, None]
    rng = np.random.default_rng(seed)
    felt = augment.respond(x, rng)
    # An accelerometer's own noise is there from the start; a signal before P would be larger.
    assert np.abs(felt[:2995]).max() < 0.7 * np.abs(felt).max()
    assert 2995 <= onset_of(felt) <= 3060


def test_labels_stay_with_the_onset_when_stretched():
    """A rate change moves samples and labels by the same factor."""
    whole = example(p=2000)
    stretched = whole.stretched(0.8, 6000)
    assert stretched.p[0, 0] == pytest.approx(2500, abs=1)
    assert abs(onset_of(stretched.waveform[:, 2:]) - onset_of(whole.waveform[:, 2:]) / 0.8) < 3


def test_labels_stay_with_the_onset_when_preceded():
    """Mirrored quiet before the record shifts both alike and holds no onset."""
    whole = example(p=2000)
    longer = whole.with_mirrored_lead(3000, quiet=1970)
    assert longer.p[0, 0] == 5000
    assert np.array_equal(longer.waveform[3000:], whole.waveform)
    assert np.abs(longer.waveform[:4900]).max() <= np.abs(whole.waveform[:1970]).max()


def test_noise_may_bury_an_onset():
    """Added noise never raises a height, and loud noise lowers it."""
    whole, loud = example(), noise(np.random.default_rng(1)).waveform
    heights = [
        h for k in range(40) for h in add_noise(whole, loud, np.random.default_rng(k)).p[:, 1]
    ]
    assert max(heights) == 1 and min(heights) < 0.7


def test_second_event_brings_its_labels():
    """Both events' onsets are there when neither hides the other."""
    first, second = example(0, p=500), example(1, p=4000)
    joined = add_event(first, second, np.random.default_rng(0))
    assert set(joined.p[:, 0]) == {500, 4000}
    assert joined.waveform.shape == (6000, 3)


def test_same_seed_same_window():
    """Augmentation draws from its generator and from nowhere else."""
    first, second = (corrupt(example(), np.random.default_rng(3), EVERYTHING) for _ in range(2))
    assert np.array_equal(first.waveform, second.waveform)


def test_corruption_leaves_labels_alone():
    """Sensor and line change samples, never labels."""
    whole = example()
    spoilt = corrupt(whole, np.random.default_rng(3), EVERYTHING)
    assert np.array_equal(spoilt.p, whole.p) and np.array_equal(spoilt.s, whole.s)
    assert not np.array_equal(spoilt.waveform, whole.waveform)
