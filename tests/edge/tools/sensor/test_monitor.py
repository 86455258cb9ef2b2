"""Figures from received packets: rate, gaps, resets, clock, level."""

import numpy as np
import pytest
from eqedge.edge.dating.arrivals import Arrival
from eqedge.edge.tools.finding import as_text
from eqedge.edge.tools.sensor.check import examine
from eqedge.edge.tools.sensor.listener import Received
from eqedge.edge.tools.sensor.monitor import Monitor
from eqedge.edge.tools.sensor.watch import report_lines, sparkline
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.framing import frame
from eqedge.firmware_bridge.packets import Hello, Samples, Status, TimeReply
from eqedge.firmware_bridge.port import Port

FAST = 1.0 + 150e-6
START_TICK = 2**32 - 5_000_000  # the tick wraps after five seconds


def received(packet, seconds, requested=None):
    """A packet that came at this time, in reply to a request of that time."""
    requested_ns = None if requested is None else round(requested * 1e9)
    return Received(packet, Arrival(round(seconds * 1e9), 0), requested_ns)


def monitored(hello, seconds, monitor=None, decoder=None, lose=(), level=1000.0, seed=1):
    """Send a monitor a sensor whose crystal is 150 ppm fast; packets in `lose` are lost.

    Replies take 2 to 30 ms, packets arrive 20 ms after their last sample.
    """
    rng = np.random.default_rng(seed)
    monitor, decoder = monitor or Monitor(), decoder or Decoder()
    monitor.take(received(hello, 0.0))
    for number in range(int(seconds * 4)):
        begin = 50.0 + number * 0.25 / FAST
        if number % 4 == 0:
            there, back = rng.uniform(0.001, 0.015, 2)
            tick = START_TICK + round((begin + there - 50.0) * FAST * 1e6)
            reply = TimeReply(number, tick % 2**32, tick % 2**32, boot=hello.boot)
            monitor.take(received(reply, begin + there + back, begin))
        if number in lose:
            continue
        counts = rng.normal(500.0, level, (25, len(hello.channels))).astype(np.int32)
        packet = Samples(
            number, number * 25, (START_TICK + number * 250_000) % 2**32, counts, hello.boot
        )
        for one in decoder.feed(frame(packet.to_bytes())):
            monitor.take(received(one, begin + 0.24 / FAST + 0.020))
    return monitor


def test_rate_clock_latency_and_level(hello):
    """Sixty seconds give the rate, the crystal's error within its bound, and the noise."""
    report = monitored(hello, 60).report()
    assert report.tick_ppm == pytest.approx(150.0, abs=report.tick_ppm_error)
    assert report.tick_ppm_error < 150.0
    assert report.rate_hz == pytest.approx(100.0 * FAST, rel=200e-6)
    assert report.round_trip_seconds < 0.015
    assert report.latency_seconds == pytest.approx(0.020, abs=0.010)
    assert report.mean_counts == pytest.approx([500.0] * 3, abs=150.0)
    assert report.rms_counts == pytest.approx([1000.0] * 3, rel=0.1)
    assert (report.missing, report.gaps, report.boots) == (0, 0, 0)


@pytest.mark.parametrize("stated_hz", [200_000, 8_000_000])
def test_a_wrongly_stated_tick_is_found_out(hello, stated_hz):
    """Firmware that states another tick rate than its timer has: the true one is measured."""
    fields = {name: getattr(hello, name) for name in Hello.__dataclass_fields__}
    report = monitored(Hello(**{**fields, "tick_hz": stated_hz}), 20).report()
    assert report.tick_ppm == pytest.approx((FAST * 1e6 / stated_hz - 1) * 1e6, rel=0.001)
    assert report.rate_hz == pytest.approx(100.0, rel=0.001)


def test_gaps_and_resets_are_counted(hello):
    """Lost packets are gaps; a new boot begins the figures anew and is counted."""
    monitor = monitored(hello, 10, lose=(5, 6, 20))
    report = monitor.report()
    assert (report.missing, report.gaps) == (75, 2)
    fields = {name: getattr(hello, name) for name in Hello.__dataclass_fields__}
    monitored(Hello(**{**fields, "boot_id": hello.boot_id + 1}), 3, monitor)
    report = monitor.report()
    assert (report.missing, report.gaps, report.boots, report.samples) == (0, 0, 1, 300)


def test_memory_is_bounded(hello):
    """Ten minutes leave no more than the window and the latest round trips."""
    monitor = monitored(hello, 600)
    assert len(monitor.recent()) <= 1025
    assert monitor.report().samples == 60_000


def findings(monitor, decoder):
    """Names of the findings that are not good, and the text of all with their remedies."""
    found = examine(decoder, monitor)
    text = "\n".join(as_text(one, width=10) for one in found)
    return {one.name for one in found if not one.good}, text


def test_a_good_sensor_passes_the_check(hello):
    """Nothing is found."""
    decoder = Decoder()
    assert findings(monitored(hello, 12, decoder=decoder), decoder)[0] == set()


def test_the_check_finds_what_is_wrong(hello):
    """Dead channels, full-scale counts, a converter that is off, lost packets, one-way lines."""
    decoder = Decoder()
    dead = monitored(hello, 12, decoder=decoder, level=0.0)
    bad, text = findings(dead, decoder)
    assert bad == {"HNE", "HNN", "HNZ"} and "-> check that the channel is connected" in text

    fields = {name: getattr(hello, name) for name in Hello.__dataclass_fields__}
    coarse = Hello(**{**fields, "adc_bits": 10})
    decoder = Decoder()
    bad, text = findings(monitored(coarse, 12, decoder=decoder, level=5000.0), decoder)
    assert (
        bad == {"HNE", "HNN", "HNZ"}
        and "full scale\n" in text
        and "-> check gain and wiring" in text
    )

    decoder = Decoder()
    monitor = monitored(hello, 12, decoder=decoder, lose=(9,))
    monitor.take(received(Status(0, 0, adc_faults=7, adc_ok=False, boot=hello.boot), 70.0))
    bad, text = findings(monitor, decoder)
    assert bad == {"gaps", "converter"} and "25 of 1200 samples missing" in text

    decoder, monitor = Decoder(), Monitor()
    for packet in decoder.feed(frame(hello.to_bytes())):
        monitor.take(received(packet, 1.0))
    bad, text = findings(monitor, decoder)
    assert bad == {"rate", "clock"} and "-> check that the sensor's RX is wired" in text


def test_the_check_of_silence():
    """Without bytes the remedy is to look at cable and power."""
    bad, text = findings(Monitor(), Decoder())
    assert bad == {"packets"} and "-> check that it is plugged in and powered" in text


def test_sparklines():
    """Flat is blank, a burst is dark at its place, no samples give no text."""
    assert sparkline(np.zeros(100), 10) == " " * 10
    assert sparkline(np.empty(0), 10) == ""
    burst = np.zeros(100)
    burst[55] = 9.0
    assert sparkline(burst, 10) == "     @    "


@pytest.mark.parametrize("order", ["samples first", "hello first"])
def test_samples_that_contradict_the_hello_are_left_out_and_named(hello, order):
    """Three channels announced, one sent: no figure has them, the check and the watch name it."""
    monitor, decoder = Monitor(), Decoder()
    one = [Samples(n, 25 * n, 0, np.ones((25, 1), np.int32), hello.boot) for n in range(48, 60)]
    if order == "samples first":
        monitor.take(received(one[0], 0.0))
        assert monitor.recent().shape == (25, 1)
    monitored(hello, 12, monitor=monitor, decoder=decoder)
    shape = monitor.recent().shape
    for packet in one:
        monitor.take(received(packet, 70.0))
    assert monitor.recent().shape == shape and monitor.report().contradicting == len(one)
    bad, text = findings(monitor, decoder)
    assert bad == {"channels"} or order == "samples first"
    assert "Hello has 3 channels, 12 Samples packets have 1: the firmware contradicts" in text
    line, *_ = report_lines(decoder, monitor, Port("loop://"), 115200)
    assert "the firmware contradicts itself" in line
