"""A receiver's pulses date the ticks; which second it is, the host decides once."""

import numpy as np
import pytest
from eqedge.edge.dating.arrivals import Arrival, Ticked
from eqedge.edge.dating.pulses import STALE_SECONDS, STRIKES, PulseClock
from eqedge.edge.dating.ticks import TickDatedClock, TickRequests
from eqedge.firmware_bridge.dialogue import TimeReply
from eqedge.firmware_bridge.telemetry import Hello
from hypothesis import given
from hypothesis import strategies as st

HELLO = Hello("s", "f", 100.0, ("HHE", "HHN", "HHZ"), tick_hz=1_000_000)
BOOT = 1_790_000_000.25
"""True UTC of the sensor's tick 0."""
HOUR_NS = 3600 * 10**9


class Rig:
    """A sensor with a receiver, on a crystal that is off, with a host whose clock is off."""

    def __init__(self, *, ppm=0.0, host_off=0.0, synced=True, way=0.003, ramp=0.0):
        self.ppm, self.host_off, self.synced, self.way = ppm, host_off, synced, way
        self.bend = ramp * 1e-6 / 3600  # from ppm an hour
        self.pulses = True
        self.seconds = 5.0
        self._count, self._last = 0, 0.0
        self._number = 0
        self._requests = TickRequests()
        self._requests.begin()
        self.clock = TickDatedClock(HELLO, self._requests, lambda: self.synced)

    def tick(self, seconds):
        """Return the wrapping tick so many seconds after boot."""
        passed = seconds * (1 + self.ppm * 1e-6) + self.bend * seconds**2 / 2
        return round(passed * 1e6) & 0xFFFF_FFFF

    def arrival(self, seconds):
        """Return both of the host's clocks; its monotonic one began 500 s before the sensor."""
        return Arrival(round((seconds + 500) * 1e9), round((BOOT + seconds + self.host_off) * 1e9))

    def run(self, seconds, glitch=None):
        """Let time pass; a block each second, a question when due. Returns errors, seconds."""
        errors = []
        for _ in range(seconds):
            self.seconds += 1
            now = self.seconds
            if self._requests.due(self.arrival(now)):
                self._answer(now, glitch)
            first = round(now * 100)
            ticked = Ticked(first, self.tick(first / 100))
            self.clock.observe(first + 25, self.arrival(now + 0.3), ticked)
            errors.append(self.clock.time_ns(first) / 1e9 - (BOOT + first / 100))
        return np.array(errors)

    def _answer(self, now, glitch):
        self._number += 1
        if self.pulses:
            self._last = np.floor(BOOT + now) - BOOT
            self._count = self._count % 65535 + 1
        pps = self.tick(self._last if glitch is None else now - glitch(now))
        got = self.tick(now + self.way)
        reply = TimeReply(self._number, got, got, pps, self._count)
        self.clock.answer(reply, self.arrival(now + 1.5 * self.way))


@pytest.mark.parametrize("ppm", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("host_off", [-0.3, 0.0, 0.3])
def test_pulses_date_to_microseconds_whatever_the_host_is_off(ppm, host_off):
    """A host that is a third of a second wrong still decides the second; the pulses do the rest."""
    rig = Rig(ppm=ppm, host_off=host_off)
    rig.run(60)
    errors = rig.run(600)
    state = rig.clock.state
    assert (state.source, state.synced) == ("pps", True)
    assert np.abs(errors).max() < 50e-6
    assert 0 < state.error_s < 100e-6


def test_before_the_rate_is_known_the_error_is_larger():
    """With the first pulses a crystal 100 ppm off leaves a fraction of a millisecond."""
    rig = Rig(ppm=100.0)
    errors = rig.run(4)
    assert rig.clock.state.source == "pps"
    assert np.abs(errors[2:]).max() <= rig.clock.state.error_s < 0.002


@pytest.mark.parametrize("ramp", [-100.0, 60.0, 100.0])
def test_a_crystal_that_wanders_is_within_the_stated_error(ramp):
    """For half an hour of pulses, and until they are given up after the last."""
    rig = Rig(ppm=20.0, ramp=ramp)
    rig.run(30)
    for second in range(1800):
        rig.pulses = second < 1740
        assert abs(rig.run(1)[0]) <= rig.clock.state.error_s
        assert rig.clock.state.source == "pps" or second > 1740 + STALE_SECONDS - 10
        assert rig.clock.state.error_s < 70e-6 or second > 1740


def test_the_ticks_take_over_when_pulses_stop():
    """A receiver that lost the sky is believed for a minute, then the round trips date."""
    rig = Rig(ppm=50.0)
    rig.run(120)
    rig.pulses = False
    errors = rig.run(round(STALE_SECONDS) - 15)
    assert rig.clock.state.source == "pps"
    assert np.abs(errors).max() <= rig.clock.state.error_s
    errors = rig.run(60)
    assert rig.clock.state.source == "ticks"
    assert np.abs(errors).max() < 0.01
    rig.pulses = True
    rig.run(20)
    assert rig.clock.state.source == "pps"


def test_pulses_alone_name_no_second():
    """A host without network since 1970 cannot decide which second it is: unsynchronised."""
    rig = Rig(host_off=-BOOT, synced=False)
    rig.run(120)
    state = rig.clock.state
    assert (state.source, state.synced) == ("ticks", False)
    rig.host_off, rig.synced = 0.0, True
    errors = rig.run(60)
    assert rig.clock.state.source == "pps"
    assert abs(errors[-1]) < 50e-6


@pytest.mark.parametrize("step", [-3600.0, 3600.0, 0.5])
def test_a_step_of_the_host_that_lost_its_network_moves_nothing(step):
    """Once named, seconds are counted; UTC stays what it was, and is still synchronised."""
    rig = Rig()
    rig.run(120)
    rig.synced, rig.host_off = False, step
    errors = rig.run(300)
    assert np.abs(errors).max() < 50e-6
    assert rig.clock.state.synced


def test_a_wrong_second_is_corrected():
    """A host that was an hour wrong when it named the pulses, and then was set, is followed."""
    rig = Rig(host_off=3600.0)
    assert rig.run(60)[-1] == pytest.approx(3600, abs=0.001)
    rig.host_off = 0.0
    errors = rig.run(10 * (STRIKES + 4))
    assert abs(errors[-1]) < 50e-6
    assert rig.clock.state.source == "pps"


def test_pulses_that_are_noise_are_not_believed():
    """Edges at any time make no whole seconds: the round trips go on dating."""
    rng = np.random.default_rng(22)
    rig = Rig()
    errors = rig.run(1200, glitch=lambda now: float(rng.uniform(0.0, 1.0)))
    assert rig.clock.state.source == "ticks"
    assert np.abs(errors).max() < 0.01


def test_one_wrong_edge_is_left_out():
    """A spark between two pulses changes no date."""
    rig = Rig()
    rig.run(120)
    errors = rig.run(10, glitch=lambda now: 0.123)
    assert np.abs(errors).max() < 50e-6
    assert np.abs(rig.run(60)).max() < 50e-6


@given(st.integers(0, 2**32 - 1), st.floats(-150, 150), st.lists(st.integers(1, 300), min_size=3))
def test_any_pattern_of_pulses_is_counted_right(start, ppm, waits):
    """Through wraps of the tick, with answers at any distance, whatever the crystal."""
    clock, second, now = PulseClock(1e6), 1_790_000_000, 10**12
    passed, rate = 0, 1e6 * (1 + ppm * 1e-6)
    for number, wait in enumerate(waits, 1):
        passed += wait
        tick = start + round(passed * rate) & 0xFFFF_FFFF
        host_ns = (second + passed) * 10**9 + 200_000_000 if number == 1 else None
        clock.note(number, tick, host_ns, now + passed * 10**9)
    assert clock.fresh(now + passed * 10**9)
    assert clock.time_ns(tick) == (second + passed) * 10**9
    half = (tick + 500_000) & 0xFFFF_FFFF
    assert clock.time_ns(half) == pytest.approx((second + passed + 0.5) * 10**9, abs=80_000)
