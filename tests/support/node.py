"""`eqedge run` as a process: its configuration, what it writes, and a systemd that it notifies."""

import json
import os
import socket
import threading
import time

import pytest

from .broker import wait_until


class Manager:
    """Receives a service's notifications as systemd does, in the order they were sent."""

    def __init__(self, folder, watchdog_seconds=1.0):
        self.received = []
        self._path = path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self.environment = {
            "NOTIFY_SOCKET": path,
            "WATCHDOG_USEC": str(round(watchdog_seconds * 1e6)),
        }
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while True:
            text = self._socket.recv(4096).decode()
            self.received.append((time.monotonic(), text))

    def times(self, part):
        """Return when notifications that contain this text arrived."""
        return [when for when, text in self.received if part in text]

    def after(self, part):
        """Return all notifications after the first that contains this text."""
        texts = [text for _, text in self.received]
        return texts[next(at for at, text in enumerate(texts) if part in text) + 1 :]

    def mark(self, text):
        """Put a text among the notifications: those before it were sent before."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(text.encode(), self._path)
        wait_until(lambda: self.times(text), f"{text} arrives")


@pytest.fixture
def node(background, tmp_path):
    """Start `eqedge run --config` with these lines and options; killed at the end."""

    def start(config, *flags, environment=None):
        path = tmp_path / "node.toml"
        path.write_text(config)
        path.chmod(0o600)
        with (tmp_path / "log").open("w") as log:
            variables = {**os.environ, **(environment or {})}
            return background("run", "--config", path, *flags, stderr=log, env=variables)

    return start


def log_of(tmp_path):
    """Return what the node wrote on standard error so far."""
    return (tmp_path / "log").read_text()


def health(tmp_path):
    """Return the newest health record; empty before the first."""
    path = tmp_path / "health.json"
    return json.loads(path.read_text()) if path.exists() else {}


def live_config(tmp_path, sensor, **more):
    """Return a config with a health record each second."""
    lines = {"interval_seconds": 1, "json_file": f'"{tmp_path}/health.json"', **more}
    body = "\n".join(f"{name} = {value}" for name, value in lines.items())
    return f"""output = "{tmp_path}/o.jsonl"
[sensor]
port = "{sensor.url}"
[station]
station = "HILL"
[health]
{body}
"""


IMPATIENT = {
    "samples_silence_seconds": 2,
    "retry_seconds": 1,
    "retries": 2,
    "give_up_seconds": 1,
}
"""Settings with which a sensor soon counts as silent."""
