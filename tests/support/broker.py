"""A real mosquitto on a free loopback port, and mosquitto_sub as an independent receiver.

    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        ...
        received.wait_for(lambda got: len(got.json("event")) == 3)

What arrives right after a restart, before a receiver can be connected, is kept by the broker for
a session that was made before:

    broker = Broker(tmp_path).reserve("eqedge/#")
    ...
    with broker, broker.collect() as received:
        ...

Import it relatively, `from ..broker import Broker`, or the fixture `broker` into a conftest.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from .selection import require_slow

PATIENCE_SECONDS = 120.0
"""How long a test waits for what must come; generous, since a busy machine is not a failure."""
SESSION = "reserved"


def find(program: str) -> str:
    """Return the path of a program, also one in sbin, or skip the test."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    require_slow("a broker")
    if path is None:
        pytest.skip(f"{program} is not installed: apt-get install mosquitto mosquitto-clients")
    return path


_PORTS = iter(random.Random(os.getpid()).sample(range(10_000, 32_000), 20_000))
"""Below those from which the system takes a port for a caller, in another order in each worker."""


def free_port() -> int:
    """Return a loopback port nobody listens on, and nobody else is likely to take meanwhile."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def wait_until(
    condition: Callable[[], Any], what: str = "", seconds: float = PATIENCE_SECONDS
) -> None:
    """Return as soon as the condition holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.01)


class Broker:
    """One mosquitto, which can be stopped, killed, frozen and started again on its port.

    Args:
        folder: For its configuration, log and store.
        config: More lines, for its listener, which accepts anyone unless they begin with
            `allow_anonymous false`, or for a second one, with passwords or TLS.
        port: Fixed port; a free one by default.
        receive_port: A second listener, which accepts anyone whatever `config` contains; receivers
            use it. By default there is none.
    """

    def __init__(
        self, folder: Path, *, config: str = "", port: int = 0, receive_port: int = 0
    ) -> None:
        self.port = port or free_port()
        self.receive_port = receive_port or self.port
        self.log_path = folder / f"mosquitto-{self.port}.log"
        self._config_path = folder / f"mosquitto-{self.port}.conf"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(config)

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.port}"

    def configure(self, config: str) -> None:
        """Set the configuration for the next start."""
        lines = ["per_listener_settings true", "log_type all", f"listener {self.port} 127.0.0.1"]
        lines += [] if config.startswith("allow_anonymous") else ["allow_anonymous true"]
        lines.append(config)
        # Without limits of its own it hands a message on before it acknowledges it, so that even
        # one killed right after an acknowledgement has lost nothing.
        # (To 2.0.11 a queue of 0 is a full one; it disconnects a client whose message it rejects.)
        lines += ["max_inflight_messages 0", "max_queued_messages 1000000"]
        # Saved on SIGTERM; a killed one starts from what was saved before.
        lines += ["persistence true", f"persistence_location {self._folder}/"]
        lines += [f"persistence_file mosquitto-{self.port}.db"]
        if self.receive_port != self.port:
            lines += [f"listener {self.receive_port} 127.0.0.1", "allow_anonymous true"]
        if os.getuid() == 0:
            lines.append("user root")  # else it becomes `mosquitto`, which may not read the folder
        self._config_path.write_text("\n".join(lines) + "\n")

    def start(self) -> Self:
        """Start it and wait until it accepts connections."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [find("mosquitto"), "-c", str(self._config_path)], stdout=log, stderr=log
            )
        wait_until(self._accepts, f"mosquitto listens; {self.log_path.read_text()[-500:]}")
        return self

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log_path.read_text()[-2000:]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Stop it as an operator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it: connections break, without DISCONNECT."""
        self._end(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send SIGSTOP, SIGCONT, SIGHUP (reads its files anew)."""
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def log(self) -> str:
        """What it wrote so far."""
        return self.log_path.read_text()

    def listen(self, topic: str, *options: str) -> Listener:
        """Receive with mosquitto_sub; ready when entered."""
        return Listener(self, topic, options)

    def reserve(self, topic: str) -> Self:
        """Make it keep what comes on a topic, also before anyone listens; it is stopped after."""
        self.start()
        session = ["-c", "-i", SESSION, "-q", "1", "-t", topic]
        command = [find("mosquitto_sub"), "-p", str(self.receive_port), "-E", *session]
        subprocess.run(command, check=True, timeout=PATIENCE_SECONDS)
        self.stop()
        return self

    def collect(self) -> Listener:
        """Receive what was kept since `reserve`, and what comes."""
        return Listener(self, "", ("-c", "-i", SESSION))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with mosquitto_pub."""
        retained = ["-r"] if retain else []
        command = [
            find("mosquitto_pub"),
            "-p",
            str(self.receive_port),
            "-t",
            topic,
            "-s",
            *retained,
        ]
        subprocess.run(command, input=payload, check=True, timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill it."""
        self.kill()


class Listener:
    """What mosquitto_sub receives, as (topic, retained, payload), in order."""

    def __init__(self, broker: Broker, topic: str, options: tuple[str, ...]) -> None:
        self._broker = broker
        self._ready_topic = f"listener-{id(self)}"
        self._command = [find("mosquitto_sub"), "-p", str(broker.receive_port), "-q", "1"]
        self._command += ["-F", "%t %r %p", "-t", self._ready_topic, *options]
        self._command += ["-t", topic] if topic else []
        self._lines: list[tuple[str, bool, str]] = []

    @property
    def messages(self) -> list[tuple[str, bool, str]]:
        """All so far, except its own."""
        return [line for line in self._lines if line[0] != self._ready_topic]

    def json(self, kind: str) -> list[dict[str, Any]]:
        """Those on topics that end in `/<kind>`, parsed."""
        return [json.loads(text) for topic, _, text in self.messages if topic.endswith(f"/{kind}")]

    def texts(self, kind: str) -> list[str]:
        """Those on topics that end in `/<kind>`."""
        return [text for topic, _, text in self.messages if topic.endswith(f"/{kind}")]

    def wait_for(
        self, condition: Callable[[Listener], Any], seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait until the condition holds of this listener."""
        deadline = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < deadline, f"received only {self.messages[-5:]}"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        """Start it and wait until its subscription is in force."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._lines:
            assert time.monotonic() < deadline, "mosquitto_sub does not receive"
            self._broker.publish(self._ready_topic, b"ready")
            time.sleep(0.02)
        return self

    def _read(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            topic, retained, text = raw.decode().rstrip("\n").split(" ", 2)
            self._lines.append((topic, retained == "1", text))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)
        self._thread.join(PATIENCE_SECONDS)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker without passwords."""
    with Broker(tmp_path) as running:
        yield running
