"""The whole chain in one process: bytes in, messages out, whatever happens to the bytes."""

import socket
import struct
import time
from dataclasses import replace
from itertools import pairwise
from threading import Event, Thread

import numpy as np
import pytest
from eqedge.edge.assemble import SensorError
from eqedge.edge.daemon import Daemon
from eqedge.edge.dating.arrivals import Arrival, HostClock
from eqedge.edge.dating.replayed import SimClock
from eqedge.edge.dating.samples import REBOOT_GAP_SECONDS
from eqedge.edge.message import Node
from eqedge.edge.run_counts import Observers
from eqedge.edge.sensor_status import SensorHealth
from eqedge.edge.settings.node import Settings, TriggerSettings, WindowSettings
from eqedge.edge.settings.validation import SettingsError
from eqedge.edge.sources import SerialSource
from eqedge.edge.wire import WireSource
from eqedge.firmware_bridge.framing import frame
from eqedge.firmware_bridge.packets import Hello, Status
from eqedge.firmware_bridge.port import Port, PortState
from eqedge.firmware_bridge.virtual import VirtualSensor
from eqedge.models.registry import ModelError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..support.sinks import Kept

RATE = 100.0
ENZ = ("HHE", "HHN", "HHZ")


class Bytes:
    """A source of given portions on a clock that stands still but for `gap_s` at each."""

    losses = reopenings = 0

    def __init__(self, portions, gap_s=0.0):
        self.portions = portions
        self.requests = 0
        self._gap_ns = round(gap_s * 1e9)

    def __iter__(self):
        """Yield them."""
        for index, data in enumerate(self.portions):
            yield data, Arrival(index * self._gap_ns, index * self._gap_ns)

    def clock(self, hello):
        """Sample 0 was taken at 0."""
        return SimClock(0, hello.rate_hz)

    def identify(self):
        """Count the requests."""
        self.requests += 1


def daemon(model, source, configured=None, *, live=False):
    """Return the chain behind a source of bytes."""
    configured = configured or Settings()
    node = Node(configured.station, model, "boot")
    return Daemon(configured, model, WireSource(source, RATE), node, live=live)


def run(model, portions, configured=None, gap_s=0.0):
    """Run the chain; return (messages, counts, source)."""
    source, kept = Bytes(portions, gap_s), Kept()
    counted = daemon(model, source, configured).run([kept])
    return kept.messages, counted, source


def wire(counts, channels=ENZ, samples_per_packet=50, rate=RATE, **more):
    """Return the bytes of a sensor that delivers these counts, packet by packet."""
    hello = Hello("test", "test", rate, channels, **more)
    sensor = VirtualSensor(hello, samples_per_packet)
    packets = [sensor.greet()]
    for at in range(0, len(counts), samples_per_packet):
        packets.append(sensor.push(counts[at : at + samples_per_packet]))
    return [*packets, sensor.flush()]


def essence(messages):
    """Return the messages without their latency."""
    return [{k: v for k, v in m.items() if k != "latency_ms"} for m in messages]


def picks(messages):
    """Return {phase: sample} of each event's last message."""
    last = {m["event_id"]: m for m in messages}
    return [
        {pick["phase"]: pick["time_ns"] // 10_000_000 for pick in message["picks"]}
        for message in last.values()
    ]


@pytest.fixture(scope="module")
def undisturbed(model, stream):
    """Messages and counts of the stream when nothing goes wrong."""
    messages, counted, _ = run(model, wire(stream[0]))
    return messages, counted


def test_an_earthquake_becomes_one_event(undisturbed, stream):
    """`new` first, `end` last, one id, picks where the arrivals are."""
    messages, counted = undisturbed
    counts, p, s = stream
    assert (messages[0]["type"], messages[-1]["type"]) == ("new", "end")
    assert [m["sequence"] for m in messages] == list(range(len(messages)))
    (found,) = picks(messages)
    assert abs(found["P"] - p) <= 50
    assert abs(found["S"] - s) <= 50
    assert counted.events == 1
    assert counted.messages == len(messages)
    assert counted.stream.samples == len(counts)
    assert counted.windows_scored == (len(counts) - 6000) // 100 + 2


@settings(
    deadline=None, max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 999), largest=st.sampled_from([3, 700, 100_000]))
def test_the_portions_of_the_bytes_do_not_matter(model, stream, undisturbed, seed, largest):
    """Byte by byte or all at once, the messages are the same."""
    data = b"".join(wire(stream[0]))
    rng = np.random.default_rng(seed)
    cuts = np.cumsum(rng.integers(1, largest + 1, size=2 * len(data) // (largest + 1) + 10))
    edges = [0, *[int(cut) for cut in cuts if cut < len(data)], len(data)]
    portions = [data[a:b] for a, b in pairwise(edges)]
    messages, _, _ = run(model, portions)
    assert essence(messages) == essence(undisturbed[0])


@pytest.mark.parametrize("samples_per_packet", [1, 7, 255])
def test_the_packets_size_does_not_matter(model, stream, undisturbed, samples_per_packet):
    """Nor how the sensor cuts its samples."""
    messages, _, _ = run(model, wire(stream[0], samples_per_packet=samples_per_packet))
    assert essence(messages) == essence(undisturbed[0])


def test_duplicated_frames_change_nothing(model, stream, undisturbed):
    """Each packet comes twice; the second is dropped."""
    messages, counted, _ = run(model, [data for data in wire(stream[0]) for _ in range(2)])
    assert essence(messages) == essence(undisturbed[0])
    assert counted.source.losses.duplicates > 0


def test_a_few_lost_packets_are_bridged(model, stream):
    """Here and there half a second is missing; the event is still one."""
    counts, p, _ = stream
    packets = wire(counts)
    for lost in (30, 90, 200):
        packets[lost] = b""
    messages, counted, _ = run(model, packets)
    assert counted.stream.gaps == 0
    assert counted.stream.samples_lost == 150
    assert counted.source.losses.sequence_lost == 3
    assert any(abs(found.get("P", 0) - p) <= 50 for found in picks(messages))


class Scored(Observers):
    """Remembers which stretches of which segment were scored."""

    def __init__(self):
        super().__init__()
        self.stretches = []

    def inferred(self, probabilities, lag_seconds):
        """Note the window."""
        window = probabilities.window
        self.stretches.append((window.segment, window.first_sample, window.end_sample))


@settings(
    deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seconds=st.lists(st.integers(1, 90), min_size=1, max_size=3),
    gap=st.integers(2, 40),
    rate=st.sampled_from([100.0, 250.0, 62.5]),
    late=st.booleans(),
)
def test_every_sample_is_scored(model, seconds, gap, rate, late):
    """At any rate, between any gaps, and on a machine that is hopelessly late."""
    hello = Hello("test", "test", rate, ENZ)
    sensor = VirtualSensor(hello, 25)
    rng = np.random.default_rng(1)
    portions, spans, at = [sensor.greet()], [], 0
    for length in seconds:
        n = round(length * rate)
        portions += [sensor.push(rng.normal(0, 500, (n, 3)).astype(np.int32)), sensor.flush()]
        spans.append((at / rate, (at + n) / rate))
        portions.append(sensor.skip(round(gap * rate)))
        at += n + round(gap * rate)
    observer = Scored()
    # every arrival is that of the machine's start: the samples have been waiting since
    counted = daemon(model, Bytes(portions), live=late).run([], observer)
    for segment, (begin, end) in enumerate(spans, 1):
        first, after = (int(np.ceil(edge * RATE - 1e-6)) for edge in (begin, end))
        covered = np.zeros(after - first, dtype=int)
        for one, a, b in observer.stretches:
            if one == segment:
                assert first <= a < b <= after  # none lies across a gap
                covered[a - first : b - first] += 1
        assert (covered >= 1).all()
        assert (covered[6000:-6000] >= 2).all()  # as often as a pick must have been seen
    assert counted.stream.gaps == len(seconds) - 1
    if late and max(seconds) > 62:
        assert counted.shedder.skipped > 0


def test_a_long_gap_starts_anew(model, stream):
    """After ten lost seconds windows begin with the first sample behind them."""
    packets = wire(stream[0])
    del packets[60:80]
    messages, counted, _ = run(model, packets)
    assert (counted.stream.gaps, counted.stream.samples_lost) == (1, 1000)
    for message in messages:
        for pick in message["picks"]:
            assert not 3000 <= pick["time_ns"] // 10_000_000 - 50 < 3900


def test_corrupted_bytes_are_losses_not_errors(model, stream):
    """One byte in ten thousand flipped: packets are lost, counted, and the chain goes on."""
    data = bytearray(b"".join(wire(stream[0], samples_per_packet=10)))
    rng = np.random.default_rng(3)
    for at in rng.integers(0, len(data), size=len(data) // 10_000):
        data[at] ^= 1 << int(rng.integers(8))
    _, counted, _ = run(model, [bytes(data)])
    assert counted.source.losses.frames_bad > 0
    lost = counted.stream.samples_lost
    assert counted.stream.samples + lost == len(stream[0])
    assert lost < 0.02 * len(stream[0])


def test_a_sensor_with_one_component_works_degraded(model, stream):
    """Its events are marked, and carry its own channel codes."""
    messages, _, _ = run(model, wire(stream[0][:, 2:], channels=("EHZ",)))
    assert {m["degraded"] for m in messages} == {"no E, N component"}
    assert all(m["channels"] == ["EHZ"] for m in messages)
    assert any(abs(found.get("P", 0) - stream[1]) <= 50 for found in picks(messages))


def test_turned_channels_are_the_same_seismogram(model, stream, undisturbed):
    """Z, N, E on the wire gives the messages of E, N, Z but for the channel list."""
    turned, _, _ = run(model, wire(stream[0][:, ::-1].copy(), channels=ENZ[::-1]))
    assert [{**m, "channels": list(ENZ)} for m in essence(turned)] == essence(undisturbed[0])


def test_a_reboot_midway(model, stream, undisturbed):
    """The old boot's last window is scored, the new boot's samples are numbered after a gap."""
    counts, p, _ = stream
    messages, counted, _ = run(model, wire(counts[:3000], boot_id=1) + wire(counts, boot_id=2))
    assert counted.source.losses.boots == 1
    assert counted.stream.gaps == 1
    shift = 3000 + round(REBOOT_GAP_SECONDS * RATE)
    assert any(abs(found.get("P", 0) - p - shift) <= 50 for found in picks(messages))


def test_a_lost_greeting_is_asked_for(model, stream):
    """Samples without a Hello are counted; the sensor gets requests until it sends one."""
    packets = wire(stream[0][:3000])
    _, counted, source = run(model, packets[1:], gap_s=0.5)
    assert source.requests == 4
    assert counted.source.packets_unannounced == 20
    assert counted.stream.samples == 2000


def test_a_sensor_of_another_rate(model):
    """One that cannot be resampled ends the run with the reason."""
    hello = frame(Hello("slow", "test", 5.0, ENZ).to_bytes())
    with pytest.raises(SensorError, match="sensor slow: 5 Hz cannot be turned into"):
        run(model, [hello])


UNUSABLE = [
    Hello("test", "test", RATE, ("HHE",)),
    Hello("test", "test", 0.001, ENZ),
    Hello("test", "test", 10_000.0, ENZ),
    Hello("test", "test", 62.501, ENZ, boot_id=8),
    Hello("other", "test", RATE, ("HDF", "HHN"), boot_id=9),
]


@pytest.mark.parametrize("bad", UNUSABLE, ids=lambda hello: f"{hello.rate_hz:g} {hello.channels}")
def test_an_unusable_hello_in_mid_stream_costs_its_own_samples_only(model, stream, bad, logged):
    """The event before is closed with the first sensor's channels; the next one is found too."""
    counts, p, _ = stream
    before = wire(counts[: p + 500])
    meanwhile = [frame(bad.to_bytes()), *wire(counts[:1000], boot_id=bad.boot_id)[1:]]
    messages, counted, _ = run(model, [*before, *meanwhile, *wire(counts, boot_id=3)])
    assert (counted.source.hellos_unusable, counted.source.packets_unannounced) == (1, 20)
    assert [m["type"] for m in messages].count("end") == counted.events == 2
    assert {tuple(m["channels"]) for m in messages} == {ENZ}
    (line,) = logged("left out until it sends a Hello that can be used")
    assert "cannot be turned into" in line or "none is vertical" in line
    assert counted.source.trouble == "" and logged("its samples are used again")


def test_while_a_sensor_is_unusable_the_reason_is_at_hand(model, stream):
    """For the health record; the sensor is requested to identify itself meanwhile."""
    bad = frame(UNUSABLE[1].to_bytes())
    portions = [*wire(stream[0][:1000]), bad, *wire(stream[0][:900])[1:]]
    _, counted, source = run(model, portions, gap_s=0.5)
    assert counted.source.trouble.startswith("sensor test: 0.001 Hz cannot be turned into")
    assert source.requests > 3 and counted.stream.samples == 1000


def test_unusable_hellos_without_end_fill_no_log(model, stream, logged):
    """Two that alternate, each once per change, and a handful of lines in an hour."""
    bad = [frame(one.to_bytes()) for one in UNUSABLE[:2]]
    _, counted, _ = run(model, [*wire(stream[0][:1000]), *bad * 200])
    assert counted.source.hellos_unusable == 400
    assert 2 <= len(logged("left out until")) <= 6
    assert logged()[-1].endswith("further changes within the hour are not logged)")


def test_samples_that_contradict_their_hello_are_named(model, stream, logged):
    """Three channels announced, one sent: left out, counted, logged once."""
    three, one = wire(stream[0][:1000]), wire(stream[0][:1900, :1], channels=("HHZ",))
    _, counted, _ = run(model, [*three[:21], *one[21:38]])
    (line,) = logged("contradicts itself")
    assert "Hello has 3 channels, its Samples packets have 1" in line
    assert counted.source.packets_unannounced > 10 and counted.source.trouble == line


@pytest.mark.parametrize(
    "changed",
    [{"rate": 200.0}, {"channels": ENZ[::-1]}, {"channels": ("HNE", "HNN", "HNZ")}, {"gain": 8.0}],
)
def test_a_hello_that_describes_another_sensor_under_one_boot_id(model, stream, changed):
    """Treated as restarted: a new segment, and its earthquake is found at its time."""
    counts, p, _ = stream
    rate = changed.get("rate", RATE)
    turned = at_rate(counts, rate)[:, :: -1 if changed.get("channels") == ENZ[::-1] else 1].copy()
    messages, _, _ = run(model, [*wire(counts[:3000]), *wire(turned, **changed)])
    shift = 3000 + round(REBOOT_GAP_SECONDS * RATE)
    (found,) = picks(messages)
    assert abs(found["P"] - p - shift) <= 50


FIELDS = {
    "boot_id": st.integers(0, 2**32 - 1),
    "rate_mhz": st.sampled_from([0, 1, 5000, 20_000, 50_000, 62_501, 99_999, 100_000, 2**32 - 1])
    | st.integers(0, 2**32 - 1),
    "tick_hz": st.sampled_from([0, 1, 100, 10**6, 2**32 - 1]),
    "units_per_count": st.floats(width=32),
    "gain": st.floats(width=32),
    "adc_bits": st.integers(0, 255),
    "unit": st.integers(0, 4),
    "channels": st.lists(
        st.sampled_from(["HHE", "HHN", "HHZ", "EHZ", "HDF", "BH1", "zz?"]), max_size=7
    ),
}


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(hostile=st.lists(st.fixed_dictionaries(FIELDS), min_size=1, max_size=4))
def test_no_hello_in_mid_stream_ends_the_node(model, stream, hostile):
    """Whatever its bytes; a sensor that then introduces itself properly is used."""
    portions = wire(stream[0][:500])
    for one in hostile:
        codes = one["channels"]
        numbers = [one[name] for name in FIELDS if name != "channels"]
        payload = struct.pack("<BBIIIffBBB", 1, 1, *numbers, len(codes))
        portions.append(frame(payload + "".join(codes).encode() + b"\4test\0"))
        portions += wire(stream[0][:500], boot_id=one["boot_id"])[1:]
    # packets carry the low byte: neither the first one's nor the last one's
    boot_id = 2 if hostile[-1]["boot_id"] & 0xFF == 1 else 1
    _, counted, _ = run(model, [*portions, *wire(stream[0][:500], boot_id=boot_id)])
    assert counted.source.trouble == "" and counted.stream.samples >= 1000


def at_rate(counts, rate):
    """Return counts at 100 Hz as a sensor of another rate would have taken them."""
    spectrum = np.fft.rfft(counts - counts.mean(axis=0), axis=0)
    n = round(len(counts) * rate / RATE)
    taken = np.fft.irfft(spectrum, n, axis=0) * (n / len(counts))
    return np.rint(taken).astype(np.int32)


@pytest.mark.parametrize("rate", [50.0, 62.5, 125.0, 200.0, 250.0, 500.0])
def test_sensors_of_other_rates_give_the_same_picks(model, stream, undisturbed, rate):
    """The same ground at another rate: one event, picks within 30 ms, the rate in the message."""
    messages, counted, _ = run(model, wire(at_rate(stream[0], rate), rate=rate))
    (truth,), (found,) = picks(undisturbed[0]), picks(messages)
    assert counted.events == 1
    assert set(found) == set(truth)
    for phase, sample in truth.items():
        assert abs(found[phase] - sample) <= 3
    assert counted.stream.seconds == pytest.approx(len(stream[0]) / RATE, abs=0.02)
    assert {m["sensor_rate_hz"] for m in messages} == {rate}
    assert {m["sampling_rate_hz"] for m in messages} == {RATE}


@settings(
    deadline=None, max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(size=st.integers(1, 255), rate=st.sampled_from([62.5, 250.0]))
@pytest.mark.slow
def test_the_portions_do_not_matter_at_another_rate(model, stream, size, rate):
    """Nor do they where samples are made anew from their neighbours."""
    counts = at_rate(stream[0], rate)
    whole, _, _ = run(model, wire(counts, rate=rate))
    portioned, _, _ = run(model, wire(counts, rate=rate, samples_per_packet=size))
    assert essence(portioned) == essence(whole)


def test_a_sensor_that_changes_its_rate(model, stream):
    """A new boot at another rate begins a new segment, and its earthquake is found too."""
    counts, _p, _ = stream
    second = wire(at_rate(counts, 200.0), rate=200.0, boot_id=2)
    messages, counted, _ = run(model, wire(counts, boot_id=1) + second)
    assert counted.events == 2
    before, after = picks(messages)
    shift = len(counts) + round(REBOOT_GAP_SECONDS * RATE)
    assert abs(after["P"] - before["P"] - shift) <= 3


def test_nothing_but_noise_on_the_line(model, caplog):
    """No event, no error, and one warning with what the bytes look like."""
    rng = np.random.default_rng(0)
    messages, counted, source = run(model, [rng.bytes(500) for _ in range(30)], gap_s=0.5)
    assert messages == []
    assert counted.stream.samples == 0
    assert source.requests > 3
    (line,) = caplog.messages
    assert "probably the wrong speed" in line


class Followed(Bytes):
    """A source that notes, portion by portion, how many messages there are by then."""

    def __init__(self, portions, kept):
        super().__init__(portions, gap_s=0.5)
        self.types_so_far = []
        self._kept = kept

    def __iter__(self):
        """Yield them."""
        for portion in super().__iter__():
            yield portion
            self.types_so_far.append([message["type"] for message in self._kept.messages])


def test_a_sensor_that_falls_silent_leaves_no_event_open(model, stream):
    """Half a minute after its last sample its event is closed, once, not when the stream ends."""
    counts, p, _ = stream
    portions, kept = wire(counts[: p + 150]), Kept()
    source = Followed([*portions, *[b""] * 200], kept)
    daemon(model, source).run([kept])
    assert source.types_so_far[-1].count("end") == 1
    closed = next(at for at, types in enumerate(source.types_so_far) if "end" in types)
    assert 58 <= closed - len(portions) <= 62


def test_less_than_a_window_is_looked_at(model, stream):
    """A stream that ends early is scored as far as it went."""
    counts, p, _ = stream
    _, counted, _ = run(model, wire(counts[p - 1000 : p + 2000]))
    assert counted.windows_scored == 1


def test_no_bytes_at_all(model):
    """A source that ends at once leaves an empty counted."""
    messages, counted, _ = run(model, [])
    assert (messages, counted.windows_scored) == ([], 0)


HOUR_NS = 3600 * 10**9
UTC_NS = 1_790_000_000 * 10**9
DELAY_NS = 10_000_000


class Live(Bytes):
    """A source in real time, on a host whose UTC is stepped when a given sample has come."""

    def __init__(self, portions, before_ns, after_ns, step_sample):
        super().__init__(portions)
        self._utc_ns = (before_ns, after_ns)
        self._step_sample = step_sample

    def __iter__(self):
        """Yield a packet of half a second every half second, a little late."""
        for index, data in enumerate(self.portions):
            monotonic = index * 500_000_000 + DELAY_NS
            utc = self._utc_ns[index * 50 > self._step_sample]
            yield data, Arrival(monotonic, utc + monotonic)

    def clock(self, hello):
        """As a sensor on a port has it."""
        return HostClock(hello.rate_hz)


@pytest.mark.parametrize(
    ("before_ns", "after_ns"),
    [
        (UTC_NS, UTC_NS),
        (UTC_NS, UTC_NS + HOUR_NS),
        (UTC_NS, UTC_NS - HOUR_NS),
        (0, UTC_NS),
    ],
)
@pytest.mark.parametrize("offset", [-500, 400])
def test_clock_steps_do_not_disturb_an_event(
    model, stream, undisturbed, before_ns, after_ns, offset
):
    """UTC steps before P or after it: one event, one id, picks unmoved, the end well dated."""
    counts, p, _ = stream
    source = Live(wire(counts), before_ns, after_ns, p + offset)
    kept = Kept()
    daemon(model, source).run([kept])
    expected = [{f["phase"]: f["probability"] for f in m["picks"]} for m in undisturbed[0]]
    assert [{f["phase"]: f["probability"] for f in m["picks"]} for m in kept.messages] == expected
    assert len({m["event_id"] for m in kept.messages}) == 1
    assert {m["clock"]["source"] for m in kept.messages} == {"host"}
    (truth,) = picks(undisturbed[0])
    for pick in kept.messages[-1]["picks"]:
        taken = after_ns + truth[pick["phase"]] * 10_000_000 + DELAY_NS
        assert abs(pick["time_ns"] - taken) <= 20_000_000


def test_a_hop_that_confirms_nothing_is_refused(model):
    """Windows that overlap too little never see a pick as often as is needed."""
    configured = Settings(
        window=WindowSettings(hop_seconds=31.0), trigger=TriggerSettings(confirm_windows=2)
    )
    with pytest.raises(SettingsError, match=r"hop 31 s: .* use a hop of at most 30 s"):
        run(model, [], configured)


def test_an_unknown_preset_is_refused(model):
    """The message names those the card has."""
    configured = Settings(trigger=TriggerSettings(preset="bold"))
    with pytest.raises(SettingsError, match=r"preset 'bold': .* has .*default"):
        run(model, [], configured)


def test_a_model_that_cannot_run_is_refused_before_the_source_is_touched(model):
    """The chain is made whole or not at all."""
    other = replace(model, spec=replace(model.spec, window_samples=3000))
    with pytest.raises(ModelError, match="use the card that belongs to it"):
        run(other, [])


def test_what_the_sensor_reports_is_counted(model):
    """From the bytes of its Status packets on."""
    reports = [Status(0, 0, 7, 1), Status(0, 0, 19, 2, supply_volts=4.9, adc_ok=False)]
    portions = [*wire(np.zeros((100, 3), np.int32)), *(frame(one.to_bytes()) for one in reports)]
    _, counted, _ = run(model, portions)
    assert counted.source.sensor == SensorHealth(12, 1, False, None, 4.9)


class UntilSamples(Observers):
    """Stops the source once so many samples have come, or two minutes have passed."""

    def __init__(self, stop, samples):
        super().__init__()
        self._stop, self._samples = stop, samples
        self._until = time.monotonic() + 120

    def tick(self, counts):
        """Compare."""
        if counts.stream.samples >= self._samples or time.monotonic() > self._until:
            self._stop.set()


def test_a_frame_cut_off_by_a_lost_port_spoils_none_that_follows(model):
    """The first after it is whole; what was cut off is no damage of the line."""
    packets, stop = wire(np.zeros((200, 3), np.int32)), Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = Port(f"socket://127.0.0.1:{server.getsockname()[1]}", first_retry_seconds=0.01)

        def offer(data):
            connection, _ = server.accept()
            while port.state is not PortState.OPEN and not stop.wait(0.005):
                pass  # opening drops what came before
            connection.sendall(data)
            return connection

        def play():
            offer(b"".join(packets[:2]) + packets[2][:40]).close()
            with offer(b"".join(packets[3:])):
                stop.wait(120)

        sensor = Thread(target=play)
        sensor.start()
        chain = daemon(model, SerialSource(port, stop), live=True)
        counted = chain.run([], UntilSamples(stop, 150))
        sensor.join()
    assert counted.stream.samples == 150
    assert (counted.source.losses.frames_bad, counted.source.losses.sequence_lost) == (0, 1)
    assert counted.source.losses.bytes_discarded == 40


@pytest.mark.parametrize(
    ("columns", "value", "mark"),
    [([0, 1], 0, "E, N dead"), ([1], -(2**23), "N railed"), ([0], 2**23 - 1, "E railed")],
)
def test_the_events_of_a_sensor_with_a_bad_component_are_marked(
    model, stream, columns, value, mark
):
    """From the first message on: the component was bad before."""
    counts = stream[0].copy()
    counts[:, columns] = value
    messages, counted, _ = run(model, wire(counts, adc_bits=24))
    assert messages and {m["degraded"] for m in messages} == {mark}
    assert counted.components.faulty == len(columns)
