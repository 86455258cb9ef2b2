"""Packets become dated blocks in E, N, Z, through reboots, wraps and odd sensors."""

import numpy as np
import pytest
from eqedge.edge.assemble import Assembler, SensorError
from eqedge.edge.dating.arrivals import Arrival
from eqedge.edge.dating.replayed import SimClock
from eqedge.edge.dating.samples import REBOOT_GAP_SECONDS
from eqedge.edge.resample import polyphase
from eqedge.firmware_bridge.packets import Hello, Samples, Status
from hypothesis import given
from hypothesis import strategies as st

RATE = 100.0
GAP = round(REBOOT_GAP_SECONDS * RATE)
NOW = Arrival(7, 8)
ENZ = ("HHE", "HHN", "HHZ")


def hello(channels=ENZ, **more):
    """Return a sensor's introduction."""
    return Hello("quake-7", "test", **{"rate_hz": RATE, "channels": channels, **more})


def samples(first, n=10, boot=0, channels=3, sequence=0):
    """Return a packet whose columns are 0, 1, 2, ..."""
    counts = np.tile(np.arange(channels, dtype=np.int32), (n, 1))
    return Samples(sequence, first & 0xFFFF_FFFF, 0, counts, boot)


def assembler():
    """Return an assembler for a model at 100 Hz, with the record's own time."""
    return Assembler(RATE, lambda hello: SimClock(0, hello.rate_hz))


@pytest.mark.parametrize(
    ("channels", "columns", "degraded"),
    [
        (ENZ, [0, 1, 2], ""),
        (("HHZ", "HHN", "HHE"), [2, 1, 0], ""),
        (("HH1", "HH2", "HHZ"), [1, 0, 2], ""),
        (("HNX", "HNY", "HNZ"), [0, 1, 2], ""),
        (("HDF", "EHZ"), [None, None, 1], "no E, N component"),
        (("EHZ",), [None, None, 0], "no E, N component"),
        (("HHZ", "HHN"), [None, 1, 0], "no E component"),
        (("EHZ", "ENE", "ENN", "ENZ"), [1, 2, 3], ""),
        (("HHZ", "HHN", "HHE", "HNZ", "HNN", "HNE"), [2, 1, 0], ""),
        (("HNE", "HNN", "EHZ"), [None, None, 2], "no E, N component"),
    ],
)
def test_components_are_found_by_their_codes(channels, columns, degraded):
    """In any order, on one instrument; what is missing is zero and flagged."""
    chain = assembler()
    chain.push(hello(channels), NOW)
    block = chain.push(samples(0, channels=len(channels)), NOW)
    expected = [0.0 if column is None else float(column) for column in columns]
    np.testing.assert_array_equal(block.samples, np.tile(expected, (10, 1)))
    assert block.degraded == degraded


def test_a_sensor_without_a_vertical_is_refused():
    """The message names the channels and what to do."""
    with pytest.raises(SensorError, match=r"quake-7 has channels HHE, HHN: none is vertical; name"):
        assembler().push(hello(("HHE", "HHN")), NOW)


@pytest.mark.parametrize("rate_hz", [1.0, 62.501, 4000.0])
def test_a_rate_that_leads_nowhere_is_refused(rate_hz):
    """The message names the sensor, both rates and the remedy."""
    with pytest.raises(SensorError, match=rf"quake-7: {rate_hz:g} Hz .* model's 100 Hz; set"):
        assembler().push(hello(rate_hz=rate_hz), NOW)


@pytest.mark.parametrize("rate_hz", [50.0, 99.95, 250.0])
def test_blocks_carry_the_sensors_rate(rate_hz):
    """Resampling is somebody else's work."""
    chain = assembler()
    chain.push(hello(rate_hz=rate_hz), NOW)
    assert chain.push(samples(0), NOW).rate_hz == rate_hz


def test_a_reboot_to_another_rate_counts_the_same_time():
    """Numbers never go back in time, whatever the step from one to the next."""
    chain = assembler()
    chain.push(hello(boot_id=1, rate_hz=200.0), NOW)
    chain.push(samples(5000, boot=1), NOW)
    chain.push(hello(boot_id=2, rate_hz=50.0), NOW)
    first = chain.push(samples(0, boot=2), NOW).first_sample
    assert first == pytest.approx((5010 / 200 + REBOOT_GAP_SECONDS) * 50, abs=1)


def test_samples_before_the_introduction_are_counted():
    """Nobody knows what they are; the sensor counts as not introduced."""
    chain = assembler()
    assert chain.push(samples(0), NOW) is None
    assert not chain.introduced
    chain.push(hello(), NOW)
    assert chain.introduced
    assert chain.push(samples(10), NOW).first_sample == 10
    assert chain.unannounced == 1


def test_other_packets_give_no_block():
    """Status is for the health record."""
    chain = assembler()
    chain.push(hello(), NOW)
    assert chain.push(Status(0, 0), NOW) is None


def test_blocks_are_dated_and_carry_their_arrival():
    """By the clock that was made for the sensor's rate."""
    chain = assembler()
    chain.push(hello(), NOW)
    block = chain.push(samples(150), NOW)
    assert block.start_time_ns == 1_500_000_000
    assert block.received_ns == NOW.monotonic_ns
    assert block.clock.source == "sim"


def test_a_repeated_hello_changes_nothing():
    """The sensor sends it every ten seconds."""
    chain = assembler()
    chain.push(hello(), NOW)
    chain.push(samples(0), NOW)
    chain.push(hello(), NOW)
    assert chain.push(samples(10), NOW).first_sample == 10


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 2**30), min_size=1, max_size=20))
def test_numbers_never_wrap(start, steps):
    """The sensor's 32 bits wrap, the stream's numbers go on by the same steps."""
    chain = assembler()
    chain.push(hello(), NOW)
    numbers, at = [chain.push(samples(start), NOW).first_sample], start
    for step in steps:
        at += step
        numbers.append(chain.push(samples(at), NOW).first_sample)
    assert np.diff(numbers).tolist() == steps


def test_a_reboot_leaves_a_gap():
    """Samples go on after it with numbers nobody had, and those of the old boot are not taken."""
    chain = assembler()
    chain.push(hello(boot_id=1), NOW)
    chain.push(samples(5000, boot=1), NOW)
    assert chain.push(samples(0, boot=2), NOW) is None
    assert not chain.introduced
    chain.push(hello(boot_id=2), NOW)
    assert chain.push(samples(5010, boot=1), NOW) is None
    assert chain.push(samples(10, boot=2), NOW).first_sample == 5010 + GAP + 10


def test_a_reboot_that_is_not_announced_is_noticed():
    """Firmware that keeps its boot_id and counts from zero again must not be late for ever."""
    chain = assembler()
    chain.push(hello(), NOW)
    chain.push(samples(500_000), NOW)
    first = chain.push(samples(0), NOW).first_sample
    assert first == 500_010 + GAP
    assert chain.push(samples(10), NOW).first_sample == first + 10


def test_a_late_packet_keeps_its_number():
    """A short way back is a repetition, for the windower to drop."""
    chain = assembler()
    chain.push(hello(), NOW)
    chain.push(samples(500), NOW)
    assert chain.push(samples(400), NOW).first_sample == 400
    assert chain.push(samples(510), NOW).first_sample == 510


def test_other_columns_than_announced_are_not_taken():
    """A packet with another number of channels belongs to another sensor."""
    chain = assembler()
    chain.push(hello(), NOW)
    assert chain.push(samples(0, channels=2), NOW) is None
    assert not chain.introduced


def test_a_hello_designs_no_filters():
    """One every 10 ms, each of another rate, held the node up for 0.3 s each."""
    made, before = assembler(), polyphase.cache_info().misses
    for millihertz in range(1_999_000, 2_000_000, 50):
        assert made.push(hello(rate_hz=millihertz / 1000), NOW) is None
    assert made.hello == hello(rate_hz=1999.95)
    assert polyphase.cache_info().misses == before
