"""Samples are dated within milliseconds though lines delay, crystals drift and clocks step."""

import numpy as np
import pytest
from eqedge.edge.dating.arrivals import (
    Arrival,
    HostClock,
    host_synchronised,
)
from eqedge.edge.dating.replayed import ReplayClock, SimClock, replayed_ns
from eqedge.edge.types import NANOSECONDS
from hypothesis import given, settings
from hypothesis import strategies as st

RATE = 100.0
CHUNK = 25
DELAY_S = 0.004
"""What the line costs at least; no clock at this end can know it."""
UTC_NS = 1_790_000_000 * NANOSECONDS
HOUR_NS = 3600 * NANOSECONDS


class Sensor:
    """Samples on a crystal that is `ppm` fast, delivered with jitter, on a host whose UTC steps."""

    def __init__(self, *, ppm=0.0, jitter_s=0.005, seed=0):
        self.clock = HostClock(RATE)
        self.next_sample = 0
        self.utc_less_monotonic_ns = UTC_NS
        self.stalled_s = 0.0
        self._period = 1 / RATE / (1 + ppm * 1e-6)
        self._jitter_s = jitter_s
        self._rng = np.random.default_rng(seed)

    def taken_ns(self, sample):
        """Monotonic time at which a sample was really taken."""
        return round((sample * self._period + self.stalled_s) * NANOSECONDS)

    def run(self, seconds, late_s=0.0, arrive_at_s=None):
        """Deliver so much data, every block `late_s` late, or all of it at once."""
        errors = []
        for _ in range(round(seconds * RATE / CHUNK)):
            self.next_sample += CHUNK
            delay = DELAY_S + late_s + float(self._rng.exponential(self._jitter_s))
            at = self.taken_ns(self.next_sample) + round(delay * NANOSECONDS)
            if arrive_at_s is not None:
                at = round(arrive_at_s * NANOSECONDS)
            arrival = Arrival(at, at + self.utc_less_monotonic_ns)
            self.clock.observe(self.next_sample, arrival)
            errors.append(self.error_s())
        return np.array(errors)

    def error_s(self):
        """The clock's date of the newest sample, less the truth."""
        truth = self.taken_ns(self.next_sample) + self.utc_less_monotonic_ns
        return (self.clock.time_ns(self.next_sample) - truth) / NANOSECONDS


@pytest.mark.parametrize("ppm", [-100.0, 0.0, 100.0])
def test_drift_of_100_ppm_is_followed(ppm):
    """Over hours on a bad crystal the newest sample is dated within a few milliseconds."""
    sensor = Sensor(ppm=ppm)
    sensor.run(60)
    errors = sensor.run(3 * 3600)
    assert np.abs(errors - DELAY_S).max() < 0.005
    assert sensor.clock.state.error_s < 0.01


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(-300, 300), st.sampled_from([0.0, 0.002, 0.02, 0.1]))
def test_jitter_is_taken_off(seed, ppm, jitter_s):
    """The dates are far steadier than the arrivals they come from."""
    sensor = Sensor(ppm=ppm, jitter_s=jitter_s, seed=seed)
    sensor.run(120)
    errors = sensor.run(300)
    assert np.abs(errors - DELAY_S).max() < 0.005 + jitter_s / 2


@pytest.mark.parametrize("step_ns", [-HOUR_NS, HOUR_NS])
def test_a_step_of_an_hour_moves_the_dates_at_once(step_ns):
    """After NTP set the clock, samples carry the new time, and the fit is none the worse."""
    sensor = Sensor(ppm=50)
    sensor.run(300)
    sensor.utc_less_monotonic_ns += step_ns
    errors = sensor.run(300)
    assert np.abs(errors - DELAY_S).max() < 0.005


def test_a_start_in_1970_is_redated_when_the_time_comes():
    """Before NTP the dates are 1970's; after it also samples from before are dated right."""
    sensor = Sensor()
    sensor.utc_less_monotonic_ns = 0
    sensor.run(120)
    early = sensor.next_sample
    assert sensor.clock.time_ns(early) < HOUR_NS
    sensor.utc_less_monotonic_ns = UTC_NS
    sensor.run(1)
    truth = sensor.taken_ns(early) + UTC_NS
    assert abs(sensor.clock.time_ns(early) - truth) < 10_000_000


def test_a_slewed_clock_is_followed():
    """NTP turning UTC by 500 ppm drags the dates along."""
    sensor = Sensor()
    sensor.run(120)
    errors = []
    for _ in range(600):
        sensor.utc_less_monotonic_ns += 500_000
        errors.append(sensor.run(1)[-1])
    assert np.abs(np.array(errors) - DELAY_S).max() < 0.01


def test_a_burst_after_an_outage_is_no_new_time():
    """A line that stalls for half a minute and then delivers all at once disturbs no date."""
    sensor = Sensor()
    sensor.run(300)
    end_s = (sensor.next_sample + 30 * RATE) / RATE
    errors = sensor.run(30, arrive_at_s=end_s)
    assert np.abs(errors - DELAY_S).max() < 0.005
    assert np.abs(sensor.run(300) - DELAY_S).max() < 0.005


def test_one_late_block_moves_nothing():
    """Also as the first of its bucket, where nothing earlier is there to outweigh it."""
    sensor = Sensor(jitter_s=0.001)
    sensor.run(100)
    late = sensor.run(CHUNK / RATE, late_s=0.8)
    assert abs(late[0] - DELAY_S) < 0.005
    assert sensor.clock.state.offset_s == pytest.approx(0.8, abs=0.02)


def test_a_counter_that_skips_ahead_begins_a_new_line():
    """Blocks cannot come before their samples were taken."""
    sensor = Sensor()
    sensor.run(300)
    sensor.next_sample += 100_000
    sensor.stalled_s = -1000.0
    errors = sensor.run(300)
    assert np.abs(errors - DELAY_S).max() < 0.05
    assert np.abs(errors[400:] - DELAY_S).max() < 0.005


def test_a_counter_that_stood_still_begins_a_new_line():
    """A sensor that lost a minute without counting it is on time again soon after."""
    sensor = Sensor()
    sensor.run(300)
    sensor.stalled_s = 60.0
    sensor.run(15)
    assert np.abs(sensor.run(300) - DELAY_S).max() < 0.05


def test_blocks_out_of_order_teach_nothing():
    """A repeated block's arrival changes no date."""
    sensor = Sensor(jitter_s=0.0)
    sensor.run(300)
    before = sensor.clock.time_ns(0)
    late = Arrival(sensor.taken_ns(sensor.next_sample) + HOUR_NS, UTC_NS)
    sensor.clock.observe(
        100, Arrival(late.monotonic_ns, late.monotonic_ns + sensor.utc_less_monotonic_ns)
    )
    assert sensor.clock.time_ns(0) == before


@pytest.mark.parametrize(
    ("ppm", "factor"), [(0, 1.0), (5000, 1.005), (-5000, 0.995), (1e8, 1.0), (-9e5, 1.0)]
)
def test_the_rate_is_the_crystals_unless_no_crystal_could_have_it(ppm, factor):
    """A replay a hundred times faster than life is no sensor's rate: it stays nominal."""
    sensor = Sensor(ppm=ppm, jitter_s=0.0002)
    sensor.run(300)
    assert sensor.clock.rate_factor == pytest.approx(factor, abs=2e-5)


def test_state_names_the_source():
    """A host clock reports whether the kernel is synchronised, a recording always is."""
    sensor = Sensor()
    sensor.run(10)
    assert sensor.clock.state.source == "host"
    assert sensor.clock.state.synced == host_synchronised()
    sim = SimClock(5, RATE)
    assert (sim.state.source, sim.state.synced) == ("sim", True)
    assert sim.time_ns(150) == 5 + 1_500_000_000


def test_a_replay_runs_as_much_faster():
    """Played 200 times too fast, samples lie in the recording's own time; two clocks agree."""
    utc_ns, speed = 1_790_000_000 * NANOSECONDS, 200.0
    one, other = ReplayClock(RATE, speed), ReplayClock(RATE, speed)
    for packet in range(1, 4001):
        at = round(packet * CHUNK / RATE / speed * NANOSECONDS)
        one.observe(packet * CHUNK, Arrival(at, utc_ns + at))
        if packet > 2000:  # started later, with a count of its own
            other.observe((packet - 2000) * CHUNK, Arrival(at, utc_ns + at))
    last = 4000 * CHUNK
    assert one.time_ns(last) - one.time_ns(last - 6000) == pytest.approx(60e9, abs=1e6)
    played = round(last / RATE / speed * NANOSECONDS)
    assert one.time_ns(last) == pytest.approx(replayed_ns(utc_ns + played, speed), abs=1e6)
    assert other.time_ns(2000 * CHUNK) == pytest.approx(one.time_ns(last), abs=1e6)
    assert one.state.error_s < 0.01
