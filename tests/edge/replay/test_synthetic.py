import numpy as np
import pytest
from eqedge.edge.replay.synthetic import NOISE_LEVEL, earthquake, noise


def level(waveform):
    """Root mean square, each component's mean taken away."""
    return float(np.sqrt(((waveform - waveform.mean(0)) ** 2).mean()))


@pytest.mark.parametrize("make", [earthquake, noise])
def test_same_seed_same_record(make):
    """A record depends on its generator only."""
    first, second = (make(np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first.waveform, second.waveform)
    assert first.waveform.dtype == np.float32 and first.waveform.shape == (6000, 3)
    assert np.isfinite(first.waveform).all()


def test_noise_has_its_level_and_no_labels():
    """Noise has the stated root mean square and no arrival."""
    record = noise(np.random.default_rng(1))
    assert level(record.waveform) == pytest.approx(NOISE_LEVEL, rel=0.02)
    assert record.p_arrival_sample is None and record.s_arrival_sample is None


@pytest.mark.parametrize("seed", range(10))
def test_nothing_moves_before_p(seed):
    """Wavelets are causal: up to P the record is what it would be without the event."""
    record = earthquake(np.random.default_rng(seed), p_arrival_sample=3000, snr_db=50)
    before = level(record.waveform[:2995])
    assert level(record.waveform[3000:]) > 2 * before


@pytest.mark.parametrize("seed", range(5))
def test_s_follows_p_by_the_distance(seed):
    """S minus P is the distance over about 8 km/s, the usual rule."""
    record = earthquake(np.random.default_rng(seed), distance_km=80, p_arrival_sample=500)
    seconds = (record.s_arrival_sample - record.p_arrival_sample) / 100
    assert 80 / seconds == pytest.approx(8.2, rel=0.2)


def test_larger_events_are_slower():
    """A larger magnitude has a lower corner frequency, so fewer zero crossings after S."""
    crossings = []
    for magnitude in (1.0, 4.5):
        count = 0
        for seed in range(8):
            record = earthquake(
                np.random.default_rng(seed), distance_km=15, magnitude=magnitude, snr_db=70
            )
            s = record.s_arrival_sample
            east = record.waveform[s : s + 300, 0]
            count += int((np.diff(np.sign(east)) != 0).sum())
        crossings.append(count)
    assert crossings[1] < 0.7 * crossings[0]


def test_p_is_vertical_and_s_is_horizontal():
    """Most of P's motion is on Z, most of S's on E and N."""
    p_on_z, s_on_z = [], []
    for seed in range(20):
        record = earthquake(np.random.default_rng(seed), distance_km=60, snr_db=60)
        x = record.waveform.astype(float) ** 2
        p, s = record.p_arrival_sample, record.s_arrival_sample
        p_on_z.append(x[p : p + 100, 2].sum() / x[p : p + 100].sum())
        s_on_z.append(x[s : s + 100, 2].sum() / x[s : s + 100].sum())
    assert np.median(p_on_z) > 0.55
    assert np.median(s_on_z) < 0.25


def test_snr_is_what_was_asked_for():
    """Peak over noise, in decibels, on the strongest component."""
    record = earthquake(np.random.default_rng(3), snr_db=40, p_arrival_sample=3000, distance_km=20)
    quiet = np.sqrt((record.waveform[:2900] ** 2).mean(0)).max()
    assert 20 * np.log10(np.abs(record.waveform).max() / quiet) == pytest.approx(40, abs=3)


def test_coda_ends_inside_the_record():
    """The coda's end comes after S and within the record."""
    for seed in range(20):
        record = earthquake(np.random.default_rng(seed), distance_km=20)
        assert record.s_arrival_sample < record.coda_end_sample < 6000


def test_s_may_lie_past_the_end():
    """A record cut right after P has no S in it and still its time."""
    record = earthquake(np.random.default_rng(0), p_arrival_sample=5900, distance_km=100)
    assert record.s_arrival_sample > 6000
    assert record.waveform.shape == (6000, 3)


@pytest.mark.parametrize("n_samples", [3000, 30_000])
def test_other_lengths_and_rates(n_samples):
    """Length and rate are the caller's."""
    record = earthquake(np.random.default_rng(0), n_samples=n_samples, rate_hz=50.0)
    assert record.waveform.shape == (n_samples, 3) and record.rate_hz == 50.0
