"""The bare-metal Cortex-M3 binary on QEMU, over its UART into the Python side."""

import time
from itertools import pairwise

import numpy as np
import pytest
from eqedge.edge.tools.sensor.waveform import waveform_bytes
from eqedge.firmware_bridge.counters import Unwrapper
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.framing import frame
from eqedge.firmware_bridge.packets import (
    Ack,
    Command,
    Hello,
    Samples,
    TimeReply,
    TimeRequest,
    Verb,
)
from eqedge.firmware_bridge.port import Port

TICK_HZ = 1_562_500


@pytest.fixture
def board_hello():
    """What the board's Hello has that the waveform does not."""
    return Hello(
        device_id="quake-q",
        firmware="eqedge mps2-an385 1.0",
        rate_hz=100.0,
        channels=("HNE", "HNN", "HNZ"),
        tick_hz=TICK_HZ,
        units_per_count=3.8e-5,
        unit="M/S**2",
        boot_id=0x5EED_0001,
    )


def identified(port, decoder, hello, seconds=120.0):
    """Send IDENTIFY until the Hello comes; return all packets read."""
    packets, until = [], time.monotonic() + seconds
    while not any(isinstance(p, Hello) for p in packets) and time.monotonic() < until:
        port.write(frame(Command(1, Verb.IDENTIFY).to_bytes()))
        packets += decoder.feed(port.read(0.1))
    assert hello in packets
    return packets


def ask_time(port, decoder, packets):
    """Return (requested, replied, tick received, tick sent) of the first answered request."""
    for request in range(100, 120):
        requested = time.monotonic()
        port.write(frame(TimeRequest(request).to_bytes()))
        while time.monotonic() < requested + 5.0:
            came = decoder.feed(port.read(0.1))
            packets += came
            replied = time.monotonic()
            replies = [p for p in came if isinstance(p, TimeReply) and p.request_id == request]
            for reply in replies:
                return requested, replied, reply.tick_received, reply.tick_sent
    raise AssertionError(f"no answer: {decoder.losses}")


def test_samples_match_the_waveform_and_the_clock(cortexm, board_hello, waves):
    """Counts are the waveform's; sample times by time requests agree with the marks to 20 ms.

    The marks are a clock of their own: the board writes its tick to another UART in the moment in
    which it takes each 25th sample. A busy machine brings them late, never early, so of many the
    earliest counts; and it delays a request, so the quickest of many is believed.
    """
    counts = waves(400)
    board = cortexm(waveform_bytes(board_hello, counts, mark_sample=25))
    with Port(board.url) as port:
        decoder = Decoder()
        packets = identified(port, decoder, board_hello)
        until, trips = time.monotonic() + 120, []
        while len(trips) < 15 or min(trip[1] - trip[0] for trip in trips) > 0.030:
            assert time.monotonic() < until, trips
            trips.append(ask_time(port, decoder, packets))
        while max((p.first_sample for p in packets if isinstance(p, Samples)), default=0) < 375:
            assert time.monotonic() < until, decoder.losses
            packets += decoder.feed(port.read(0.1))
        marks = board.marks()
    received = [p for p in packets if isinstance(p, Samples)]
    assert decoder.losses.frames_bad == decoder.losses.sequence_lost == 0
    for packet in received:
        n = packet.first_sample
        assert n >= 400 or (packet.counts == counts[n : n + 25]).all()
        assert packet.tick == n * TICK_HZ // 100
    requested, replied, tick_received, tick_sent = min(trips, key=lambda trip: trip[1] - trip[0])
    middle, tick = (requested + replied) / 2, (tick_received + tick_sent) / 2
    assert len(marks) >= 14
    assert all(at >= 25 * n * TICK_HZ // 100 for n, (_, at) in enumerate(marks, start=1))
    late = min(came - (middle + (at - tick) / TICK_HZ) for came, at in marks)
    assert -(replied - requested) / 2 <= late < 0.020


def test_a_crystal_2_percent_off_is_seen_in_the_ticks(
    cortexm, board_hello, waves, tick_rate_bounds
):
    """The board's crystal runs 2 % fast, and so does its tick.

    Requests are sent until they bound the tick's rate to 0.6 %, however slow the machine is.
    """
    board = cortexm(waveform_bytes(board_hello, waves(400), crystal_ppm=20_000.0))
    with Port(board.url) as port:
        decoder = Decoder()
        identified(port, decoder, board_hello)
        trips, until, low, high = [], time.monotonic() + 120, 0.0, 2.0
        while not 1.014 < low <= high < 1.026 and time.monotonic() < until:
            trips.append(ask_time(port, decoder, []))
            low, high = (rate / TICK_HZ for rate in tick_rate_bounds(trips))
            time.sleep(0.03)
    assert 1.014 < low <= 1.02 <= high < 1.026


def test_button_and_command_reset_the_board(cortexm, board_hello, waves):
    """Each reset brings a new boot_id and counters from zero; the stream is taken up again."""
    board = cortexm(waveform_bytes(board_hello, waves(2000)))
    with Port(board.url) as port:
        decoder = Decoder()
        identified(port, decoder, board_hello)
        board.press_reset()
        packets, until = [], time.monotonic() + 240
        while not any(isinstance(p, Hello) and p.boot_id == 0x5EED_0002 for p in packets):
            assert time.monotonic() < until
            packets += decoder.feed(port.read(0.1))
        again = 0.0
        while not any(isinstance(p, Samples) and p.boot == 0x03 for p in packets):
            assert time.monotonic() < until, (packets[-3:], decoder.losses)
            if time.monotonic() >= again:  # a busy board may miss a command: a host repeats it
                again = time.monotonic() + 10.0
                port.write(frame(Command(7, Verb.REBOOT, 0x5EED_0002).to_bytes()))
            packets += decoder.feed(port.read(0.1))
    assert any(isinstance(p, Ack) and p.command_id == 7 and p.result == 0 for p in packets)
    first = next(p for p in packets if isinstance(p, Samples) and p.boot == 0x03)
    assert (first.sequence, first.first_sample, first.tick) == (0, 0, 0)
    assert decoder.losses.boots == 2


def test_a_thousand_samples_without_a_loss(cortexm, board_hello, waves):
    """A thousand samples at 250 Hz arrive gapless, with their ticks."""
    fields = {name: getattr(board_hello, name) for name in Hello.__dataclass_fields__}
    hello = Hello(**{**fields, "rate_hz": 250.0})
    counts = waves(1100)
    board = cortexm(waveform_bytes(hello, counts))
    with Port(board.url) as port:
        decoder, packets, until = Decoder(), [], time.monotonic() + 120
        while max((p.first_sample for p in packets if isinstance(p, Samples)), default=0) < 1000:
            assert time.monotonic() < until
            packets += decoder.feed(port.read(0.1))
    runs = [p for p in packets if isinstance(p, Samples)]
    assert all(b.first_sample == a.first_sample + len(a.counts) for a, b in pairwise(runs))
    tick = Unwrapper(32)
    assert [tick(p.tick) for p in runs] == [p.first_sample * 6250 for p in runs]
    got = np.concatenate([p.counts for p in runs])[:1000]
    begin = runs[0].first_sample
    assert (got[: 1100 - begin] == counts[begin : begin + len(got)]).all()
