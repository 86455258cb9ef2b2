"""The stream is cut into the same windows however it came, and every sample lies in one."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from eqedge.edge.dating.arrivals import Arrival
from eqedge.edge.gaps import SILENCE_NS, GapPolicy
from eqedge.edge.settings.node import WindowSettings
from eqedge.edge.settings.validation import SettingsError
from eqedge.edge.types import NANOSECONDS, Block, ClockState
from eqedge.edge.windows import Ring, Windower
from hypothesis import given
from hypothesis import strategies as st

SIM = ClockState("sim", True)
RATE = 10.0
LENGTH = 60
FILL = 5  # samples, 0.5 s


def counts(first, n):
    """Return samples that are their own number, component by component."""
    number = np.arange(first, first + n, dtype=np.float32)
    return np.stack([number, -number, 2 * number], axis=1)


def block(first, n, **more):
    """Return a block dated by the record's own time."""
    start = round(first * NANOSECONDS / RATE)
    return Block(first, start, counts(first, n), SIM, rate_hz=RATE, **more)


def cut(blocks, hop_seconds=1.0, length=LENGTH, **more):
    """Return (windows with their samples copied, counts) of a whole stream."""
    settings = WindowSettings(hop_seconds, fill_seconds=FILL / RATE, **more)
    gaps, windower = GapPolicy(settings), Windower(length, RATE, settings)
    windows = []
    for one in blocks:
        for contiguous in gaps.push(one):
            windows += [replace(w, samples=w.samples.copy()) for w in windower.push(contiguous)]
    windows += [replace(w, samples=w.samples.copy()) for w in windower.close()]
    return windows, gaps.counts


def essence(windows):
    """Return what a window means, whatever it was made of."""
    return [
        (w.first_sample, w.start_time_ns, w.segment, w.closes_segment, w.samples.tobytes())
        for w in windows
    ]


@st.composite
def runs(draw):
    """Draw [(first, n)]: stretches of samples with gaps short and long between them."""
    stretches, at = [], draw(st.integers(0, 50))
    for _ in range(draw(st.integers(1, 4))):
        n = draw(st.integers(1, 200))
        stretches.append((at, n))
        at += n + draw(st.sampled_from([0, 1, FILL, FILL + 1, 30, 500]))
    return stretches


@st.composite
def chunks(draw, stretches):
    """Draw one way to portion the stretches into blocks."""
    blocks = []
    for first, n in stretches:
        at = 0
        while at < n:
            size = min(draw(st.sampled_from([1, 3, 7, 25, 60, 61, 200])), n - at)
            blocks.append(block(first + at, size))
            at += size
    return blocks


HOPS = st.sampled_from([0.1, 0.7, 1.0, 2.5, 6.0])
WARM_UPS = st.sampled_from([None, 1.0, 3.5, 6.0, 9.0])
BUFFERS = st.sampled_from([12.0, 13.7, 240.0])


@given(st.data(), runs(), HOPS, WARM_UPS, BUFFERS)
def test_windows_do_not_depend_on_the_portions(data, stretches, hop, warm_up, buffer):
    """Any chunking of the same samples, gaps included, gives the same windows byte for byte."""
    policy = {"warm_up_seconds": warm_up}
    whole, _ = cut([block(first, n) for first, n in stretches], hop, **policy)
    portioned, _ = cut(data.draw(chunks(stretches)), hop, buffer_seconds=buffer, **policy)
    assert essence(portioned) == essence(whole)


@given(st.data(), runs())
def test_repeated_blocks_change_nothing(data, stretches):
    """Blocks that come again, whole or in part, are dropped and counted."""
    blocks = data.draw(chunks(stretches))
    repeated = []
    for one in blocks:
        repeated.append(one)
        again = data.draw(st.integers(0, len(one.samples)))
        if again:
            repeated.append(block(one.first_sample + len(one.samples) - again, again))
    windows, counted = cut(repeated)
    assert essence(windows) == essence(cut(blocks)[0])
    extra = sum(len(b.samples) for b in repeated) - sum(len(b.samples) for b in blocks)
    assert counted.samples_late == extra
    assert counted.samples == sum(n for _, n in stretches)


@given(runs(), HOPS, WARM_UPS)
def test_every_sample_lies_in_a_window(stretches, hop, warm_up):
    """From the first sample of a stretch to its last, also where it is shorter than a window."""
    windows, _ = cut([block(first, n) for first, n in stretches], hop, warm_up_seconds=warm_up)
    covered = {s for w in windows for s in range(w.first_sample, w.end_sample)}
    assert {s for first, n in stretches for s in range(first, first + n)} <= covered


@given(runs(), WARM_UPS)
def test_no_window_lies_across_a_gap_that_was_not_filled(stretches, warm_up):
    """Within a window the samples' own numbers go on without a jump."""
    windows, counted = cut([block(first, n) for first, n in stretches], warm_up_seconds=warm_up)
    for w in windows:
        np.testing.assert_allclose(
            w.samples[:, 0], np.arange(w.first_sample, w.end_sample), rtol=1e-5
        )
    long_gaps = sum(second[0] - sum(first) > FILL for first, second in pairwise(stretches))
    assert counted.gaps == long_gaps
    assert len({w.segment for w in windows}) == long_gaps + 1
    assert [w.closes_segment for w in windows].count(True) == long_gaps + 1


@given(st.integers(1, 200), st.integers(0, 60), st.integers(1, 200))
def test_samples_lost_are_counted(before, gap, after):
    """Filled or not, what did not come is counted."""
    _, counted = cut([block(0, before), block(before + gap, after)])
    assert counted.samples == before + after
    assert counted.samples_lost == gap
    assert counted.gaps_filled == (0 < gap <= FILL)


def test_a_short_gap_is_bridged_by_a_straight_line():
    """Between the samples on either side, component by component."""
    windows, _ = cut([block(0, 58), block(60, 2)])
    np.testing.assert_allclose(windows[0].samples, counts(0, 60))


def test_a_block_out_of_order_is_left_out():
    """What comes after its successor is late: its place has been bridged, nothing is moved."""
    windows, counted = cut([block(0, 50), block(53, 47), block(50, 3)])
    assert counted.samples_late == 3
    assert counted.gaps_filled == 1
    np.testing.assert_allclose(windows[-1].samples, counts(40, 60))


def test_the_first_window_is_the_first_whole_one():
    """It ends with sample `length`, whatever the hop; then one follows every hop."""
    windows, _ = cut([block(3, 100)], hop_seconds=0.7)
    assert [w.first_sample for w in windows[:3]] == [3, 10, 17]


def test_a_segment_that_need_not_fill_a_window_is_seen_sooner():
    """With a warm-up of two seconds windows begin there, and are as long as the segment."""
    windows, _ = cut([block(0, 100)], warm_up_seconds=2.0)
    assert [(w.first_sample, w.end_sample) for w in windows[:3]] == [(0, 20), (0, 30), (0, 40)]
    assert [(w.first_sample, w.end_sample) for w in windows[4:7]] == [(0, 60), (10, 70), (20, 80)]


def test_another_rate_begins_a_new_segment():
    """A sensor that was set to another rate has nothing in common with what came before."""
    gaps = GapPolicy(WindowSettings())
    (before,) = gaps.push(block(0, 50))
    (after,) = gaps.push(replace(block(50, 50), rate_hz=2 * RATE))
    assert (before.segment, after.segment) == (1, 2)
    assert gaps.counts.seconds == 50 / RATE + 50 / (2 * RATE)


LONG_AFTER = Arrival(SILENCE_NS + 1, 0)
"""The blocks here were received at 0."""


@given(runs(), st.integers(0, 4), st.sampled_from([0, 1, FILL, FILL + 1, 300]))
def test_a_silence_ends_the_segment_at_once(stretches, repeats, lost):
    """Its last window comes without waiting for the stream; what follows begins anew, once."""
    settings = WindowSettings(fill_seconds=FILL / RATE)
    gaps, windower = GapPolicy(settings), Windower(LENGTH, RATE, settings)
    assert list(gaps.wait(LONG_AFTER)) == []
    for first, n in stretches:
        for one in gaps.push(block(first, n)):
            list(windower.push(one))
    assert list(gaps.wait(Arrival(SILENCE_NS, 0))) == []
    end, last = first + n, 1 + gaps.counts.gaps
    quiet = [
        (w.end_sample, w.closes_segment, w.segment)
        for _ in range(1 + repeats)
        for b in gaps.wait(LONG_AFTER)
        for w in windower.push(b)
    ]
    assert quiet == [(end, True, last)]
    after = [b for b in gaps.push(block(end + lost, 100))]
    windows = [(w.first_sample, w.segment) for b in after for w in windower.push(b)]
    assert all(first >= end and segment > last for first, segment in windows)
    assert windows


def test_a_window_is_dated_and_flagged_by_its_newest_block():
    """So that a sensor that lost a component is known at once."""
    windower = Windower(LENGTH, RATE, WindowSettings())
    list(windower.push(block(0, 59)))
    (window,) = windower.push(block(59, 1, degraded="no E component", received_ns=7))
    assert (window.degraded, window.received_ns) == ("no E component", 7)
    assert window.start_time_ns == 0
    assert window.time_ns(59) == round(59 * NANOSECONDS / RATE)


def test_a_hop_longer_than_the_window_is_refused():
    """It would leave samples unseen."""
    with pytest.raises(SettingsError, match=r"hop 7 s .* window of 6 s"):
        Windower(LENGTH, RATE, WindowSettings(hop_seconds=7.0))


def test_a_buffer_shorter_than_two_windows_is_refused():
    """The newest window could not be moved in it; what would do is named."""
    with pytest.raises(SettingsError, match=r"buffer_seconds 10: .* use 12 or more"):
        Windower(LENGTH, RATE, WindowSettings(buffer_seconds=10.0))


@given(st.integers(1, 9), st.integers(0, 20), st.lists(st.integers(0, 9), max_size=40))
def test_ring_equals_a_list(capacity, spare, portions):
    """The newest rows read back are the newest rows written, for any sequence of writes."""
    ring, written = Ring(capacity, 2 * capacity + spare), counts(0, 0)
    for size in portions:
        rows = counts(len(written), min(size, capacity))
        ring.write(rows)
        written = np.concatenate([written, rows])
        assert len(ring) == min(len(written), capacity)
        for length in range(len(ring) + 1):
            expected = written[len(written) - length :]
            np.testing.assert_array_equal(ring.newest(length), expected)


def test_ring_gives_a_view_and_forgets():
    """Reading copies nothing; cleared, there is nothing to read."""
    ring = Ring(5, 20)
    ring.write(counts(0, 4))
    assert np.shares_memory(ring.newest(2), ring.newest(3))
    ring.clear()
    assert len(ring) == 0
    assert len(ring.newest(0)) == 0
