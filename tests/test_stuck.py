"""`eqedge run` with a network that never returns, and with brokers that never answer."""

import hashlib
import json
import shutil
import signal
import socket
from pathlib import Path

import pytest
from eqedge.edge.process import cpu_seconds
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.models.registry import DEFAULT_MODEL, open_model

from tests.support.broker import PATIENCE_SECONDS, wait_until
from tests.support.node import Manager, health, live_config, log_of
from tests.support.sensor import Sensor

pytestmark = pytest.mark.slow  # nodes that run for seconds

ENDLESS = Path(__file__).parent / "vectors" / "endless.tflite"


@pytest.fixture
def endless(tmp_path):
    """A config's first line: the model whose network loops for ever, with its own card."""
    path = tmp_path / "endless.tflite"
    shutil.copyfile(ENDLESS, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    card = {**open_model(DEFAULT_MODEL).card, "sha256": sha256}
    path.with_suffix(".json").write_text(json.dumps(card))
    return f'model = "{path}"\n'


def test_a_network_that_never_returns_ends_the_program(node, tmp_path, endless):
    """Without systemd the program ends itself, though no Python runs; the stack shows where."""
    manager = Manager(tmp_path)
    with Sensor() as sensor:
        config = endless + live_config(tmp_path, sensor, hang_seconds=3)
        process = node(config, environment=manager.environment)
        assert process.wait(PATIENCE_SECONDS) == 1
    assert "Timeout (0:00:03)!" in log_of(tmp_path) and "detector.py" in log_of(tmp_path)
    assert manager.times("WATCHDOG=1"), "pinged until the first window"
    assert health(tmp_path)["windows_total"] == 0


def test_a_network_that_never_returns_ends_the_pings(node, tmp_path, endless):
    """The watchdog gets no ping; systemd's SIGABRT then leaves the stack in the journal."""
    manager = Manager(tmp_path, watchdog_seconds=0.6)
    with Sensor() as sensor:
        process = node(endless + live_config(tmp_path, sensor), environment=manager.environment)
        wait_until(lambda: manager.times("WATCHDOG=1"), "it is pinged at first")

        def is_silent():
            pings, before = len(manager.times("WATCHDOG=1")), cpu_seconds(process.pid)
            wait_until(lambda: cpu_seconds(process.pid) > before + 3, "the network runs on")
            return len(manager.times("WATCHDOG=1")) == pings

        wait_until(is_silent, "no ping while the program ran for five times the watchdog's time")
        process.send_signal(signal.SIGABRT)
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in log_of(tmp_path)
    assert "detector.py" in log_of(tmp_path)


def test_a_broker_that_accepts_and_never_answers(node, tmp_path):
    """The connection is closed and tried again, logged once; no stage stops, with pings."""
    manager = Manager(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent, Sensor() as sensor:
        host, port = silent.getsockname()
        config = f"""{live_config(tmp_path, sensor)}
[mqtt]
host = "{host}"
port = {port}
connect_timeout_seconds = 0.5
retry_max_seconds = 1.0
"""
        process = node(config, environment=manager.environment)
        wait_until(lambda: health(tmp_path).get("mqtt_failures_total", 0) > 1, "two attempts")
        pings = len(manager.times("WATCHDOG=1"))
        wait_until(lambda: len(manager.times("WATCHDOG=1")) > pings + 2, "the watchdog is pinged")
        record = health(tmp_path)
        assert record["stages"]["output"] == "healthy" and record["mqtt_connected"] is False
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0, log_of(tmp_path)
    assert log_of(tmp_path).count("no answer to CONNECT; is it an MQTT broker?") == 1


def test_a_broker_that_freezes_gets_everything_later(node, tmp_path, broker):
    """Stopped by SIGSTOP with the connection open: it is left, and receives each line later."""
    config = f"""output = "{tmp_path}/o.jsonl"
[mqtt]
host = "127.0.0.1"
port = {broker.port}
keepalive_seconds = 1
retry_max_seconds = 1.0
drain_seconds = 60.0
[health]
interval_seconds = 1
json_file = "{tmp_path}/health.json"
"""
    with broker.listen("eqedge/#") as received:
        process = node(config, "--sim", DEMO_FILE, "--speed", "80")  # for 14 s
        wait_until(lambda: health(tmp_path).get("mqtt_connected"), "the connection")
        broker.signal(signal.SIGSTOP)
        wait_until(lambda: health(tmp_path)["mqtt_failures_total"] > 0, "the connection is closed")
        wait_until(lambda: health(tmp_path)["spool_messages"] > 3, "events are kept")
        assert health(tmp_path)["stages"]["output"] == "healthy"
        broker.signal(signal.SIGCONT)
        assert process.wait(PATIENCE_SECONDS) == 0, log_of(tmp_path)
        lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
        received.wait_for(lambda got: len(got.json("event")) >= len(lines))
        wanted = [(line["event_id"], line["sequence"]) for line in lines]
        arrived = [(event["event_id"], event["sequence"]) for event in received.json("event")]
        assert list(dict.fromkeys(arrived)) == wanted and len(wanted) > 10
