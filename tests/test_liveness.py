"""`eqedge run` when something stands still: it notices, rescues, tells, and ends when it must."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.firmware_bridge.packets import Hello
from eqedge.firmware_bridge.virtual import VirtualSensor

from tests.support.broker import broker, free_port, wait_until  # noqa: F401


class Sensor:
    """A sensor on a TCP port that delivers a packet every few milliseconds until it is frozen."""

    def __init__(self):
        self.frozen = threading.Event()
        self.calls = 0
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        """Serve one caller after another, until told to hang up."""
        rng = np.random.default_rng(22)
        sensor = VirtualSensor(Hello("live", "test", 100.0, ("HHE", "HHN", "HHZ")), 25)
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            with connection:
                try:
                    connection.sendall(sensor.greet())
                    while not self._over.is_set():
                        if not self.frozen.is_set():
                            counts = rng.integers(-99, 99, (25, 3)).astype(np.int32)
                            connection.sendall(sensor.push(counts))
                        elif connection.recv(4096) == b"":
                            break
                        time.sleep(0.005)
                except OSError:
                    continue

    def __enter__(self):
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_):
        """Hang up."""
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


class Manager:
    """What systemd is to a service: hears what it says, with the time of each word."""

    def __init__(self, folder, watchdog_seconds=1.0):
        self.words = []
        path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.environment = {
            "NOTIFY_SOCKET": str(path),
            "WATCHDOG_USEC": str(round(watchdog_seconds * 1e6)),
        }
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self):
        while True:
            text = self._socket.recv(4096).decode()
            self.words.append((time.monotonic(), text))

    def times(self, word):
        """When a word was said."""
        return [when for when, text in self.words if word in text]


@pytest.fixture
def node(tmp_path):
    """Start `eqedge run --config` with these lines and flags; killed at the end."""
    running = []

    def start(config, *flags, environment=None):
        path = tmp_path / "node.toml"
        path.write_text(config)
        path.chmod(0o600)
        process = subprocess.Popen(
            [sys.executable, "-m", "eqedge", "run", "--config", path, *map(str, flags)],
            stdout=subprocess.PIPE,
            stderr=(tmp_path / "said").open("w"),
            env={**os.environ, **(environment or {})},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def said(tmp_path):
    """Return what the node wrote on standard error so far."""
    return (tmp_path / "said").read_text()


def health(tmp_path):
    """Return the newest health record, or nothing yet."""
    path = tmp_path / "health.json"
    return json.loads(path.read_text()) if path.exists() else {}


def live_config(tmp_path, sensor, **more):
    """Return a config with short patience."""
    lines = {
        "interval_seconds": 1,
        "samples_silence_seconds": 1,
        "retry_seconds": 1,
        "retries": 2,
        "give_up_seconds": 1,
        "json_file": f'"{tmp_path}/health.json"',
        **more,
    }
    body = "\n".join(f"{name} = {value}" for name, value in lines.items())
    return f"""output = "{tmp_path}/o.jsonl"
[sensor]
port = "{sensor.url}"
[station]
station = "HILL"
[health]
{body}
"""


# -- the config file ---------------------------------------------------------------------------


def test_flags_go_before_the_file(node, tmp_path):
    """What the file says holds, except where a flag says otherwise; defaults are no flags."""
    config = f'output = "{tmp_path}/file.jsonl"\n[station]\nnetwork = "AM"\nstation = "HILL"\n'
    flags = ("--sim", DEMO_FILE, "--traces", "2", "--speed", "max", "--station", "DALE")
    process = node(config, *flags, "--output", tmp_path / "flag.jsonl")
    assert process.wait(60) == 0, said(tmp_path)
    assert not (tmp_path / "file.jsonl").exists()
    messages = [json.loads(line) for line in (tmp_path / "flag.jsonl").read_text().splitlines()]
    assert {(m["network"], m["station"]) for m in messages} == {("AM", "DALE")}


def test_a_config_that_others_may_change_is_told(node, tmp_path):
    """It decides what the node does."""
    with Sensor() as sensor:
        process = node(live_config(tmp_path, sensor))
        path = tmp_path / "node.toml"
        path.chmod(0o666)
        wait_until(lambda: "can be changed by other users" in said(tmp_path), "the warning")
        process.terminate()
        assert process.wait(20) == 0
    assert f"chmod go-w {path}" in said(tmp_path)


def test_print_config_is_a_config(eqedge, tmp_path):
    """The printed reference is accepted as a file, with nothing else to say."""
    path = tmp_path / "all.toml"
    path.write_text(eqedge("run", "--print-config").stdout)
    path.chmod(0o600)
    result = eqedge("run", "--config", path)
    assert result.returncode == 2
    assert "give either --sim FILE.hdf5 or --serial PORT" in result.stderr


# -- health and the watchdog -------------------------------------------------------------------


def test_a_healthy_node_says_so_everywhere(node, tmp_path, broker):  # noqa: F811
    """File, Prometheus text, HTTP, broker and systemd, from one record a second."""
    manager, port = Manager(tmp_path), free_port()
    with Sensor() as sensor, broker.listen("eqedge/#") as heard:
        prom = f'"{tmp_path}/eqedge.prom"'
        config = live_config(tmp_path, sensor, http_port=port, prometheus_file=prom)
        process = node(config, "--mqtt", broker.url, environment=manager.environment)
        heard.wait_for(lambda got: any(r["windows_total"] > 2 for r in got.json("health")))
        wait_until(lambda: health(tmp_path).get("windows_total", 0) > 2, "the file follows")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            assert json.load(answer)["state"] == "healthy"
        wait_until(lambda: len(manager.times("WATCHDOG=1")) > 5, "the watchdog is fed")
        process.terminate()
        assert process.wait(20) == 0, said(tmp_path)
    record = health(tmp_path)
    assert record["station"] == "HILL"
    assert record["mqtt_connected"] is True and record["samples_lost_total"] == 0
    assert record["resident_memory_bytes"] > 1e6 and record["disk_free_bytes"] > 0
    assert (
        'eqedge_windows_total{network="XX",station="HILL"}'
        in (tmp_path / "eqedge.prom").read_text()
    )
    meals = manager.times("WATCHDOG=1")
    assert np.diff(meals).max() < 1.0
    assert manager.times("READY=1")[0] <= meals[0]
    assert manager.times("STOPPING=1")[-1] >= meals[-1]


def test_a_frozen_sensor_is_called_again(node, tmp_path):
    """No samples: alarmed, then the port is opened anew, and all is well again."""
    with Sensor() as sensor:
        process = node(live_config(tmp_path, sensor, retries=9))
        wait_until(lambda: health(tmp_path).get("samples_total", 0) > 100, "samples flow")
        sensor.frozen.set()
        wait_until(lambda: "samples: alarmed" in said(tmp_path), "the alarm")
        wait_until(lambda: sensor.calls > 1, "the port is opened anew")
        assert "samples: recovering" in said(tmp_path)
        sensor.frozen.clear()
        wait_until(lambda: "samples: healthy" in said(tmp_path), "recovery")
        wait_until(lambda: health(tmp_path)["state"] == "healthy", "the record follows")
        assert health(tmp_path)["source_reopened_total"] >= 1
        process.terminate()
        assert process.wait(20) == 0, said(tmp_path)


def test_a_sensor_that_stays_frozen_starves_the_watchdog(node, tmp_path, broker):  # noqa: F811
    """After the attempts the watchdog is fed no more; without a systemd the node ends itself."""
    manager = Manager(tmp_path)
    port = free_port()
    with Sensor() as sensor, broker.listen("eqedge/XX/HILL/status") as heard:
        config = live_config(tmp_path, sensor, http_port=port)
        process = node(config, "--mqtt", broker.url, environment=manager.environment)
        wait_until(lambda: health(tmp_path).get("samples_total", 0) > 100, "samples flow")
        sensor.frozen.set()
        wait_until(lambda: "samples: escalated" in said(tmp_path), "escalation")
        escalated = time.monotonic()
        with pytest.raises(urllib.error.HTTPError, match="503"):
            wait_until(lambda: health(tmp_path)["state"] == "escalated", "the record", 1.5)
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
        assert process.wait(20) == 70, said(tmp_path)
        heard.wait_for(lambda got: got.texts("status") == ["online", "offline"])
    assert manager.times("WATCHDOG=1")[-1] <= escalated
    assert health(tmp_path)["state"] == "failed"
    assert "samples stood still and nothing helped" in said(tmp_path)
    assert "Traceback" not in said(tmp_path)


def test_a_node_that_cannot_start_is_offline(node, tmp_path, broker):  # noqa: F811
    """The port is absent, exit 2: the broker is not told that somebody stopped the node."""
    with broker.listen("eqedge/XX/HILL/status") as heard:
        config = f'output = "{tmp_path}/o.jsonl"\n[station]\nstation = "HILL"\n'
        process = node(config, "--serial", "/dev/ttyNONE", "--mqtt", broker.url)
        assert process.wait(20) == 2, said(tmp_path)
        heard.wait_for(lambda got: got.texts("status") == ["online", "offline"])
    assert "Traceback" not in said(tmp_path)


def test_a_stuck_output_starves_the_watchdog(node, tmp_path, broker):  # noqa: F811
    """The main thread hangs in a write; broker thread and all, no word more; it says where."""
    manager = Manager(tmp_path)
    pipe = tmp_path / "o.jsonl"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    flags = ("--sim", DEMO_FILE, "--speed", "max", "--output", pipe, "--mqtt", broker.url)
    process = node("[health]\nhang_seconds = 4", *flags, environment=manager.environment)
    assert process.wait(30) == 1
    ended = time.monotonic()
    os.close(reader)
    assert ended - manager.times("WATCHDOG=1")[-1] > 3
    assert "Timeout (0:00:04)!" in said(tmp_path)
    assert "sinks.py" in said(tmp_path)


def test_a_stopped_process_is_silent(node, tmp_path):
    """A program that does not run says nothing; when it runs on, so does the stream."""
    manager = Manager(tmp_path)
    with Sensor() as sensor:
        process = node(live_config(tmp_path, sensor), environment=manager.environment)
        wait_until(lambda: len(manager.times("WATCHDOG=1")) > 2, "the watchdog is fed")
        process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: time.monotonic() - stopped > 1.5, "twice the watchdog's time")
        assert not [when for when in manager.times("WATCHDOG=1") if when > stopped + 0.2]
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: manager.times("WATCHDOG=1")[-1] > stopped + 1.5, "it is fed again")
        process.terminate()
        assert process.wait(20) == 0, said(tmp_path)


# -- overload ----------------------------------------------------------------------------------


def test_overload_is_bounded_and_counted(node, tmp_path):
    """A speed that no machine keeps up with: windows are left out, lag stays, events are found."""
    config = f"""[window]
hop_seconds = 0.05
max_lag_seconds = 0.3
[health]
interval_seconds = 1
json_file = "{tmp_path}/health.json"
"""
    flags = ("--sim", DEMO_FILE, "--speed", "600", "--output", tmp_path / "o.jsonl")
    process = node(config, *flags)
    lags = []

    def look():
        lags.append(health(tmp_path).get("lag_seconds") or 0.0)
        return process.poll() is not None

    wait_until(look, "the run ends", 60)
    assert process.returncode == 0, said(tmp_path)
    record = health(tmp_path)
    assert record["windows_skipped_total"] > 100
    assert record["windows_total"] + record["windows_skipped_total"] <= 22_000
    assert max(lags) < 3.0
    assert "events   0 of" not in said(tmp_path)
