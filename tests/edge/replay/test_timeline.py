"""Traces of any level lie on one timeline that a station could have delivered."""

import numpy as np
import pytest
from eqedge.edge.replay.stead import Trace
from eqedge.edge.replay.synthetic import earthquake, noise
from eqedge.edge.replay.timeline import MAX_COUNTS, NOISE_COUNTS, Timeline
from hypothesis import given, settings
from hypothesis import strategies as st

RATE = 100.0


def trace(waveform, name="t_EV", p=None, s=None):
    """Return a trace with these labels."""
    return Trace(
        name=name,
        waveform=np.asarray(waveform, dtype=np.float32),
        rate_hz=RATE,
        kind="noise" if name.endswith("NO") else "event",
        start_time_ns=None,
        p_arrival_sample=p,
        s_arrival_sample=s,
        coda_end_sample=None,
        attributes={},
    )


def quake(seed, gain=1.0, offset=0.0, **options):
    """Return a synthetic earthquake as delivered by some digitiser."""
    record = earthquake(np.random.default_rng(seed), **options)
    waveform = record.waveform * gain + offset
    s = record.s_arrival_sample
    return trace(
        waveform,
        f"q{seed}_EV",
        float(record.p_arrival_sample),
        float(s) if s < len(waveform) else None,
    )


def quiet(seed, gain=1.0, offset=0.0):
    """Return station noise without transients."""
    record = noise(np.random.default_rng(seed), transients=False)
    return trace(record.waveform * gain + offset, f"n{seed}_NO")


def played(traces, spacing=10.0, lead=5.0, seed=0, **options):
    """Return (counts, timeline) of the whole."""
    options = {"spacing_seconds": spacing, "lead_seconds": lead, "tail_seconds": 5.0, **options}
    timeline = Timeline(traces, RATE, seed=seed, **options)
    return np.concatenate(list(timeline.stretches())), timeline


def joins(timeline):
    """Return the sample numbers at which a trace begins or ends."""
    return sorted(
        {
            edge
            for placed in timeline.placements
            for edge in (placed.first_sample, placed.end_sample)
        }
    )


SCALES = st.sampled_from([1e-9, 1e-3, 1.0, 3000.0])
OFFSETS = st.sampled_from([0.0, 1e4, -3e5])


@settings(deadline=None, max_examples=20)
@given(st.data(), st.integers(0, 1000), st.integers(1, 4))
def test_no_join_is_a_step(data, seed, count):
    """From sample to sample nothing moves more at a join than in the signal beside it."""
    traces = []
    for index in range(count):
        make = data.draw(st.sampled_from([quake, quiet]))
        gain = data.draw(SCALES)
        traces.append(make(seed + index, gain, data.draw(OFFSETS) * gain))
    counts, timeline = played(traces, seed=seed)
    for join in joins(timeline):
        near = np.abs(np.diff(counts[join - 400 : join + 400], axis=0)).max(axis=0)
        here = np.abs(np.diff(counts[join - 2 : join + 2], axis=0)).max(axis=0)
        beside = np.abs(np.diff(counts[join - 400 : join - 10], axis=0)).max(axis=0)
        beyond = np.abs(np.diff(counts[join + 10 : join + 400], axis=0)).max(axis=0)
        assert (here <= near).all()
        assert (here <= 1.5 * np.maximum(beside, beyond) + 1).all(), join


@settings(deadline=None, max_examples=20)
@given(st.data(), st.integers(0, 1000))
def test_noise_is_equally_loud_everywhere(data, seed):
    """Above 1 Hz every 4 s between and before events has the level of the timeline."""
    traces = [
        quiet(seed + index, gain, data.draw(OFFSETS) * gain)
        for index, gain in enumerate(data.draw(st.lists(SCALES, min_size=1, max_size=3)))
    ]
    counts, _ = played(traces, seed=seed)
    pieces = counts[: len(counts) // 400 * 400].reshape(-1, 400, 3)
    spectrum = np.fft.rfft(pieces * np.hanning(400)[:, None], axis=1)
    above = np.fft.rfftfreq(400, 1 / RATE) >= 1.5  # the window smears the sea over half a hertz
    level = np.sqrt((np.abs(spectrum[:, above]) ** 2).sum(axis=1))
    assert (level.max(axis=0) < 3 * np.median(level, axis=0)).all()
    assert (level.min(axis=0) > np.median(level, axis=0) / 3).all()
    assert 0.5 * NOISE_COUNTS < np.median(counts.std(axis=0)) < 20 * NOISE_COUNTS


def test_a_strong_coda_dies_away():
    """A trace that ends in the middle of its event is followed by neither silence nor a jump."""
    rng = np.random.default_rng(1)
    waveform = rng.standard_normal((6000, 3))
    waveform[3000:] *= 300
    counts, timeline = played([trace(waveform, p=3000.0), quiet(3)], spacing=30.0)
    end = timeline.placements[0].end_sample
    loudness = counts[end - 100 : end + 2900].reshape(-1, 100, 3).std(axis=1).mean(axis=1)
    assert loudness[1] > 0.5 * loudness[0]
    assert loudness[1:].max() < 1.5 * loudness[0]
    assert loudness[15] < 0.1 * loudness[0]
    assert loudness[-1] < 3 * NOISE_COUNTS


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(300, 3000), min_size=1, max_size=4), st.integers(0, 99))
def test_labels_lie_where_the_samples_are(lengths, seed):
    """A mark in the waveform is found on the timeline at the label's place, and located back."""
    traces = []
    for index, length in enumerate(lengths):
        waveform = np.random.default_rng(seed + index).standard_normal((length, 3))
        p = length - 100
        waveform[p] = 1e4
        traces.append(trace(waveform, f"t{index}_EV", float(p)))
    counts, timeline = played(traces)
    assert [placed.trace_name for placed in timeline.placements] == [t.name for t in traces]
    for placed, one in zip(timeline.placements, traces, strict=True):
        assert placed.end_sample - placed.first_sample == len(one.waveform)
        inside = counts[placed.first_sample : placed.end_sample, 2]
        assert placed.first_sample + int(np.argmax(inside)) == placed.p_arrival_sample
        p = int(one.p_arrival_sample)
        assert timeline.locate(int(placed.p_arrival_sample)) == (one.name, p)
        assert timeline.locate(placed.lead_sample)[1] == placed.lead_sample - placed.first_sample
    assert timeline.locate(len(counts) - 1)[0] == traces[-1].name
    assert timeline.locate(-1) is None


def test_a_trace_is_played_as_it_is():
    """Only its level and offset change: the shape of the waveform stays."""
    one = quake(4, gain=1e-6, offset=3e-4)
    counts, timeline = played([one])
    placed = timeline.placements[0]
    inside = counts[placed.first_sample : placed.end_sample].astype(float)
    for column in range(3):
        fit = np.polynomial.Polynomial.fit(
            one.waveform[:, column].astype(float), inside[:, column], 1
        )
        assert np.abs(fit(one.waveform[:, column].astype(float)) - inside[:, column]).max() < 1.0


@pytest.mark.parametrize("spacing", [0.01, 1.0, 600.0])
def test_spacing_lead_and_tail_have_their_lengths(spacing):
    """The timeline's length is the sum of its parts."""
    counts, timeline = played([quake(1), quake(2)], spacing=spacing, lead=7.0)
    assert len(counts) == 700 + 6000 + round(spacing * RATE) + 6000 + 500
    assert timeline.placements[0].first_sample == 700
    assert timeline.placements[1].lead_sample == 6700


def test_the_seed_decides_the_noise():
    """The same seed gives the same counts."""
    first, second, other = (played([quake(1)], seed=seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_no_traces_make_no_timeline():
    """There is nothing to play."""
    timeline = Timeline([], RATE, spacing_seconds=1, lead_seconds=1)
    assert list(timeline.stretches()) == []
    assert timeline.locate(0) is None


@pytest.mark.parametrize("length", [2, 3, 30, 99, 101])
@pytest.mark.parametrize("p", [None, 0.0, 1.0])
def test_traces_shorter_than_a_second(length, p):
    """They are played like others, wherever their labels are."""
    waveform = np.random.default_rng(length).standard_normal((length, 3))
    counts, _ = played([trace(waveform, p=p), trace(waveform, p=p)])
    assert len(counts) == 500 + length + 1000 + length + 500
    assert np.isfinite(counts).all()


def test_traces_without_noise_are_played():
    """Zeros before P, a component without motion, a level that no float of counts could carry."""
    waveform = np.zeros((1000, 3))
    waveform[500:, :2] = np.random.default_rng(0).standard_normal((500, 2)) * 1e30
    counts, _ = played([trace(waveform, p=500.0), trace(waveform * 1e-30, p=500.0)])
    assert np.abs(counts).max() <= MAX_COUNTS
    assert (counts[:, 2] == 0).all()
    assert counts[:, 0].any()


@pytest.mark.parametrize(("factor", "is_kept"), [(0.001, True), (1000.0, True), (0.2, False)])
def test_a_component_far_from_the_others_remains_so(factor, is_kept):
    """One that is dead or badly scaled must be found as in live data; others are made equal."""
    one = quake(5)
    one.waveform[:, 1] *= factor
    counts, _ = played([one], lead=30.0)
    e, n, z = (float(np.diff(counts[:2000, column]).std()) for column in range(3))
    assert e / 3 < z < e * 3
    expected = factor * e if is_kept else e
    assert expected / 3 < n < expected * 3
