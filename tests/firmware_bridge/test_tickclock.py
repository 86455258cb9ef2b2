"""Ticks to host time: drift, wraps, slow replies, outages."""

import numpy as np
import pytest
from eqedge.firmware_bridge.packets import TimeReply
from eqedge.firmware_bridge.tickclock import TickClock
from hypothesis import given, settings
from hypothesis import strategies as st

TICK_HZ = 1_000_000
MINUTE = 22
"""Of what `followed` finds: so much is of the first minute."""


class Device:
    """A tick that runs `ppm` fast and stood at `start` at host time 1000 s."""

    def __init__(self, ppm=0.0, start=0, seed=1):
        self.rate = TICK_HZ * (1 + ppm * 1e-6)
        self.start = start
        self.rng = np.random.default_rng(seed)

    def tick(self, host):
        """The wrapped tick at a host time."""
        return round(self.start + (host - 1000.0) * self.rate) % 2**32

    def answer(self, clock, host, slowest=0.004, held=0.0):
        """One round trip: there and back take 1 ms to `slowest` each, on their own."""
        there, back = self.rng.uniform(0.001, slowest, 2)
        received = host + there
        reply = TimeReply(1, self.tick(received), self.tick(received + held))
        clock.note(reply, host, received + held + back)

    def error(self, clock, host):
        """How far off the clock dates the tick of a host time."""
        return clock.host_seconds(self.tick(host)) - host


def test_nothing_is_known_before_the_first_answer():
    """No date, no drift, the nominal rate."""
    clock = TickClock(TICK_HZ)
    assert clock.host_seconds(5) is None and clock.drift_ppm is None
    assert clock.ticks_per_second == TICK_HZ and clock.quickest_seconds is None


def test_one_answer_dates_within_half_a_round_trip():
    """The time on the line bounds the error, however long the device holds the reply."""
    clock, device = TickClock(TICK_HZ), Device()
    device.answer(clock, 1000.0, held=0.5)
    assert abs(device.error(clock, 1000.2)) <= clock.quickest_seconds / 2 + 1e-6
    assert clock.quickest_seconds < 0.0081


@pytest.mark.parametrize("ppm", [-200.0, 0.0, 200.0])
def test_drift_is_measured_and_followed(ppm):
    """Two minutes give the crystal's rate within its stated error; dates stay within 2 ms."""
    clock, device = TickClock(TICK_HZ, trips=600), Device(ppm)
    for second in range(120):
        device.answer(clock, 1000.0 + second)
    assert clock.drift_ppm == pytest.approx(ppm, abs=clock.drift_error_ppm)
    assert clock.drift_error_ppm < 40
    assert max(abs(device.error(clock, h)) for h in (1000.0, 1060.0, 1119.0, 1150.0)) < 0.002


def test_slow_answers_are_not_believed():
    """Most replies half a second late, always on the way back: the few quick ones decide."""
    clock, device = TickClock(TICK_HZ), Device(50.0)
    for second in range(200):
        host = 1000.0 + second
        if second % 7 == 0:
            device.answer(clock, host)
        else:
            clock.note(TimeReply(1, device.tick(host), device.tick(host)), host, host + 0.5)
    assert abs(device.error(clock, 1199.0)) < 0.003
    assert clock.drift_ppm == pytest.approx(50.0, abs=30.0)


@pytest.mark.parametrize("seed", range(20))
def test_a_lopsided_line_does_not_draw_the_date(seed):
    """Replies that always take long on one way only: off by about half the quickest trip."""
    clock, device = TickClock(TICK_HZ), Device(30.0)
    rng = np.random.default_rng(seed)
    for second in range(60):
        host = 1000.0 + second
        there, back = 0.001, rng.uniform(0.010, 0.030)
        tick = device.tick(host + there)
        clock.note(TimeReply(1, tick, tick), host, host + there + back)
    error = abs(device.error(clock, 1059.0))
    assert error < clock.quickest_seconds / 2 + 1e-3
    assert error <= clock.error_seconds(device.tick(1059.0))


def test_the_tick_wraps_unnoticed():
    """A tick that wraps half way, and again after an outage of one and a half turns."""
    clock, device = TickClock(TICK_HZ), Device(100.0, start=2**32 - 30_000_000)
    for second in range(60):
        device.answer(clock, 1000.0 + second)
    assert abs(device.error(clock, 1059.0)) < 0.002
    later = 1060.0 + 1.5 * 2**32 / TICK_HZ
    for second in range(10):
        device.answer(clock, later + second)
    assert abs(device.error(clock, later + 9.0)) < 0.002
    assert clock.drift_ppm == pytest.approx(100.0, abs=2.0)


def test_memory_is_bounded():
    """Only the latest replies are kept."""
    clock, device = TickClock(TICK_HZ, trips=50), Device()
    for second in range(500):
        device.answer(clock, 1000.0 + second)
    assert clock.span_seconds == pytest.approx(49.0, abs=0.1)


class Wandering(Device):
    """A tick whose rate changes steadily, by `ramp` ppm an hour."""

    def __init__(self, ramp, ppm=0.0, seed=1):
        super().__init__(ppm, start=2**32 - 600_000_000, seed=seed)
        self.bend = ramp * 1e-6 / 3600

    def tick(self, host):
        """The wrapped tick at a host time."""
        passed = host - 1000.0
        return int(self.start + passed * self.rate + TICK_HZ * self.bend * passed**2 / 2) % 2**32


def followed(device, quickest, slowest, hours, outage=0):
    """Request as a node does, six times soon, then each 10 s; return (error, bound) before each."""
    clock, host, found = TickClock(TICK_HZ), 1000.0, []
    number = 0
    while host < 1000.0 + 3600 * hours:
        number += 1
        there, back = device.rng.uniform(quickest / 2, slowest / 2, 2)
        if not 120 <= number < 120 + outage:
            tick = device.tick(host + there)
            clock.note(TimeReply(number, tick, tick), host, host + there + back)
        host += 1.0 if number < 6 else 10.0
        for at in (host - 0.9, host):
            claimed = clock.error_seconds(device.tick(at))
            found.append((abs(device.error(clock, at)), claimed))
    return np.array(found)


@pytest.mark.parametrize("ramp", [5.0, -30.0, 60.0])
def test_a_crystal_that_wanders_is_followed(ramp):
    """Three hours of rising temperature: half a millisecond, and never more than stated."""
    found = followed(Wandering(ramp), 0.003, 0.003, hours=3)
    assert found[MINUTE:, 0].max() < 5e-4
    assert (found[:, 0] <= found[:, 1]).all()
    assert found[MINUTE:, 1].max() < 2.5e-3


def test_a_steady_crystal_is_dated_well_through_jitter():
    """Round trips of 2 to 20 ms: within 3 ms always, and usually within one."""
    found = followed(Device(50.0, seed=4), 0.002, 0.020, hours=3)
    assert found[MINUTE:, 0].max() < 3e-3
    assert np.sqrt((found[MINUTE:, 0] ** 2).mean()) < 1e-3


@settings(deadline=None, max_examples=60)
@given(
    ramp=st.floats(-100, 100),
    ppm=st.floats(-5000, 5000),
    quickest=st.sampled_from([0.0005, 0.003, 0.03]),
    jitter=st.sampled_from([0.0, 0.001, 0.02, 0.3]),
    outage=st.sampled_from([0, 20, 50]),
    seed=st.integers(0, 999),
)
def test_the_true_error_is_within_the_stated_one(ramp, ppm, quickest, jitter, outage, seed):
    """Whatever the crystal does up to 100 ppm an hour, however the line delays, from the start."""
    device = Wandering(ramp, ppm, seed)
    found = followed(device, quickest, quickest + jitter, hours=0.6, outage=outage)
    assert (found[:, 0] <= found[:, 1]).all()


def test_a_slew_of_the_hosts_clock_is_followed():
    """A line through before and after there is none: what came before is forgotten."""
    clock, before, after = TickClock(TICK_HZ), Device(), Device(500.0)
    for second in range(0, 600, 10):
        before.answer(clock, 1000.0 + second)
    after.start = (600.0 * before.rate) - 600.0 * after.rate
    for second in range(600, 800, 10):
        after.answer(clock, 1000.0 + second)
    error = abs(after.error(clock, 1795.0))
    assert error < 0.002
    assert error <= clock.error_seconds(after.tick(1795.0))
    assert clock.drift_ppm == pytest.approx(500.0, abs=clock.drift_error_ppm)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.sampled_from([0, 0.003, 30.0])
        ),
        min_size=1,
        max_size=20,
    )
)
def test_answers_without_sense_leave_a_rate(answers):
    """Whatever a broken sensor answers: a rate within a tenth of the nominal one, an error."""
    clock, taken = TickClock(TICK_HZ), 0
    for number, (received, held, line) in enumerate(answers):
        host = 1000.0 + 10 * number
        reply = TimeReply(number, received, (received + held) % 2**32)
        is_possible = held <= 1.1 * line * TICK_HZ + 2
        assert clock.note(reply, host, host + line) is is_possible
        taken += is_possible
        assert 0.9 * TICK_HZ < clock.ticks_per_second < TICK_HZ / 0.89
        if taken:
            assert np.isfinite(clock.host_seconds(received))
            assert clock.error_seconds(received) > 0
        else:
            assert clock.host_seconds(received) is None


@pytest.mark.parametrize("held", [-1, -5, -5_000, 2**31, 3_000_000, 50_000])
def test_an_answer_that_no_device_can_have_sent_changes_nothing(held):
    """Sent before the request came, or held longer than the round trip: dates stay as they were."""
    clock, device = TickClock(TICK_HZ), Device(20.0)
    for second in range(30):
        device.answer(clock, 1000.0 + second)
    before = clock.host_seconds(device.tick(1030.0)), clock.error_seconds(device.tick(1030.0))
    received = device.tick(1030.003)
    impossible = TimeReply(1, received, (received + held) % 2**32)
    assert not clock.note(impossible, 1030.0, 1030.006)
    assert before == (
        clock.host_seconds(device.tick(1030.0)),
        clock.error_seconds(device.tick(1030.0)),
    )
    assert abs(device.error(clock, 1030.0)) < before[1]
