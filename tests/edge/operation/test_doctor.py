"""The doctor finds what is wrong, says what to do, and passes what works."""

import contextlib
import socket
import threading

import numpy as np
import pytest
from eqedge.edge.operation.doctor import Check, examine
from eqedge.edge.settings import MqttSettings, Settings
from eqedge.firmware_bridge.packets import Hello
from eqedge.firmware_bridge.virtual import VirtualSensor

from ...broker import Broker, free_port


def findings(settings: Settings, port_url: str | None = None) -> dict[str, Check]:
    """Return the checks by name."""
    return {check.name: check for check in examine(settings, port_url, 115_200)}


@contextlib.contextmanager
def served(rate_hz: float, *, noise: bytes = b""):
    """A sensor in software on a TCP port, ten times as fast as a real one; or mere bytes."""
    sensor = VirtualSensor(Hello("bench-1", "test", rate_hz, ("HNE", "HNN", "HNZ")), 10)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError), listener.accept()[0] as link:
                link.sendall(noise or sensor.greet())
                while not over.wait(10 / rate_hz / 10):
                    link.sendall(noise or sensor.push(np.zeros((10, 3), dtype=np.int32)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join(5)


def test_a_working_node_passes(tmp_path):
    """Model, disk, sensor and broker that work are all found good, stage by stage."""
    with Broker(tmp_path) as broker, served(100.0) as url:
        mqtt = MqttSettings("127.0.0.1", broker.port)
        checks = findings(Settings(output=str(tmp_path / "t.jsonl"), mqtt=mqtt), url)
    del checks["clock"]  # whether this machine is synchronised is not this test's affair
    bad = {name: check for name, check in checks.items() if not check.good}
    assert not bad
    assert list(checks) == [
        *("model", "disk", "port", "sensor", "samples"),
        *("broker: name", "broker: TCP", "broker: MQTT"),
    ]
    assert "bench-1 (test), 100 Hz, HNE HNN HNZ" in checks["sensor"].finding


def test_a_sensor_of_another_rate_is_resampled():
    """A 250-Hz sensor is good, and what happens to its samples is told."""
    with served(250.0) as url:
        check = findings(Settings(), url)["sensor"]
    assert check.good
    assert "250 Hz (resampled to 100 Hz), HNE" in check.finding


def test_a_sensor_of_a_useless_rate_is_refused_with_its_rate():
    """A 5-Hz sensor is named, and the remedy."""
    with served(5.0) as url:
        check = findings(Settings(), url)["sensor"]
    assert not check.good
    assert "5 Hz cannot be turned" in check.finding and "set the sensor's rate" in check.remedy


def test_another_device_on_the_port_is_recognised():
    """A GPS receiver is told from a sensor by what it sends."""
    sentence = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n" * 4
    with served(100.0, noise=sentence) as url:
        check = findings(Settings(), url)["sensor"]
    assert not check.good
    assert "GPS" in check.finding


@pytest.mark.parametrize(
    ("settings", "port_url", "name", "finding"),
    [
        (Settings(model="none"), None, "model", "none"),
        (Settings(output="/nowhere/t.jsonl"), None, "disk", "no folder"),
        (Settings(), "/dev/ttyNONE", "port", "no such port"),
        (Settings(mqtt=MqttSettings("name.invalid")), None, "broker: name", "not known"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(settings, port_url, name, finding):
    """Each failure names the thing and what to do about it."""
    check = findings(settings, port_url)[name]
    assert not check.good
    assert finding in check.finding
    assert check.remedy


def test_the_broker_is_left_at_the_first_stage_that_fails(tmp_path):
    """A closed port is a matter of TCP; a refused login one of MQTT."""
    closed = findings(Settings(mqtt=MqttSettings("127.0.0.1", free_port())))
    assert not closed["broker: TCP"].good
    assert "broker: MQTT" not in closed
    with Broker(tmp_path, config="allow_anonymous false") as broker:
        refused = findings(Settings(mqtt=MqttSettings("127.0.0.1", broker.port)))
    assert refused["broker: TCP"].good
    assert not refused["broker: MQTT"].good
    assert "refuse" in refused["broker: MQTT"].finding
