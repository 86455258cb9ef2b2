"""Measure whole nodes: `eqedge run` as a process at sixty times real time, and a replay."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import numpy as np

from ... import EqedgeError
from ...firmware_bridge.packets import Hello
from ...firmware_bridge.virtual import VirtualSensor
from ...models.registry import Model
from ..node import daemon_of
from ..process import cpu_seconds, resident_bytes
from ..replay.request import Replay
from ..replay.sample import write_sample
from ..replay.simulation import Simulation
from ..replay.synthetic import earthquake
from ..settings.node import Settings

SPEED = 60.0
"""Multiple of real time at which a node receives data: an hour in a minute."""
PACKET = 25
RECORD_SECONDS = 240
REPLAYED_TRACES = 40
"""Traces of the replay: an hour, with the noise between them."""
PATIENCE_SECONDS = 120.0
CONFIG = """output = "{folder}/triggers.jsonl"
model = "{model}"
model_fallback = false
[sensor]
port = "socket://127.0.0.1:{port}"
speed = {speed}
[window]
hop_seconds = {hop}
max_lag_seconds = 60.0
[health]
interval_seconds = 1.0
json_file = "{folder}/health.json"
"""


class BenchError(EqedgeError):
    """A node cannot be measured on this machine."""


@dataclass(frozen=True)
class NodeCost:
    """Cost of one node.

    Attributes:
        hop_seconds: From window to window.
        data_seconds: Data that it scored after the first window.
        ready_seconds: From its start as a process to its `READY`: model loaded, port open.
        first_window_ms: From the newest sample of a window to its score, the longest in the first
            health record with a scored window.
        cpu_percent: Of one core, in real time: CPU time divided by data time.
        rss_start_mb: Memory right after the first window.
        rss_end_mb: Memory at the end.
    """

    hop_seconds: float
    data_seconds: float
    ready_seconds: float
    first_window_ms: float
    cpu_percent: float
    rss_start_mb: float
    rss_end_mb: float


@dataclass(frozen=True)
class ReplayCost:
    """Cost of one replay at `--speed max`, without outputs.

    Attributes:
        data_seconds: Data that was replayed.
        windows_per_second: Windows prepared, scored and searched for picks.
        times_real_time: Data time divided by wall time.
        times_cpu_time: Data time divided by CPU time: the same on a machine without other load.
    """

    data_seconds: float
    windows_per_second: float
    times_real_time: float
    times_cpu_time: float


def measure_node(model: str, hop_seconds: float, minutes: float) -> NodeCost:
    """Start `eqedge run`, send it some minutes of data, and measure the process.

    Args:
        model: Name or file.
        hop_seconds: Of the node.
        minutes: Length of the data after the first window.

    Raises:
        BenchError: There is no /proc, or the node ends or scores nothing.
    """
    if not Path("/proc/self/statm").exists():
        raise BenchError("measuring a node needs Linux's /proc; use --minutes 0 on this system")
    with tempfile.TemporaryDirectory(prefix="eqedge-bench-") as name, _Player() as player:
        folder = Path(name)
        values = {"folder": folder, "model": model, "port": player.port, "speed": SPEED}
        config = folder / "bench.toml"
        config.write_text(CONFIG.format(hop=hop_seconds, **values))
        config.chmod(0o600)
        with _manager(folder) as manager, (folder / "log").open("wb") as log:
            begin = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "eqedge", "run", "--config", str(config)],
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")},
            )
            try:
                return _watch(process, manager, folder, begin, hop_seconds, minutes)
            finally:
                process.kill()
                process.wait()


def replay(model: Model) -> ReplayCost:
    """Replay synthetic traces as `eqedge run --sim --speed max` does."""
    with tempfile.TemporaryDirectory(prefix="eqedge-bench-") as name:
        path = Path(name) / "sample.hdf5"
        write_sample(path, events=REPLAYED_TRACES, noise_traces=0, seed=1)
        with Simulation(Replay(path), model.spec.sampling_rate_hz, Event()) as simulation:
            daemon = daemon_of(Settings(), model, simulation.source, live=False)
            began = time.process_time()
            counts = daemon.run([])
            processor_seconds = time.process_time() - began
    seconds = counts.stream.seconds
    return ReplayCost(
        data_seconds=seconds,
        windows_per_second=counts.windows_scored / counts.wall_seconds,
        times_real_time=seconds / counts.wall_seconds,
        times_cpu_time=seconds / processor_seconds,
    )


def _watch(
    process: subprocess.Popen[bytes],
    manager: socket.socket,
    folder: Path,
    begin: float,
    hop_seconds: float,
    minutes: float,
) -> NodeCost:
    received: list[bytes] = []

    def alive() -> None:
        with suppress(BlockingIOError):
            while True:  # read as it fills: the usual queue holds ten
                received.append(manager.recv(4096))
        if process.poll() is not None:
            lines = (folder / "log").read_text(errors="replace").strip().splitlines()
            raise BenchError(f"the node ended: {lines[-1] if lines else process.returncode}")

    def ready() -> bool:
        return any(b"READY=1" in text for text in received)

    def newest() -> dict[str, float]:
        with suppress(OSError, ValueError):
            found: dict[str, float] = json.loads((folder / "health.json").read_text())
            return found
        return {}

    def windows() -> float:
        return newest().get("windows_total", 0)

    def at_a_record() -> tuple[float, float]:
        """Return windows scored and CPU time, right after a health record."""
        before = newest()["uptime_seconds"]
        _wait(lambda: newest().get("uptime_seconds", before) > before, alive)
        return windows(), cpu_seconds(process.pid)

    _wait(ready, alive)
    ready_seconds = time.monotonic() - begin
    _wait(lambda: windows() > 0, alive)
    first_window_ms = 1000 * newest()["lag_seconds"]
    rss_start = resident_bytes(process.pid) / 1e6
    scored, cpu = at_a_record()
    wanted = 60 * minutes / hop_seconds
    _wait(lambda: windows() - scored >= wanted, alive, 60 * minutes)
    last_scored, last_cpu = at_a_record()
    # By what was scored: on a busy machine the node is behind what was sent.
    data_seconds = (last_scored - scored) * hop_seconds
    return NodeCost(
        hop_seconds=hop_seconds,
        data_seconds=round(data_seconds, 1),
        ready_seconds=round(ready_seconds, 3),
        first_window_ms=round(first_window_ms, 2),
        cpu_percent=round(100 * (last_cpu - cpu) / data_seconds, 3),
        rss_start_mb=round(rss_start, 1),
        rss_end_mb=round(resident_bytes(process.pid) / 1e6, 1),
    )


def _wait(condition: Callable[[], bool], alive: Callable[[], None], seconds: float = 0.0) -> None:
    deadline = time.monotonic() + seconds + PATIENCE_SECONDS
    while not condition():
        alive()
        if time.monotonic() > deadline:
            raise BenchError(
                "the node makes no progress; check what else is running on this machine"
            )
        time.sleep(0.002)


@contextmanager
def _manager(folder: Path) -> Iterator[socket.socket]:
    """Receive the service's notifications, as systemd does."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as receiver:
        receiver.bind(str(folder / "notify"))
        receiver.setblocking(False)
        yield receiver


class _Player:
    """A sensor on a TCP port that plays an earthquake every few minutes, faster than real time."""

    def __init__(self) -> None:
        self._over = Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self._thread = Thread(target=self._play, daemon=True)

    def __enter__(self) -> _Player:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends a waiting accept
        self._listener.close()
        self._thread.join()

    def _play(self) -> None:
        hello = Hello("bench", "bench", 100.0, ("HHE", "HHN", "HHZ"))
        sensor = VirtualSensor(hello, PACKET)
        rng = np.random.default_rng(1)
        samples = round(RECORD_SECONDS * hello.rate_hz)
        counts = np.rint(earthquake(rng, n_samples=samples).waveform).astype(np.int32)
        with suppress(OSError):  # the node has ended, or never connected
            connection, _ = self._listener.accept()
            with connection:
                connection.sendall(sensor.greet())
                begin, sent = time.monotonic(), 0
                while not self._over.is_set():
                    at = sent % samples
                    connection.sendall(sensor.push(counts[at : at + PACKET]))
                    sent += PACKET
                    ahead = begin + sent / hello.rate_hz / SPEED - time.monotonic()
                    self._over.wait(max(0.0, ahead))
