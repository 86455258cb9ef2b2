"""Simulated days on a bad line, with a bad broker, a full disk and kills; ends with an account.

    python -m tests.soak --hours 24 --speed 100 --seed 1

plays earthquakes to a real `eqedge run --config` over TCP, faster than life, with a real mosquitto
behind it. The plan of faults follows from the seed. The account must say that nothing was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from eqedge.edge.clock import replayed_ns
from eqedge.edge.delivery.spool import Spool
from eqedge.edge.replay.synthetic import earthquake
from eqedge.firmware_bridge.packets import Hello
from eqedge.firmware_bridge.virtual import VirtualSensor

from .broker import Broker, free_port, wait_until

RATE = 100
PACKET = 25
CELL_SECONDS = 240
"""One earthquake in each."""
WARM_SECONDS = 75
"""Undisturbed before P: a window must fill first."""
AFTER_SECONDS = 45
"""Undisturbed after S: the event must have been told."""
CALM_SHARE = 0.6
"""Only before this part of the time the node is killed, so that memory can be followed after."""
FAULT_EVERY_SECONDS = 600
KINDS = ("kill", "unplug", "broker stops", "broker freezes", "kill without broker", "disk full")
NO_PORT = 2
"""Exit code where the port is not there at the start."""
TELLABLE_SECONDS = 60
"""Samples that wait for more data than this are dated so late that earthquakes are confused."""
BYTES_WRONG, FRAMES_LOST, FRAMES_TWICE = 1e-4, 1e-3, 1e-3


@dataclass(frozen=True)
class Fault:
    """What happens, when, and for how long, in seconds of data."""

    at: float
    kind: str
    seconds: float


def plan(rng: random.Random, hours: float) -> Iterator[Fault]:
    """Yield faults one after another, each kind in turn in a shuffled order."""
    at, kinds = 300.0, []
    while at < hours * 3600 - 400:
        kinds = kinds or rng.sample(KINDS, len(KINDS))
        kind = kinds.pop()
        if "kill" in kind and at > CALM_SHARE * hours * 3600:
            continue
        fault = Fault(at, kind, rng.uniform(20, 150))
        yield fault
        at += fault.seconds + rng.expovariate(1 / FAULT_EVERY_SECONDS)


@dataclass
class Quake:
    """One earthquake that was played: samples, and the replay's time of its P.

    The player can be late itself, and the node's clock then learns the later time, or not.
    """

    p: int
    s: int
    planned_ns: int = 0
    sent_ns: int = 0

    def is_at(self, time_ns: int) -> bool:
        """Whether an event that begins then is this one; the next is minutes away."""
        return any(-30e9 < time_ns - own < 60e9 for own in (self.planned_ns, self.sent_ns))


@dataclass
class Account:
    """What came of it; `lost` and `missed` must be 0."""

    hours: float
    seed: int
    expected: int = 0
    """Earthquakes played while nothing but single frames was disturbed."""
    missed: int = 0
    """Of these, without an event in the file."""
    played: int = 0
    lines: int = 0
    events: int = 0
    at_broker: int = 0
    duplicates_in_file: int = 0
    duplicates_at_broker: int = 0
    lost: int = 0
    """Messages in the file that the broker never got."""
    only_at_broker: int = 0
    never_ended: int = 0
    """Events without `end`; a kill may leave one."""
    left_in_spool: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    frames: int = 0
    frames_damaged: int = 0
    starts: int = 0
    starts_without_sensor: int = 0
    """Started again while the sensor was unplugged: exit code 2, and again."""
    exits_of_its_own: int = 0
    windows_skipped: int = 0
    lag_seconds: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Quantiles 0.5, 0.95 and 0.99 of the worst lag of each second of the clock on the wall."""
    peak_rss_mb: float = 0.0
    rss_slope_kb_per_hour: float = 0.0
    """Of data, over the last stretch without a restart."""
    disk_kb: int = 0
    wall_seconds: float = 0.0


class Sensor:
    """A sensor behind a TCP port on a bad line; what it takes while nobody reads is gone."""

    def __init__(self, rng: random.Random) -> None:
        hello = Hello("soak", "tests/soak.py", float(RATE), ("HHE", "HHN", "HHZ"))
        self.port = free_port()
        self.damaged = self.frames = 0
        self.disturbed: list[int] = []
        """Samples at which the stream was broken for longer than is bridged."""
        self._rng = rng
        self._sensor = VirtualSensor(hello, PACKET)
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None
        self._bad_in_a_row = 0

    def plug_in(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.setblocking(False)

    def unplug(self) -> None:
        """Hang up, and take no calls."""
        for end in (self._connection, self._listener):
            if end is not None:
                end.close()
        self._connection = self._listener = None

    def send(self, counts: np.ndarray, at: int) -> None:
        """Send one packet, if anybody is there."""
        self._look_for_reader()
        if self._connection is None:
            self._sensor.skip(len(counts))
            self.disturbed.append(at)
            return
        try:
            with suppress(BlockingIOError):
                asked = self._connection.recv(4096)
                if not asked:
                    raise ConnectionResetError
                self._put(self._sensor.receive(asked))
            self._put(self._spoil(self._sensor.push(counts), at))
        except OSError:
            self._connection.close()
            self._connection = None
            self.disturbed.append(at)

    def _put(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.settimeout(10)
        self._connection.sendall(data)
        self._connection.setblocking(False)

    def _look_for_reader(self) -> None:
        if self._listener is not None and self._connection is None:
            with suppress(BlockingIOError):
                self._connection, _ = self._listener.accept()
                self._connection.setblocking(False)

    def _spoil(self, data: bytes, at: int) -> bytes:
        out = []
        for piece in data.split(b"\0")[:-1]:
            self.frames += 1
            whole = bytearray(piece + b"\0")
            luck = self._rng.random()
            lost = luck < FRAMES_LOST
            wrong = self._rng.random() > (1 - BYTES_WRONG) ** len(whole)
            if wrong:
                whole[self._rng.randrange(len(whole))] ^= 1 << self._rng.randrange(8)
            self._bad_in_a_row = self._bad_in_a_row + 1 if lost or wrong else 0
            self.damaged += lost or wrong
            if self._bad_in_a_row > 1:
                self.disturbed.append(at)
            if not lost:
                out.append(bytes(whole) * (2 if luck > 1 - FRAMES_TWICE else 1))
        return b"".join(out)


class Node:
    """`eqedge run` as a process, started again whenever it is gone."""

    def __init__(self, folder: Path, sensor: Sensor, broker: Broker, speed: float) -> None:
        self.output = folder / "triggers.jsonl"
        self.starts = self.exits = self.sensorless = 0
        self.peak_kb = 0
        self.records: list[dict] = []
        self._health = folder / "health.json"
        self._config = folder / "soak.toml"
        self._log = folder / "eqedge.log"
        self._next_look = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._config.write_text(f"""
output = "{self.output}"
[sensor]
port = "socket://127.0.0.1:{sensor.port}"
speed = {float(speed)}
[mqtt]
host = "127.0.0.1"
port = {broker.port}
retry_min_seconds = 0.1
retry_max_seconds = 1.0
keepalive_seconds = 2
drain_seconds = 20.0
[file]
rotate_bytes = 262144
keep_files = 1000
[health]
interval_seconds = 1.0
json_file = "{self._health}"
""")
        self._config.chmod(0o600)

    def start(self) -> None:
        """Start it."""
        self.starts += 1
        command = [sys.executable, "-m", "eqedge", "run", "--config", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill it between two instructions."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def look_after(self) -> None:
        """Start it again if it is gone; read its newest health record."""
        assert self._process is not None
        if self._process.poll() is not None:
            code = self._process.returncode
            self.sensorless += code == NO_PORT
            self.exits += code not in (-signal.SIGKILL, NO_PORT)
            self.start()
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + 0.5
        with suppress(OSError, ValueError):
            record = json.loads(self._health.read_text())
            if not self.records or record["time"] != self.records[-1]["time"]:
                self.records.append(record)
                with self._log.with_name("records.jsonl").open("a") as file:
                    print(json.dumps(record), file=file)
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
            peak = next(line for line in lines if line.startswith("VmHWM"))
            self.peak_kb = max(self.peak_kb, int(peak.split()[1]))

    def fill_disk(self, full: bool) -> None:
        """Let no file of its grow beyond what it is, as on a full disk; or let them again."""
        assert self._process is not None
        limit = 0 if full else resource.RLIM_INFINITY
        with suppress(ProcessLookupError):
            resource.prlimit(
                self._process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)
            )

    def end(self) -> None:
        """Stop it as an operator does, once the broker has everything."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)

    def messages(self) -> list[dict]:
        """All lines, the oldest file first."""
        older = sorted(
            self.output.parent.glob(f"{self.output.name}.[0-9]*"),
            key=lambda path: -int(path.suffix[1:]),
        )
        text = "".join(path.read_text() for path in [*older, self.output])
        return [json.loads(line) for line in text.splitlines()]


class Soak:
    """One run."""

    def __init__(self, folder: Path, hours: float, speed: float, seed: int) -> None:
        self._rng = random.Random(seed)
        self._waves = np.random.default_rng(seed)
        self._speed = speed
        self._hours = hours
        self._folder = folder
        self._faults = list(plan(self._rng, hours))
        self.broker = Broker(folder).reserve("eqedge/#")
        self.sensor = Sensor(self._rng)
        self.node = Node(folder, self.sensor, self.broker, speed)
        self.quakes: list[Quake] = []
        self.account = Account(hours, seed, faults=dict(Counter(f.kind for f in self._faults)))

    def run(self) -> Account:
        """Play, disturb, count."""
        began = time.monotonic()
        self.broker.start()
        self.sensor.plug_in()
        self.node.start()
        with self.broker.collect() as heard:
            self._play()
            # The newest event may still want a window that comes with more samples only.
            self.node.end()
            with suppress(AssertionError):
                heard.wait_for(lambda got: not self._missing(got.json("event")), 30)
            self._count(heard.json("event"))
        self.broker.stop()
        self.account.wall_seconds = round(time.monotonic() - began, 1)
        return self.account

    def _play(self) -> None:
        # the first samples of a run that starts with the program would only wait for it
        wait_until(self._is_called, "the node opens the port", 30)
        steps = list(self._steps())
        begin, begin_ns = time.monotonic(), time.time_ns()
        for cell in range(round(self._hours * 3600 / CELL_SECONDS)):
            first = cell * CELL_SECONDS * RATE
            counts, quake = self._cell(first)
            self.quakes.append(quake)
            for at in range(0, len(counts), PACKET):
                sample = first + at
                ahead = begin + sample / RATE / self._speed - time.monotonic()
                if ahead > 0.002:
                    time.sleep(ahead)
                while steps and steps[0][0] <= sample / RATE:
                    steps.pop(0)[1](sample)
                self.node.look_after()
                self.sensor.send(counts[at : at + PACKET], sample)
                if sample <= quake.p < sample + PACKET:
                    planned_ns = begin_ns + round(quake.p / RATE / self._speed * 1e9)
                    quake.planned_ns = replayed_ns(planned_ns, self._speed)
                    quake.sent_ns = replayed_ns(time.time_ns(), self._speed)

    def _is_called(self) -> bool:
        self.sensor._look_for_reader()
        return self.sensor._connection is not None

    def _cell(self, first: int) -> tuple[np.ndarray, Quake]:
        record = earthquake(
            self._waves,
            n_samples=CELL_SECONDS * RATE,
            p_arrival_sample=int(self._waves.integers(90, 140)) * RATE,
            distance_km=float(self._waves.uniform(10, 60)),
            magnitude=2.5,
            snr_db=float(self._waves.uniform(35, 50)),
        )
        quake = Quake(first + record.p_arrival_sample, first + record.s_arrival_sample)
        return np.rint(record.waveform).astype(np.int32), quake

    def _steps(self) -> Iterator[tuple[float, object]]:
        """Yield (second, what is done then) in order."""
        for fault in self._faults:
            begin, end = {
                "kill": (self._kill, self._nothing),
                "unplug": (lambda at: self.sensor.unplug(), lambda at: self.sensor.plug_in()),
                "broker stops": (lambda at: self.broker.stop(), lambda at: self.broker.start()),
                "broker freezes": (
                    lambda at: self.broker.signal(signal.SIGSTOP),
                    lambda at: self.broker.signal(signal.SIGCONT),
                ),
                "kill without broker": (lambda at: self.broker.stop(), self._kill_and_start),
                "disk full": (
                    lambda at: self.node.fill_disk(True),
                    lambda at: self.node.fill_disk(False),
                ),
            }[fault.kind]
            yield fault.at, begin
            yield fault.at + fault.seconds, end

    def _nothing(self, at: int) -> None:
        """End of a fault that has no length."""

    def _kill(self, at: int) -> None:
        self.sensor.disturbed.append(at)
        self.node.kill()

    def _kill_and_start(self, at: int) -> None:
        self._kill(at)
        self.broker.start()

    def _missing(self, arrived: list[dict]) -> set[tuple[str, int]]:
        return {key(m) for m in self.node.messages()} - {key(m) for m in arrived}

    def _count(self, arrived: list[dict]) -> None:
        account, lines = self.account, self.node.messages()
        keys, got = {key(m) for m in lines}, {key(m) for m in arrived}
        account.lines, account.at_broker = len(lines), len(arrived)
        account.duplicates_in_file = len(lines) - len(keys)
        account.duplicates_at_broker = len(arrived) - len(got)
        account.lost, account.only_at_broker = len(keys - got), len(got - keys)
        account.events = len({m["event_id"] for m in lines})
        account.never_ended = account.events - sum(m["type"] == "end" for m in lines)
        spool = Spool(self.node.output.with_name(self.node.output.name + ".spool"))
        account.left_in_spool = len(spool)
        spool.close()
        starts = {m["start_time_ns"] for m in lines}
        broken = np.array(self.sensor.disturbed)
        account.played = len(self.quakes)
        for quake in self.quakes:
            first, last = quake.p - WARM_SECONDS * RATE, quake.s + AFTER_SECONDS * RATE
            if first < 0 or np.any((broken >= first) & (broken <= last)):
                continue
            account.expected += 1
            account.missed += not any(quake.is_at(start) for start in starts)
        account.frames, account.frames_damaged = self.sensor.frames, self.sensor.damaged
        account.starts, account.exits_of_its_own = self.node.starts, self.node.exits
        account.starts_without_sensor = self.node.sensorless
        self._measure()

    def _measure(self) -> None:
        account, records = self.account, self.node.records
        account.peak_rss_mb = round(self.node.peak_kb / 1024, 1)
        if not records:
            return
        lags = [r["lag_seconds"] for r in records if r["lag_seconds"] is not None]
        quantiles = np.quantile(lags, [0.5, 0.95, 0.99]) if lags else np.zeros(3)
        account.lag_seconds = tuple(round(float(q), 4) for q in quantiles)
        last = [r for r in records if r["boot_id"] == records[-1]["boot_id"]]
        by_boot = {r["boot_id"]: r["windows_skipped_total"] for r in records}
        account.windows_skipped = sum(by_boot.values())
        settled = last[len(last) // 4 :]
        if len(settled) >= 3:
            hours = [r["samples_total"] / RATE / 3600 for r in settled]
            memory = [r["resident_memory_bytes"] / 1024 for r in settled]
            account.rss_slope_kb_per_hour = round(float(np.polyfit(hours, memory, 1)[0]), 1)
        files = [p for p in self._folder.iterdir() if p.name.startswith("triggers.jsonl")]
        account.disk_kb = sum(p.stat().st_blocks for p in files) // 2


def key(message: dict) -> tuple[str, int]:
    """What a receiver tells messages apart by."""
    return message["event_id"], message["sequence"]


def main() -> None:
    """Run one soak; exit 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0, help="simulated (default 24)")
    parser.add_argument("--speed", type=float, default=100.0, help="times real time (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="of earthquakes and faults")
    parser.add_argument("--keep", type=Path, help="a folder for all files, kept afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eqedge-soak-") as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        account = Soak(folder, options.hours, options.speed, options.seed).run()
    for name, value in vars(account).items():
        print(f"{name:24} {value}")
    waited = account.lag_seconds[2] * options.speed
    if waited > TELLABLE_SECONDS:
        print(f"samples waited for {waited:.0f} s of data: `missed` means nothing; lower --speed")
    bad = account.lost or account.missed or account.left_in_spool or account.exits_of_its_own
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
