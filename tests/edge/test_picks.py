"""Probability curves become peaks."""

from itertools import pairwise

import numpy as np
import pytest
from eqedge.edge.picks import find_peaks
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

CURVES = arrays(np.float32, st.integers(0, 80), elements=st.floats(0, 1, width=32))
THRESHOLDS = st.floats(0.0625, 0.9375, width=32)


@given(CURVES, THRESHOLDS)
def test_peaks_are_what_they_say(curve, threshold):
    """Each lies in its own stretch above half the threshold, at its top, in order of time."""
    peaks = find_peaks(curve, threshold, 1)
    ends = [0]
    for peak in peaks:
        assert peak.probability >= threshold
        assert peak.start_sample <= peak.sample < peak.end_sample
        stretch = curve[peak.start_sample : peak.end_sample]
        assert (stretch >= threshold / 2).all()
        assert peak.probability == stretch.max() == curve[peak.sample]
        assert peak.start_sample == 0 or curve[peak.start_sample - 1] < threshold / 2
        assert peak.end_sample == len(curve) or curve[peak.end_sample] < threshold / 2
        assert peak.start_sample >= ends[-1]
        ends.append(peak.end_sample)


@given(CURVES, THRESHOLDS)
def test_nothing_above_the_threshold_is_left_out(curve, threshold):
    """Every sample that reaches it belongs to a peak's stretch."""
    peaks = find_peaks(curve, threshold, 1)
    covered = {s for peak in peaks for s in range(peak.start_sample, peak.end_sample)}
    assert set(np.flatnonzero(curve >= threshold).tolist()) <= covered


@given(CURVES, THRESHOLDS, st.integers(1, 30))
def test_peaks_keep_their_distance(curve, threshold, separation):
    """Of two that are too near the higher one stays, and the highest of all always does."""
    peaks = find_peaks(curve, threshold, separation)
    samples = [peak.sample for peak in peaks]
    assert all(b - a >= separation for a, b in pairwise(samples))
    if (curve >= threshold).any():
        assert max(peak.probability for peak in peaks) == curve.max()


@pytest.mark.parametrize("length", [0, 1])
def test_curves_of_no_length(length):
    """There is a peak where there is a sample."""
    assert len(find_peaks(np.ones(length, dtype=np.float32), 0.5)) == length


def test_a_plateau_is_picked_in_its_middle():
    """Rounded to int8's 256 steps a bump has a flat top; its pick stays where the bump is."""
    n = np.arange(400)
    shifts = []
    for at in np.linspace(180.0, 220.0, 41):
        bump = 0.9 * np.exp(-0.5 * ((n - at) / 12.0) ** 2)
        coarse = (np.rint(bump * 16) / 16).astype(np.float32)
        (peak,) = find_peaks(coarse, 0.3)
        assert (coarse == coarse.max()).sum() > 3
        shifts.append(peak.sample - at)
    assert abs(np.mean(shifts)) < 0.3 and max(map(abs, shifts)) <= 1.0


def test_of_two_equal_tops_the_first_is_picked():
    """A plateau ends where the curve falls; an equal top further on is another one."""
    curve = np.full(100, 0.2, np.float32)
    curve[[40, 41, 42, 60]] = 0.5
    (peak,) = find_peaks(curve, 0.3)
    assert (peak.sample, peak.start_sample, peak.end_sample) == (41, 0, 100)
