"""The Cortex-M3 firmware on QEMU, sampling an earthquake, drives `eqedge run` in real time.

Two stations run side by side for a minute and a half: one undisturbed, one whose crystal is 200 ppm
off and that meets damaged bytes, a reset and a cut line before the earthquake.
"""

import json
import random
import select
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from eqedge.edge.assemble import Assembler
from eqedge.edge.dating.arrivals import HostClock
from eqedge.edge.replay.synthetic import earthquake, noise
from eqedge.edge.sources import now
from eqedge.edge.tools.sensor.waveform import waveform_bytes
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.packets import Hello
from eqedge.models.registry import DEFAULT_MODEL

P_SAMPLE = 4500
"""Sample of the P wave in the board's waveform."""
MODEL = DEFAULT_MODEL
MARK_SAMPLES = 250
"""The board sends a mark on another line at each multiple of this sample; P_SAMPLE is one."""
RATES_HZ = {"calm": 100.0, "rough": 100.02}


def quake():
    """30 s of noise and a minute with a local earthquake in it; P at P_SAMPLE."""
    rng = np.random.default_rng(22)
    lead = noise(rng, transients=False).waveform[:3000]
    record = earthquake(rng, p_arrival_sample=1500, distance_km=40.0, snr_db=40.0)
    return np.rint(np.concatenate([lead, record.waveform])).astype(np.int32)


class Cable(threading.Thread):
    """The line between board and daemon: can be cut, can damage bytes; listens with a clock."""

    def __init__(self, board_url):
        """Wait for the daemon, then for the board."""
        super().__init__(daemon=True)
        self._board_at = ("127.0.0.1", int(board_url.rsplit(":", 1)[1]))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self.damage = 0.0
        self.damaged = self.cuts = 0
        self._cut = threading.Event()
        self._ended = False
        self._random = random.Random(6)
        self.decoder = Decoder()
        self.assembler = Assembler(100.0, lambda hello: HostClock(hello.rate_hz))
        self.dated = []
        """(sample number of this boot, boot mark, number the daemon gives it, arrival's date)."""

    def cut(self):
        """Hang up on both sides; they find each other again after a second."""
        self._cut.set()

    def end(self):
        """Stop forwarding."""
        self._ended = True
        self.join(120)
        self._server.close()

    def run(self):
        """Forward bytes both ways until ended."""
        while not self._ended:
            if not select.select([self._server], [], [], 0.2)[0]:
                continue
            daemon, _ = self._server.accept()
            with daemon, socket.create_connection(self._board_at) as board:
                for end in (daemon, board):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._forward(daemon, board)
            time.sleep(1.0 if self._cut.is_set() else 0.0)
            self._cut.clear()

    def _forward(self, daemon, board):
        while not self._ended and not self._cut.is_set():
            for source in select.select([daemon, board], [], [], 0.1)[0]:
                data = source.recv(65536)
                if not data:
                    return
                if source is daemon:
                    board.sendall(data)
                else:
                    self._listen(data)
                    daemon.sendall(self._spoil(data))
        self.cuts += self._cut.is_set()

    def _listen(self, data):
        """What the daemon's own dating makes of the stream as it arrives here."""
        arrival = now()
        for packet in self.decoder.feed(data):
            block = self.assembler.push(packet, arrival)
            if block is not None:
                self.dated.append(
                    (packet.first_sample, packet.boot, block.first_sample, block.start_time_ns)
                )

    def _spoil(self, data):
        if not self.damage:
            return data
        spoilt = bytearray(data)
        for at in range(len(spoilt)):
            if self._random.random() < self.damage:
                spoilt[at] ^= 1 << self._random.randrange(8)
                self.damaged += 1
        return bytes(spoilt)


class Station:
    """A board, its cable, and a daemon that writes what it finds."""

    def __init__(self, cortexm, folder, boot_id, crystal_ppm):
        """Start all three."""
        self.rate_hz = 100.0 * (1 + crystal_ppm * 1e-6)
        hello = Hello(
            f"station-{boot_id}", "", 100.0, ("HHE", "HHN", "HHZ"), adc_bits=32, boot_id=boot_id
        )
        self.board = cortexm(
            waveform_bytes(hello, quake(), crystal_ppm=crystal_ppm, mark_sample=MARK_SAMPLES)
        )
        self.cable = Cable(self.board.url)
        self.cable.start()
        self.output = folder / f"events-{boot_id}.jsonl"
        arguments = ["run", "--serial", self.cable.url, "--output", self.output, "--model", MODEL]
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "eqedge", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def events(self):
        """The messages written so far."""
        if not self.output.exists():
            return []
        lines = self.output.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def p_times(self):
        """Seconds of UTC of each announced P pick, by the latest message of each event."""
        latest = {message["event_id"]: message for message in self.events()}
        return [
            pick["time_ns"] / 1e9
            for message in latest.values()
            for pick in message["picks"]
            if pick["phase"] == "P"
        ]

    def p_sampled(self):
        """UTC at which the board took P_SAMPLE in its last boot, by the mark that came least late.

        Marks can come late, never early.
        """
        marks = self.board.marks()
        boots = [k for k in range(len(marks)) if k == 0 or marks[k][1] < marks[k - 1][1]]
        arrivals = [came for came, _ in marks[boots[-1] :]]
        taken = [
            came - (n * MARK_SAMPLES - P_SAMPLE) / self.rate_hz
            for n, came in enumerate(arrivals, start=1)
        ]
        return min(taken) + time.time() - time.monotonic()

    def stop(self):
        """End daemon and cable; return the daemon's log."""
        self.daemon.terminate()
        try:
            _, log = self.daemon.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            _, log = self.daemon.communicate()
        self.cable.end()
        return log


@pytest.fixture(scope="module")
def stations(cortexm_for_module, tmp_path_factory):
    """Run both stations until each has announced a P, or for five minutes."""
    folder = tmp_path_factory.mktemp("stations")
    calm = Station(cortexm_for_module, folder, boot_id=100, crystal_ppm=0.0)
    rough = Station(cortexm_for_module, folder, boot_id=200, crystal_ppm=200.0)
    until = time.monotonic() + 120  # the daemon is slow to come up when busy
    while not rough.cable.decoder.losses.frames_ok:
        assert time.monotonic() < until, "no frame came from the board"
        time.sleep(0.05)
    began = time.monotonic()
    plan = [
        (4.0, lambda: setattr(rough.cable, "damage", 2e-3)),
        (9.0, lambda: setattr(rough.cable, "damage", 0.0)),
        (10.0, rough.board.press_reset),
        (14.0, rough.cable.cut),
    ]
    while time.monotonic() < began + 300:
        if plan and time.monotonic() > began + plan[0][0]:
            plan.pop(0)[1]()
        if not plan and calm.p_times() and rough.p_times():
            break
        time.sleep(0.1)
    time.sleep(0.1)
    truths = [station.p_sampled() for station in (calm, rough)]
    logs = [station.stop() for station in (calm, rough)]
    return {"calm": (calm, truths[0], logs[0]), "rough": (rough, truths[1], logs[1])}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["calm", "rough"])
def test_the_earthquake_is_found_at_its_time(stations, name):
    """One event, its P within 0.5 s of the moment at which the board sampled it."""
    station, truth, log = stations[name]
    times = station.p_times()
    assert len(times) == 1, (times, log)
    assert times[0] == pytest.approx(truth, abs=0.5)
    first = station.events()[0]
    assert first["type"] == "new" and first["channels"] == ["HHE", "HHN", "HHZ"]


@pytest.mark.parametrize("name", ["calm", "rough"])
def test_samples_are_dated_within_20_ms(stations, name):
    """Arrivals alone, without time requests, date the P sample to where the mark was."""
    station, truth, _ = stations[name]
    boot = station.cable.assembler.hello.boot
    at, when = next(
        (n, ns) for n, b, _, ns in station.cable.dated if b == boot and n <= P_SAMPLE < n + 25
    )
    assert when / 1e9 + (P_SAMPLE - at) / RATES_HZ[name] == pytest.approx(truth, abs=0.020)


@pytest.mark.parametrize("name", ["calm", "rough"])
def test_the_event_is_stamped_within_20_ms(stations, name):
    """The event is dated by the sensor's ticks: at the instant of the sample of the P.

    A busy machine receives the board's marks late; the event's error bound allows for it.
    """
    station, truth, _ = stations[name]
    boot = station.cable.assembler.hello.boot
    marked = next(
        number + P_SAMPLE - n
        for n, b, number, _ in station.cable.dated
        if b == boot and n <= P_SAMPLE < n + 25
    )
    event = station.events()[0]
    assert event["clock"]["source"] == "ticks"
    error_s = event["clock"]["error_s"]
    assert error_s < 0.050
    pick = next(pick for pick in event["picks"] if pick["phase"] == "P")
    stamped = pick["time_ns"] / 1e9 + (marked - pick["sample"]) / RATES_HZ[name]
    assert stamped == pytest.approx(truth, abs=0.020 + error_s)


def test_the_rough_station_had_a_rough_time(stations):
    """Bytes were damaged, the line was cut, the board was reset; the daemon noticed the cut."""
    station, _, log = stations["rough"]
    assert station.cable.damaged > 0 and station.cable.cuts == 1
    assert station.cable.assembler.hello.boot_id == 201
    assert "port lost" in log and "is back" in log
