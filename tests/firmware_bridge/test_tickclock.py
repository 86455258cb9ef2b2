"""Ticks to host time: drift, wraps, slow answers, outages."""

import numpy as np
import pytest
from eqedge.firmware_bridge.packets import TimeReply
from eqedge.firmware_bridge.tickclock import TickClock

TICK_HZ = 1_000_000


class Device:
    """A tick that runs ``ppm`` fast and stood at ``start`` at host time 1000 s."""

    def __init__(self, ppm=0.0, start=0, seed=1):
        self.rate = TICK_HZ * (1 + ppm * 1e-6)
        self.start = start
        self.rng = np.random.default_rng(seed)

    def tick(self, host):
        """The wrapped tick at a host time."""
        return round(self.start + (host - 1000.0) * self.rate) % 2**32

    def answer(self, clock, host, slowest=0.004, held=0.0):
        """One round trip: there and back take 1 ms to ``slowest`` each, on their own."""
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
    """The offset's error is bounded by the line's share, whatever the device held the answer."""
    clock, device = TickClock(TICK_HZ), Device()
    device.answer(clock, 1000.0, held=0.5)
    assert abs(device.error(clock, 1000.2)) <= clock.quickest_seconds / 2 + 1e-6
    assert clock.quickest_seconds < 0.0081


@pytest.mark.parametrize("ppm", [-200.0, 0.0, 200.0])
def test_drift_is_measured_and_followed(ppm):
    """Two minutes tell the crystal within its stated error; dates stay within 2 ms."""
    clock, device = TickClock(TICK_HZ), Device(ppm)
    for second in range(120):
        device.answer(clock, 1000.0 + second)
    assert clock.drift_ppm == pytest.approx(ppm, abs=clock.drift_error_ppm)
    assert clock.drift_error_ppm < 40
    assert max(abs(device.error(clock, h)) for h in (1000.0, 1060.0, 1119.0, 1150.0)) < 0.002


def test_slow_answers_are_not_believed():
    """Most answers half a second late, always on the way back: the few quick ones decide."""
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
    """Answers that always take long on one way only: off by half the quickest trip at most."""
    clock, device = TickClock(TICK_HZ), Device(30.0)
    rng = np.random.default_rng(seed)
    for second in range(60):
        host = 1000.0 + second
        there, back = 0.001, rng.uniform(0.010, 0.030)
        tick = device.tick(host + there)
        clock.note(TimeReply(1, tick, tick), host, host + there + back)
    assert abs(device.error(clock, 1059.0)) < clock.quickest_seconds / 2 + 2e-4


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
    """Only the latest answers are kept."""
    clock, device = TickClock(TICK_HZ, trips=50), Device()
    for second in range(500):
        device.answer(clock, 1000.0 + second)
    assert clock.span_seconds == pytest.approx(49.0, abs=0.1)
