"""Other rates become the model's: same time, same shape, whatever the portions."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from eqedge.edge.resample import PASS_SHARE, STOP_SHARE, RateError, Resampler, polyphase
from eqedge.edge.types import NANOSECONDS, Block, ClockState
from hypothesis import given, settings
from hypothesis import strategies as st

WANTED = 100.0
SIM = ClockState("sim", True)
RATES = [50.0, 62.5, 80.0, 125.0, 128.0, 200.0, 250.0, 500.0]


def block(samples, rate, first=0, segment=1):
    """Return a block of one curve on all components, dated by its sample numbers."""
    start = round(first * NANOSECONDS / rate)
    three = np.repeat(np.asarray(samples, dtype=np.float32)[:, None], 3, axis=1)
    return Block(first, start, three, SIM, rate_hz=rate, segment=segment)


def resampled(blocks, wanted=WANTED):
    """Return all blocks that come out."""
    resampler = Resampler(wanted)
    out = [one for each in blocks for one in resampler.push(each)]
    return out + list(resampler.close())


def joined(blocks):
    """Return (number of the first sample, samples) of blocks that follow each other."""
    for one, after in itertools.pairwise(blocks):
        assert after.first_sample == one.first_sample + len(one.samples)
    return blocks[0].first_sample, np.concatenate([one.samples for one in blocks])


def sine(frequency, rate, seconds=20.0, phase=0.3):
    """Return a sine of height 1000."""
    return 1000 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate + phase)


@settings(deadline=None)
@given(
    rate=st.sampled_from(RATES),
    seed=st.integers(0, 99),
    first=st.sampled_from([0, 1, 7, 1_000_003]),
    portions=st.lists(st.sampled_from([1, 2, 3, 25, 61, 255]), min_size=1, max_size=30),
)
def test_what_comes_out_does_not_depend_on_the_portions(rate, seed, first, portions):
    """Any chunking gives the same samples to the last bit, with the same numbers and times."""
    portions = [*portions, 30]  # a new sample lies in them for certain
    x = np.random.default_rng(seed).normal(0, 1e5, sum(portions)).astype(np.float32)
    edges = np.cumsum([0, *portions])
    whole = joined(resampled([block(x, rate, first)]))
    parts = resampled(block(x[a:b], rate, first + int(a)) for a, b in itertools.pairwise(edges))
    number, samples = joined(parts)
    assert number == whole[0]
    assert samples.tobytes() == whole[1].tobytes()
    for one in parts:
        true_ns = one.first_sample * NANOSECONDS / WANTED
        assert abs(one.start_time_ns - true_ns) <= 2


@pytest.mark.parametrize("rate", RATES)
def test_a_segment_stays_as_long_as_it_was(rate):
    """Nothing is lost at either end: as many seconds come out as went in."""
    _, samples = joined(resampled([block(np.arange(1237), rate, first=13)]))
    assert abs(len(samples) / WANTED - 1237 / rate) <= 1 / WANTED


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("frequency", [1.0, 7.3, 15.0])
def test_time_is_kept_to_a_tenth_of_a_millisecond(rate, frequency):
    """A sine comes out with the phase that it has at the new samples' own times."""
    _, samples = joined(resampled([block(sine(frequency, rate), rate)]))
    inner = samples[200:-200, 0]
    at = 2j * np.pi * frequency * np.arange(200, 200 + len(inner)) / WANTED
    turned = np.angle(np.exp(-at) @ inner.astype(np.float64) / np.exp(1j * (0.3 - np.pi / 2)))
    assert abs(turned) / (2 * np.pi * frequency) < 1e-4


@pytest.mark.parametrize("rate", RATES)
def test_an_impulse_stays_where_it_was(rate):
    """Its centre of gravity lies within a tenth of a millisecond of the sample it was."""
    x = np.zeros(round(8 * rate))
    at = round(4.03 * rate)
    x[at] = 1e6
    _, samples = joined(resampled([block(x, rate)]))
    curve = samples[:, 0].astype(np.float64)
    centre = curve @ np.arange(len(curve)) / curve.sum() / WANTED
    assert abs(centre - at / rate) < 1e-4


@pytest.mark.parametrize("rate", RATES)
def test_the_band_passes_flat(rate):
    """Below four tenths of the lower rate a sine keeps its height to a tenth of a percent."""
    lower = min(rate, WANTED)
    for share in (0.01, 0.1, 0.2, 0.3, 0.99 * PASS_SHARE):
        frequency = share * lower
        _, samples = joined(resampled([block(sine(frequency, rate), rate)]))
        inner = samples[300:-300, 0].astype(np.float64)
        turn = 2 * np.pi * frequency * np.arange(len(inner)) / WANTED
        parts, *_ = np.linalg.lstsq(np.stack([np.cos(turn), np.sin(turn)], axis=1), inner)
        assert np.hypot(*parts) == pytest.approx(1000, rel=1e-3)


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate > WANTED])
def test_what_would_fold_back_is_gone(rate):
    """From six tenths of the new rate on a sine is 78 dB down or more."""
    for frequency in np.linspace(1.02 * STOP_SHARE * WANTED, 0.49 * rate, 5):
        _, samples = joined(resampled([block(sine(frequency, rate), rate)]))
        assert np.abs(samples[300:-300]).max() < 1000 * 10 ** (-78 / 20)


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate < WANTED])
def test_no_image_appears_above_the_old_band(rate):
    """More samples than there were bring no frequency that was not there."""
    frequency = 0.3 * rate
    _, samples = joined(resampled([block(sine(frequency, rate, 40.96), rate)]))
    inner = samples[-3 * 1024 : -1024, 0] * np.blackman(2048)
    spectrum = np.abs(np.fft.rfft(inner))
    above = np.fft.rfftfreq(2048, 1 / WANTED) > STOP_SHARE * rate
    assert spectrum[above].max() < spectrum.max() * 10 ** (-78 / 20)


@pytest.mark.parametrize("rate", RATES)
def test_a_constant_stays_that_constant(rate):
    """Whatever the place between two samples: an offset of the converter brings no ripple."""
    _, samples = joined(resampled([block(np.full(700, 8_000_000), rate)]))
    assert (samples == 8_000_000).all()


@pytest.mark.parametrize("rate", RATES)
def test_the_wait_is_an_eighth_of_a_second(rate):
    """So much of 100 Hz, more at lower rates: 12.6 samples of the lower rate at most."""
    resampler = Resampler(WANTED)
    x = np.zeros(round(4 * rate))
    known = sum(len(one.samples) for one in resampler.push(block(x, rate))) / WANTED
    assert len(x) / rate - known <= 12.6 / min(rate, WANTED) + 1 / rate


def test_a_gap_begins_anew():
    """Nothing of the segment before reaches into the next, whose numbers are its own."""
    loud, quiet = np.full(500, 1e6), np.zeros(500)
    blocks = resampled([block(loud, 250.0), block(quiet, 250.0, first=9000, segment=2)])
    first = [one for one in blocks if one.segment == 1]
    second = [one for one in blocks if one.segment == 2]
    assert (joined(first)[1] == 1e6).all()
    number, samples = joined(second)
    assert number == 3600
    assert (samples == 0).all()


def test_the_models_own_rate_goes_through_untouched():
    """Also where a nominal 100 Hz is not exactly that."""
    one = block(np.arange(100), 100.05)
    assert list(Resampler(WANTED).push(one)) == [one]


def test_components_stay_apart():
    """Each is filtered by itself."""
    one = block(np.zeros(500), 200.0)
    three = replace(one, samples=np.stack([sine(3, 200, 2.5), np.zeros(400 + 100), np.ones(500)]).T)
    _, samples = joined(resampled([three]))
    assert np.abs(samples[:, 0]).max() > 990
    assert (samples[:, 1] == 0).all()
    assert (samples[:, 2] == 1).all()


@pytest.mark.parametrize("rate", [0.001, 19.0, 62.501, 2001.0, 10_000.0])
def test_rates_that_lead_nowhere_are_refused(rate):
    """With the rates that do."""
    with pytest.raises(RateError, match=r"cannot be turned into the model's 100 Hz; .* 62\.5"):
        polyphase(rate, WANTED)


@given(st.integers(20_000, 2_000_000))
def test_any_rate_is_resampled_or_refused(millihertz):
    """Nothing else comes out, and what is kept of a filter is bounded."""
    try:
        filters = polyphase(millihertz / 1000, WANTED)
    except RateError:
        return
    assert Fraction(filters.up, filters.down) == Fraction(100_000, millihertz)
    assert filters.taps.size <= 2000 * 2 * 260
    np.testing.assert_allclose(filters.taps.sum(axis=1), 1.0)
