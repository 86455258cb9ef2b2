"""`eqedge run` when something stands still: it logs, reopens the source, and ends when it must."""

import fcntl
import json
import os
import signal
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from eqedge.edge.detector import Detector
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.models.registry import DEFAULT_MODEL, open_model

from tests.support.broker import PATIENCE_SECONDS, free_port, wait_until
from tests.support.node import IMPATIENT, Manager, health, live_config, log_of
from tests.support.sensor import Sensor

pytestmark = pytest.mark.slow  # nodes that run for seconds


# -- the config file ---------------------------------------------------------------------------


def test_options_override_the_file(node, tmp_path):
    """An option that is given overrides the file; an option's default does not."""
    config = f'output = "{tmp_path}/file.jsonl"\n[station]\nnetwork = "AM"\nstation = "HILL"\n'
    flags = ("--sim", DEMO_FILE, "--traces", "2", "--speed", "max", "--station", "DALE")
    process = node(config, *flags, "--output", tmp_path / "flag.jsonl")
    assert process.wait(PATIENCE_SECONDS) == 0, log_of(tmp_path)
    assert not (tmp_path / "file.jsonl").exists()
    messages = [json.loads(line) for line in (tmp_path / "flag.jsonl").read_text().splitlines()]
    assert {(m["network"], m["station"]) for m in messages} == {("AM", "DALE")}


def test_a_config_that_others_may_change_is_a_warning(node, tmp_path):
    """With it they could change what the node does."""
    with Sensor() as sensor:
        process = node(live_config(tmp_path, sensor))
        path = tmp_path / "node.toml"
        path.chmod(0o666)
        wait_until(lambda: "can be changed by other users" in log_of(tmp_path), "the warning")
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert f"chmod go-w {path}" in log_of(tmp_path)


def test_print_config_is_a_config(eqedge, tmp_path):
    """The printed reference is accepted as a file; only the source is missing."""
    path = tmp_path / "all.toml"
    path.write_text(eqedge("run", "--print-config").stdout)
    path.chmod(0o600)
    result = eqedge("run", "--config", path)
    assert result.returncode == 2
    assert "give either --sim FILE.hdf5 or --serial PORT" in result.stderr


# -- health and the watchdog -------------------------------------------------------------------


def test_a_healthy_node_is_reported_everywhere(node, tmp_path, broker):
    """File, Prometheus text, HTTP, broker and systemd, from one record a second."""
    manager, port = Manager(tmp_path, watchdog_seconds=6.0), free_port()
    with Sensor() as sensor, broker.listen("eqedge/#") as received:
        prom = f'"{tmp_path}/eqedge.prom"'
        config = live_config(tmp_path, sensor, http_port=port, prometheus_file=prom)
        process = node(config, "--mqtt", broker.url, environment=manager.environment)
        received.wait_for(lambda got: any(r["windows_total"] > 2 for r in got.json("health")))
        wait_until(lambda: health(tmp_path).get("windows_total", 0) > 2, "the file follows")
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/health", timeout=PATIENCE_SECONDS
        ) as answer:
            assert json.load(answer)["state"] == "healthy"
        wait_until(lambda: len(manager.times("WATCHDOG=1")) > 3, "the watchdog is pinged")
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0, log_of(tmp_path)
    record = health(tmp_path)
    assert record["station"] == "HILL"
    assert record["mqtt_connected"] is True and record["samples_lost_total"] == 0
    assert record["resident_memory_bytes"] > 1e6 and record["disk_free_bytes"] > 0
    assert (
        'eqedge_windows_total{network="XX",station="HILL"}'
        in (tmp_path / "eqedge.prom").read_text()
    )
    pings = manager.times("WATCHDOG=1")
    assert np.diff(pings).max() < 6.0
    assert manager.times("READY=1")[0] <= pings[0]
    assert manager.times("STOPPING=1")[-1] >= pings[-1]


def test_a_frozen_sensor_is_reopened(node, tmp_path):
    """No samples: alarmed, then the port is reopened, and the node is healthy again."""
    with Sensor() as sensor:
        soon = IMPATIENT | {"retries": 99, "degraded_seconds": 3}
        process = node(live_config(tmp_path, sensor, **soon))
        wait_until(lambda: health(tmp_path).get("samples_total", 0) > 100, "samples flow")
        sensor.frozen.set()
        wait_until(lambda: "samples: alarmed" in log_of(tmp_path), "the alarm")
        wait_until(lambda: sensor.calls > 1, "the port is reopened")
        assert "samples: recovering" in log_of(tmp_path)
        sensor.frozen.clear()
        wait_until(lambda: "samples: healthy" in log_of(tmp_path), "recovery")
        wait_until(lambda: health(tmp_path)["state"] == "healthy", "the record follows")
        record = health(tmp_path)
        assert record["source_reopened_total"] >= 1
        assert record["port_losses_total"] >= record["port_reopened_total"] >= 1
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0, log_of(tmp_path)


def test_a_sensor_that_stays_frozen_ends_the_pings(node, tmp_path):
    """After the attempts the watchdog gets no more pings, and HTTP requests get 503."""
    manager = Manager(tmp_path)
    port = free_port()
    with Sensor() as sensor:
        impatient = IMPATIENT | {"give_up_seconds": 3600}
        config = live_config(tmp_path, sensor, http_port=port, **impatient)
        process = node(config, environment=manager.environment)
        wait_until(lambda: health(tmp_path).get("samples_total", 0) > 100, "samples flow")
        sensor.frozen.set()
        wait_until(lambda: manager.times("STATUS=escalated"), "escalation")
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE_SECONDS)
        wait_until(lambda: len(manager.times("STATUS=escalated")) > 3, "the watchdog's time passes")
        assert health(tmp_path)["state"] == "escalated"
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0, log_of(tmp_path)
    assert manager.times("WATCHDOG=1")
    assert "WATCHDOG=1" not in manager.after("STATUS=escalated")


def test_a_node_that_is_not_restarted_ends_itself(node, tmp_path, broker):
    """Without systemd, a node with a frozen sensor ends itself, and its status is offline."""
    with Sensor() as sensor, broker.listen("eqedge/XX/HILL/status") as received:
        process = node(live_config(tmp_path, sensor, **IMPATIENT), "--mqtt", broker.url)
        wait_until(lambda: health(tmp_path).get("samples_total", 0) > 100, "samples flow")
        sensor.frozen.set()
        assert process.wait(PATIENCE_SECONDS) == 70, log_of(tmp_path)
        received.wait_for(lambda got: got.texts("status") == ["online", "offline"])
    assert health(tmp_path)["state"] == "failed"
    assert "samples stood still and nothing helped" in log_of(tmp_path)
    assert "Traceback" not in log_of(tmp_path)


def test_a_node_that_cannot_start_is_offline(node, tmp_path, broker):
    """The port is absent, exit 2: the status is offline, not stopped."""
    with broker.listen("eqedge/XX/HILL/status") as received:
        config = f'output = "{tmp_path}/o.jsonl"\n[station]\nstation = "HILL"\n'
        process = node(config, "--serial", "/dev/ttyNONE", "--mqtt", broker.url)
        assert process.wait(PATIENCE_SECONDS) == 2, log_of(tmp_path)
        received.wait_for(lambda got: got.texts("status") == ["online", "offline"])
    assert "Traceback" not in log_of(tmp_path)


def test_a_stuck_output_ends_the_pings(node, tmp_path, broker):
    """The main thread hangs in a write: no more pings, and the stack shows where it hangs."""
    manager = Manager(tmp_path)
    pipe = tmp_path / "o.jsonl"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    flags = ("--sim", DEMO_FILE, "--speed", "max", "--output", pipe, "--mqtt", broker.url)
    process = node("[health]\nhang_seconds = 6", *flags, environment=manager.environment)
    assert process.wait(PATIENCE_SECONDS) == 1
    ended = time.monotonic()
    os.close(reader)
    assert ended - manager.times("WATCHDOG=1")[-1] > 3
    assert "Timeout (0:00:06)!" in log_of(tmp_path)
    assert "delivery/file.py" in log_of(tmp_path)


def test_a_stopped_process_is_silent(node, tmp_path):
    """A stopped program sends nothing; when it runs again, the stream goes on."""
    manager = Manager(tmp_path)
    with Sensor() as sensor:
        process = node(live_config(tmp_path, sensor), environment=manager.environment)
        wait_until(lambda: len(manager.times("WATCHDOG=1")) > 2, "the watchdog is pinged")
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        manager.mark("STOPPED")
        stopped = time.monotonic()
        wait_until(lambda: time.monotonic() - stopped > 1.5, "twice the watchdog's time")
        manager.mark("GOES ON")
        assert manager.after("STOPPED")[0] == "GOES ON"
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: "WATCHDOG=1" in manager.after("GOES ON"), "it is pinged again")
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0, log_of(tmp_path)


# -- overload ----------------------------------------------------------------------------------


HOP_SECONDS, OVERLOAD = 0.05, 20


def seconds_a_window():
    """Return how long this machine, under its present load, takes to score a window."""
    model = open_model(DEFAULT_MODEL)
    detector, values = Detector(model), np.zeros((model.spec.window_samples, 3), np.float32)
    begin = time.perf_counter()
    for _ in range(50):
        detector(values)
    return (time.perf_counter() - begin) / 50


def test_overload_is_bounded_and_counted(node, tmp_path):
    """At twenty times the machine's own speed windows are left out, and the lag stays small.

    If all of the 22,000 windows were scored, the last would be late by nineteen twentieths of the
    time they take. A tenth of that is allowed.
    """
    seconds = seconds_a_window()
    config = f"""[window]
hop_seconds = {HOP_SECONDS}
max_lag_seconds = 0.3
[health]
interval_seconds = 1
json_file = "{tmp_path}/health.json"
"""
    speed = round(OVERLOAD * HOP_SECONDS / seconds)
    flags = ("--sim", DEMO_FILE, "--speed", speed, "--output", tmp_path / "o.jsonl")
    process = node(config, *flags)
    lags = []

    def has_ended():
        lags.append(health(tmp_path).get("lag_seconds") or 0.0)
        return process.poll() is not None

    wait_until(has_ended, "the run ends", 600)
    assert process.returncode == 0, log_of(tmp_path)
    record = health(tmp_path)
    assert record["windows_skipped_total"] > 100
    assert record["windows_total"] + record["windows_skipped_total"] <= 22_000
    assert max(lags) < 0.3 + 2_000 * seconds
    assert "events   0 of" not in log_of(tmp_path)
