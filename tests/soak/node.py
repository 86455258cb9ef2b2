"""`eqedge run` as a process with a clock that can be set, started again whenever it is gone."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.support.broker import PATIENCE_SECONDS, wait_until

from .disk import Disk

NO_PORT = 2
"""Exit code where the port is not there at the start."""
LOOK_SECONDS = 0.5


class Node:
    """The process, what it writes, and its health record.

    Args:
        folder: For its config, log and health record.
        disk: For its output and spool.
        sensor_port: TCP port of the sensor.
        broker_port: TCP port of the broker.
        speed: At which the sensor plays.
    """

    def __init__(
        self, folder: Path, disk: Disk, sensor_port: int, broker_port: int, speed: float
    ) -> None:
        self.output = disk.folder / "triggers.jsonl"
        self.starts = self.exits = self.sensorless = 0
        self.peak_kb = 0
        self.records: list[dict] = []
        self._clock = folder / "clock"
        self._health = folder / "health.json"
        self._config = folder / "soak.toml"
        self._log = folder / "eqedge.log"
        self._next_look = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._config.write_text(f"""
output = "{self.output}"
[sensor]
port = "socket://127.0.0.1:{sensor_port}"
speed = {float(speed)}
[window]
max_lag_seconds = 60.0
[mqtt]
host = "127.0.0.1"
port = {broker_port}
retry_min_seconds = 0.1
retry_max_seconds = 1.0
keepalive_seconds = 5
drain_seconds = 60.0
[file]
rotate_bytes = 262144
keep_files = 1000
[health]
interval_seconds = 1.0
json_file = "{self._health}"
""")
        self._config.chmod(0o600)
        self._clock.write_bytes(bytes(8))
        library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True
        )
        self._environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "SOAK_CLOCK": str(self._clock),
        }

    @property
    def process_id(self) -> int:
        """Of the one that runs, or ran last."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it."""
        self.starts += 1
        command = [sys.executable, "-m", "eqedge", "run", "--config", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)

    def kill(self) -> None:
        """Kill it between two instructions."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def set_clock(self, ahead_seconds: float) -> None:
        """Let its clock be so far ahead of the machine's; its monotonic clock is left alone."""
        with self._clock.open("r+b") as file:
            file.write(struct.pack("=q", round(ahead_seconds * 1e9)))

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
        self._next_look = time.monotonic() + LOOK_SECONDS
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

    def wait_for_lines(self) -> None:
        """Wait until it has written what waited for a disk that refused.

        It offers the lines again with its next health record. Killed before that it may lose
        what the broker has not got yet: nobody promised otherwise.
        """
        seen = len(self.records)

        def has_written() -> bool:
            self.look_after()
            # the first of two may have been on its way
            return len(self.records) >= seen + 2 and self.records[-1]["output_waiting_lines"] == 0

        wait_until(has_written, "the node writes what waited")

    def end(self) -> None:
        """Stop it as an operator does, once the broker has everything."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def messages(self) -> list[dict]:
        """All lines, the oldest file first."""
        older = sorted(
            self.output.parent.glob(f"{self.output.name}.[0-9]*"),
            key=lambda path: -int(path.suffix[1:]),
        )
        text = "".join(path.read_text() for path in [*older, self.output])
        return [json.loads(line) for line in text.splitlines()]
