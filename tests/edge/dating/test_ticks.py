"""Dates by the sensor's own ticks: requests, answers, and no answers."""

import numpy as np
import pytest
from eqedge.edge.assemble import Assembler
from eqedge.edge.dating.arrivals import Arrival, Ticked
from eqedge.edge.dating.spacing import SampleTicks
from eqedge.edge.dating.ticks import (
    STALE_SECONDS,
    UNANSWERED,
    TickDatedClock,
    TickRequests,
)
from eqedge.edge.gaps import GapPolicy
from eqedge.edge.resample import Resampler, same_rate
from eqedge.edge.settings.node import WindowSettings
from eqedge.edge.windows import Windower
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.dialogue import TimeReply, TimeRequest
from eqedge.firmware_bridge.packets import Samples
from eqedge.firmware_bridge.telemetry import Hello
from hypothesis import given, settings
from hypothesis import strategies as st

HELLO = Hello("s", "f", 100.0, ("HHE", "HHN", "HHZ"), tick_hz=1_000_000)
UTC_NS = 1_700_000_000_000_000_000
BOOT_SECONDS = 50.0
"""Host's monotonic time at the sensor's tick 0."""


def begun() -> TickRequests:
    """Return requests to a sensor that is known."""
    requests = TickRequests()
    requests.begin()
    return requests


def arrival(seconds: float) -> Arrival:
    """An arrival at a monotonic time on a host whose UTC is UTC_NS later."""
    return Arrival(round(seconds * 1e9), UTC_NS + round(seconds * 1e9))


def tick_at(seconds: float, ppm: float = 0.0) -> int:
    """The sensor's wrapping tick at a monotonic time of the host."""
    return round((seconds - BOOT_SECONDS) * 1e6 * (1 + ppm * 1e-6)) & 0xFFFF_FFFF


def exchange(
    requests: TickRequests, clock: TickDatedClock, at: float, way: float, ppm: float = 0.0
):
    """One round trip whose two ways take `way` seconds each."""
    (request,) = Decoder().feed(requests.due(arrival(at)))
    assert isinstance(request, TimeRequest)
    tick = tick_at(at + way, ppm)
    clock.answer(TimeReply(request.request_id, tick, tick), arrival(at + 2 * way))


def test_blocks_are_dated_by_ticks_whatever_their_delay():
    """Blocks that come 0.3 s late are dated to a millisecond once the sensor has answered."""
    requests = begun()
    clock = TickDatedClock(HELLO, requests)
    rng = np.random.default_rng(3)
    for second in range(120):
        taken = BOOT_SECONDS + 10 + second
        if second < 6 or second % 10 == 0:
            exchange(requests, clock, taken, float(rng.uniform(0.001, 0.01)), ppm=80.0)
        ticked = Ticked(100 * second, tick_at(taken, ppm=80.0))
        clock.observe(100 * second + 100, arrival(taken + 1.3), ticked)
        off = clock.time_ns(100 * second) - (UTC_NS + round(taken * 1e9))
        assert abs(off) < 10e6 if second < 20 else abs(off) < 2e6
    assert clock.state.source == "ticks"
    assert 0 < clock.state.error_s < 0.01


def test_impossible_replies_are_counted_and_date_nothing():
    """Firmware that takes its second tick before the first dates events by 36 minutes otherwise."""
    requests = begun()
    assembler = Assembler(100.0, lambda hello: TickDatedClock(hello, requests))
    assembler.push(HELLO, arrival(BOOT_SECONDS))
    for second in range(60):
        taken = BOOT_SECONDS + 10 + second
        question = requests.due(arrival(taken))
        if question:
            (request,) = Decoder().feed(question)
            received = tick_at(taken + 0.002)
            held = 40 if second < 30 else -40
            reply = TimeReply(request.request_id, received, (received + held) & 0xFFFF_FFFF)
            assembler.push(reply, arrival(taken + 0.004))
        counts = np.zeros((100, 3), np.int32)
        samples = Samples(second, 100 * second, tick_at(taken), counts)
        block = assembler.push(samples, arrival(taken + 1.3))
        if second:
            assert abs(block.start_time_ns - (UTC_NS + round(taken * 1e9))) < 10e6
    assert assembler.impossible_replies == 3
    assert block.clock.source == "ticks"


def played(sample_tick, reply_tick, *, seconds=120, way=0.003, late=0.3):
    """Let a sensor deliver a block a second; return error, source and stated error of the dates."""
    requests = begun()
    clock, seen = TickDatedClock(HELLO, requests), []
    for second in range(seconds):
        taken = BOOT_SECONDS + 10 + second
        question = requests.due(arrival(taken + 0.5))
        if question:
            (request,) = Decoder().feed(question)
            tick = reply_tick(taken + 0.5 + way)
            clock.answer(TimeReply(request.request_id, tick, tick), arrival(taken + 0.5 + 2 * way))
        clock.observe(
            100 * second + 100, arrival(taken + 1 + late), Ticked(100 * second, sample_tick(taken))
        )
        off = (clock.time_ns(100 * second) - (UTC_NS + round(taken * 1e9))) / 1e9
        seen.append((off, clock.state.source, clock.state.error_s))
    return seen


ADRIFT = {
    "the samples' tick is 0": (lambda at: 0, tick_at),
    "both stand still": (lambda at: 7, lambda at: 7),
    "the samples' tick runs at half the rate": (lambda at: tick_at(at) // 2, tick_at),
    "the samples' tick is of another timer": (lambda at: tick_at(at) - 30_000_000, tick_at),
    "the samples' tick is ahead": (lambda at: tick_at(at) + 30_000_000, tick_at),
}


@pytest.mark.parametrize(("sample_tick", "reply_tick"), ADRIFT.values(), ids=ADRIFT)
def test_ticks_that_arrivals_contradict_are_not_believed(sample_tick, reply_tick, logged):
    """Within half a minute samples are dated by arrival, with an error that covers it; logged."""
    seen = played(lambda at: sample_tick(at) & 0xFFFF_FFFF, lambda at: reply_tick(at) & 0xFFFF_FFFF)
    for off, source, error in seen[30:]:
        assert source == "host" and abs(off) < 0.31 and abs(off) < error
    lines = [line for line in logged() if "its firmware counts ticks wrong" in line]
    assert len(lines) == 1


@pytest.mark.parametrize(("way", "late"), [(0.003, 1.0), (2.0, 4.0), (15.0, 30.0)])
def test_a_slow_line_does_not_contradict_ticks(way, late, logged):
    """Samples that come a second late, or as late as replies do: dated by ticks."""
    seen = played(tick_at, tick_at, way=way, late=late)
    assert all(source == "ticks" and abs(off) <= error for off, source, error in seen[40:])
    assert not [line for line in logged() if "contradict" in line]


def test_ticks_are_believed_again_once_they_agree(logged):
    """A tick that stood still for half a minute; ten seconds later it dates the samples again."""

    def stuck(at):
        return 0 if 20 <= at - BOOT_SECONDS - 10 < 50 else tick_at(at)

    seen = played(stuck, tick_at)
    assert {source for _, source, _ in seen[32:58]} == {"host"}
    assert {source for _, source, _ in seen[64:]} == {"ticks"}
    assert "the sensor's ticks date its samples again" in logged()


def deliver(clock, requests, utc_ns_at, seconds, ppm=0.0):
    """Let a sensor deliver a block each 5 s to a host of that UTC; return the dates' errors."""
    errors = []
    for second in range(0, seconds, 5):
        taken = BOOT_SECONDS + 10 + second
        host = round(taken * 1e9)
        question = requests.due(Arrival(host, host + utc_ns_at(second)))
        if question:
            (request,) = Decoder().feed(question)
            tick = tick_at(taken + 0.002, ppm)
            received = host + 4_000_000
            clock.answer(
                TimeReply(request.request_id, tick, tick),
                Arrival(received, received + utc_ns_at(second)),
            )
        late = host + 1_200_000_000
        ticked = Ticked(100 * second, tick_at(taken, ppm))
        clock.observe(100 * second + 100, Arrival(late, late + utc_ns_at(second)), ticked)
        errors.append(clock.time_ns(100 * second) - host - utc_ns_at(second))
    return np.array(errors) / 1e9


def test_drift_of_100_ppm_over_a_turn_of_the_tick():
    """An hour and a half, in which 32 bits of microseconds turn over, dated to a millisecond."""
    requests = begun()
    clock = TickDatedClock(HELLO, requests)
    errors = deliver(clock, requests, lambda second: UTC_NS, 5400, ppm=100.0)
    assert np.abs(errors[12:]).max() < 0.001
    assert clock.state.source == "ticks"


@pytest.mark.parametrize("before_ns", [UTC_NS - 3600 * 10**9, UTC_NS + 3600 * 10**9, 0])
def test_a_step_of_the_hosts_utc_moves_the_dates_at_once(before_ns):
    """An hour either way, or from 1970: new samples carry the new time, old ones are re-dated."""
    requests = begun()
    clock = TickDatedClock(HELLO, requests)
    errors = deliver(clock, requests, lambda second: UTC_NS if second >= 200 else before_ns, 300)
    assert np.abs(errors[4:]).max() < 0.001
    early = round((BOOT_SECONDS + 10 + 100) * 1e9) + UTC_NS
    assert abs(clock.time_ns(100 * 100) - early) < 1_000_000


def test_without_answers_arrivals_date():
    """A sensor that does not answer is dated by when its blocks come; the event has that source."""
    clock = TickDatedClock(HELLO, TickRequests())
    clock.observe(100, arrival(61.0), Ticked(0, tick_at(60.0)))
    assert clock.time_ns(100) == UTC_NS + 61_000_000_000
    assert clock.state.source == "host"


def test_answers_go_stale():
    """Ticks are not trusted for ever: without answers for ten minutes arrivals date again."""
    requests = begun()
    clock = TickDatedClock(HELLO, requests)
    clock.observe(100, arrival(61.0), Ticked(0, tick_at(60.0)))
    exchange(requests, clock, 61.0, 0.002)
    assert clock.state.source == "ticks"
    late = 62.0 + STALE_SECONDS
    clock.observe(62_100, arrival(late), Ticked(62_000, tick_at(late - 1)))
    assert clock.state.source == "host"


def test_a_reply_to_nobody_tells_nothing():
    """An answer without a request, or comes twice, is left out."""
    requests = begun()
    clock = TickDatedClock(HELLO, requests)
    clock.observe(100, arrival(61.0), Ticked(0, tick_at(60.0)))
    clock.answer(TimeReply(99, 5, 5), arrival(61.0))
    assert clock.state.source == "host"


def test_a_stranger_is_not_asked():
    """Before a sensor has introduced itself nothing is sent to whatever is on the port."""
    assert TickRequests().due(arrival(5.0)) == b""


def test_questions_come_quickly_then_calmly_and_are_given_up():
    """Six requests a second apart, then one in ten seconds; unanswered ones do not pile up."""
    requests = begun()
    times = [s for s in range(200) if requests.due(arrival(float(s)))]
    assert times[:6] == [0, 1, 2, 3, 4, 5]
    assert set(np.diff(times[6:])) == {10}
    known = [n for n in range(1, len(times) + 1) if requests.sent_ns(TimeReply(n, 0, 0))]
    assert len(known) <= UNANSWERED


class Sensor:
    """A sensor whose converter and whose tick each have a crystal of their own, off by so much."""

    def __init__(self, rate, converter_ppm, tick_ppm, jitter, seed=0, answers=True):
        self.hello = Hello("s", "f", rate, ("HHE", "HHN", "HHZ"), tick_hz=1_000_000)
        self.rate = rate * (1 + converter_ppm * 1e-6)
        self.tick_ppm, self.jitter, self.answers = tick_ppm, jitter, answers
        self.rng = np.random.default_rng(seed)
        self.requests = begun()
        self.assembler = Assembler(100.0, lambda hello: TickDatedClock(hello, self.requests))

    def taken(self, sample):
        """Host's monotonic time at which a sample of its own, or a place between, was taken."""
        return BOOT_SECONDS + 1 + sample / self.rate

    def windows(self, seconds, hop_seconds=1.0):
        """Yield the windows of so long a stream, in blocks of a quarter of a second."""
        policy = WindowSettings(hop_seconds)
        gaps, resampler, windower = (
            GapPolicy(policy),
            Resampler(100.0),
            Windower(6000, 100.0, policy),
        )
        size = round(self.hello.rate_hz / 4)
        self.assembler.push(self.hello, arrival(BOOT_SECONDS))
        for number in range(4 * seconds):
            first = number * size
            now = self.taken(first + size) + self.rng.uniform(0.02, 0.1)
            self._ask(now - 0.015)
            tick = tick_at(self.taken(first), self.tick_ppm)
            counts = np.zeros((size, 3), np.int32)
            block = self.assembler.push(Samples(number, first, tick, counts), arrival(now))
            for contiguous in gaps.push(block):
                for one in resampler.push(contiguous):
                    yield from windower.push(one)

    def _ask(self, now):
        question = self.requests.due(arrival(now))
        if question and self.answers:
            (request,) = Decoder().feed(question)
            there, back = self.rng.uniform(0.0015, 0.0015 + self.jitter, 2)
            tick = tick_at(now + there, self.tick_ppm)
            reply = TimeReply(request.request_id, tick, tick)
            self.assembler.push(reply, arrival(now + there + back))


@settings(deadline=None, max_examples=25)
@given(
    rate=st.sampled_from([100.0, 100.05, 62.5, 250.0]),
    converter_ppm=st.floats(-5000, 5000),
    tick_ppm=st.sampled_from([-5000.0, 0.0, 80.0]),
    jitter=st.sampled_from([0.0, 0.002]),
    seed=st.integers(0, 99),
)
def test_a_sample_keeps_its_date_while_the_window_moves_on(
    rate, converter_ppm, tick_ppm, jitter, seed
):
    """For 20 s and more: within 2 ms of itself, and within error_s of the truth."""
    sensor = Sensor(rate, converter_ppm, tick_ppm, jitter, seed)
    sample = 6100
    own = sample if same_rate(rate, 100.0) else sample * rate / 100.0
    true_ns = UTC_NS + sensor.taken(own) * 1e9
    dates, errors = [], []
    for window in sensor.windows(90):
        if window.first_sample <= sample < window.end_sample - 50:
            dates.append(window.time_ns(sample))
            errors.append(abs(dates[-1] - true_ns) / 1e9 - window.clock.error_s)
            assert window.clock.source == "ticks"
    assert len(dates) > 20
    assert max(dates) - min(dates) < 2_000_000
    assert max(errors) <= 0


@pytest.mark.parametrize("converter_ppm", [-5000.0, 5000.0])
def test_a_sensor_that_does_not_answer_is_dated_at_its_own_rate(converter_ppm):
    """Arrivals measure the rate too, after a minute: a sample's date moves by some milliseconds."""
    sensor = Sensor(100.0, converter_ppm, 0.0, 0.0, answers=False)
    dates = [
        window.time_ns(12_000)
        for window in sensor.windows(150)
        if window.first_sample <= 12_000 < window.end_sample - 50
    ]
    assert len(dates) > 20
    assert max(dates) - min(dates) < 20_000_000


def test_a_counter_that_skips_does_not_bend_the_rate():
    """Numbers that leap ahead of the ticks by half a second begin the measurement anew."""
    rate = SampleTicks(100.0, 1_000_000)
    for first in range(0, 3000, 25):
        rate.note(Ticked(first, round(first * 10_050)))
    assert rate.ticks == pytest.approx(10_050, rel=1e-6)
    for first in range(3050, 4000, 25):
        rate.note(Ticked(first, round((first - 50) * 10_050)))
    assert rate.ticks == pytest.approx(10_050, rel=1e-6)


def test_the_samples_rate_is_measured_over_turns_of_a_fast_tick():
    """A tick of 168 MHz turns over in 26 s; numbers that come late or again are ignored."""
    rate = SampleTicks(100.0, 168_000_000)
    for first in range(0, 20_000, 25):
        rate.note(Ticked(first, round(first * 1_680_000 * 1.004) & 0xFFFF_FFFF))
        rate.note(Ticked(max(0, first - 100), 7))
    assert rate.ticks == pytest.approx(1_680_000 * 1.004, rel=1e-7)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 2**32 - 1)), max_size=30))
def test_ticks_without_sense_leave_the_nominal_rate(blocks):
    """Whatever a broken sensor sends, its rate stays within a tenth of the nominal one."""
    rate = SampleTicks(100.0, 1_000_000)
    for sample, tick in [*blocks, (400, 7), (401, 7), (402, 7)]:
        rate.note(Ticked(sample, tick))
        assert 9_000 <= rate.ticks <= 11_000
