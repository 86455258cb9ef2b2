"""What the sensor reports about itself, counted on through restarts, wraps and strangers."""

from dataclasses import replace

from eqedge.edge.sensor_status import SensorHealth, SensorLog
from eqedge.firmware_bridge.packets import Hello, Status
from hypothesis import given
from hypothesis import strategies as st

HELLO = Hello("quake-7", "test", 100.0, ("HHE", "HHN", "HHZ"), boot_id=0x0107)
STATUS = Status(0, 0, 1000, 3, temperature_celsius=21.5, supply_volts=5.012, boot=7)


def log(*packets):
    """Return a log that has taken these packets."""
    made = SensorLog()
    for packet in packets:
        made.push(packet)
    return made


def test_nothing_is_known_of_a_sensor_that_has_not_introduced_itself():
    """Its Status may be another boot's, or another sensor's."""
    assert log(STATUS).health == SensorHealth() == log(HELLO, replace(STATUS, boot=8)).health


def test_what_was_counted_before_the_program_began_is_left_out():
    """The first Status is where counting starts; what is measured holds at once."""
    first = log(HELLO, STATUS)
    assert first.health == SensorHealth(0, 0, True, 21.5, 5.012)
    first.push(replace(STATUS, samples_dropped=1012, adc_faults=4, adc_ok=False, supply_volts=None))
    assert first.health == SensorHealth(12, 1, False, 21.5, None)


def test_a_restarted_sensor_has_measured_nothing_yet():
    """Counts stay, measurements are unknown until its next Status."""
    both = log(HELLO, STATUS, replace(STATUS, samples_dropped=1005))
    both.push(replace(HELLO, boot_id=0x0208))
    assert both.health == SensorHealth(5, 0, None, None, None)


@given(
    begin=st.integers(0, 0xFFFF_FFFF),
    boots=st.lists(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=5), min_size=1),
)
def test_no_drop_is_lost_or_counted_twice(begin, boots):
    """Over wraps and boots; each list holds the drops before each Status of one boot."""
    sensor, total = log(HELLO, replace(STATUS, samples_dropped=begin)), 0
    for boot, drops in enumerate(boots):
        at = 0 if boot else begin
        boot_id = (HELLO.boot_id + boot) & 0xFFFF_FFFF
        sensor.push(replace(HELLO, boot_id=boot_id))
        for dropped in drops:
            at, total = at + dropped, total + dropped
            status = replace(STATUS, samples_dropped=at & 0xFFFF_FFFF, boot=boot_id & 0xFF)
            sensor.push(status)
    assert sensor.health.samples_dropped == total


def test_a_counter_that_falls_back_began_anew():
    """A restart whose mark is by chance that of the boot before."""
    sensor = log(HELLO, STATUS, replace(STATUS, adc_faults=2))
    assert sensor.health.adc_faults == 2
