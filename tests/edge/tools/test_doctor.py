"""`eqedge doctor` finds what is wrong, prints the remedy, and passes what works."""

import contextlib
import socket
import threading
from dataclasses import replace

import numpy as np
import pytest
from eqedge.edge.settings.delivery import MqttSettings, WaveformSettings
from eqedge.edge.settings.health import HealthSettings
from eqedge.edge.settings.node import SensorSettings, Settings, StationSettings
from eqedge.edge.tools import places
from eqedge.edge.tools.doctor import examine
from eqedge.edge.tools.finding import Check
from eqedge.firmware_bridge.packets import Hello
from eqedge.firmware_bridge.virtual import VirtualSensor

from tests.support.broker import Broker, free_port
from tests.support.certificates import encrypted
from tests.support.disks import remount, small_disk
from tests.support.scripted_broker import ScriptedBroker


def findings(settings: Settings, port_url: str | None = None) -> dict[str, Check]:
    """Return the checks by name."""
    settings = replace(settings, sensor=SensorSettings(port_url))
    return {check.name: check for check in examine(settings)}


@contextlib.contextmanager
def served(rate_hz: float, *, noise: bytes = b""):
    """A sensor in software on a TCP port, ten times as fast as a real one; or only bytes."""
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
        thread.join(120)


def test_a_working_node_passes(tmp_path):
    """Model, disk, sensor and broker that work are all found good, stage by stage."""
    with Broker(tmp_path) as broker, served(100.0) as url:
        mqtt = MqttSettings("127.0.0.1", broker.port)
        checks = findings(Settings(output=str(tmp_path / "t.jsonl"), mqtt=mqtt), url)
    del checks["clock"]  # depends on the machine
    bad = {name: check for name, check in checks.items() if not check.good}
    assert not bad
    assert list(checks) == [
        *("model", "disk", "port", "sensor", "samples"),
        *("broker: DNS", "broker: TCP", "broker: MQTT", "broker: publish"),
    ]
    assert "bench-1 (test), 100 Hz, HNE HNN HNZ" in checks["sensor"].finding


@pytest.mark.slow
def test_a_sensor_of_another_rate_is_resampled():
    """A 250-Hz sensor is good, and the finding names the rate of its samples."""
    with served(250.0) as url:
        check = findings(Settings(), url)["sensor"]
    assert check.good
    assert "250 Hz (resampled to 100 Hz), HNE" in check.finding


def test_a_sensor_of_a_useless_rate_is_rejected_with_its_rate():
    """The finding names the rate, the remedy what to do."""
    with served(5.0) as url:
        check = findings(Settings(), url)["sensor"]
    assert not check.good
    assert "5 Hz cannot be turned" in check.finding and "set the sensor's rate" in check.remedy


@pytest.mark.slow
def test_another_device_on_the_port_is_recognised():
    """A GPS receiver is recognised by what it sends."""
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
        (Settings(), "socket://127.0.0.1:9", "port", "Connection refused"),
        (Settings(mqtt=MqttSettings("name.invalid")), None, "broker: DNS", "not known"),
        (Settings(waveforms=WaveformSettings("/proc/no/waves")), None, "waveforms", "/proc"),
        (Settings(health=HealthSettings(json_file="/no/h.json")), None, "json_file", "no folder"),
    ],
)
def test_a_missing_part_is_named_with_its_remedy(settings, port_url, name, finding):
    """Each failure names the thing and what to do about it."""
    check = findings(settings, port_url)[name]
    assert not check.good
    assert finding in check.finding
    assert check.remedy and finding not in check.remedy


def test_the_places_that_a_node_writes_and_serves_are_checked(tmp_path):
    """Waveforms, health files, an HTTP port that is free, one that is not, and one open to all."""
    port = free_port()
    health = HealthSettings(
        json_file=str(tmp_path / "h.json"),
        prometheus_file=str(tmp_path / "e.prom"),
        http_port=port,
    )
    waves = WaveformSettings(str(tmp_path / "to" / "be" / "made"))
    checks = findings(Settings(waveforms=waves, health=health))
    names = ("waveforms", "json_file", "prometheus_file", "http_port")
    assert [checks[name].good for name in names] == [True] * 4
    assert "is free" in checks["http_port"].finding
    with socket.create_server(("127.0.0.1", port)):
        taken = findings(Settings(health=health))["http_port"]
    assert not taken.good
    assert "in use" in taken.finding and "another http_port" in taken.remedy
    open_to_all = replace(health, http_host="0.0.0.0")
    assert "open to all" in findings(Settings(health=open_to_all))["http_port"].finding


def test_a_folder_that_cannot_be_written_is_found(tmp_path):
    """On a read-only disk, for a file of health as for the output."""
    with small_disk(tmp_path / "disk") as disk:
        remount(disk, "ro")
        health = HealthSettings(prometheus_file=str(disk / "eqedge.prom"))
        checks = findings(Settings(output=str(disk / "t.jsonl"), health=health))
    for name in ("disk", "prometheus_file"):
        assert not checks[name].good
        assert "cannot be written" in checks[name].finding and checks[name].remedy


def test_the_services_own_folders_need_not_exist_yet(tmp_path, monkeypatch):
    """Systemd makes them when it starts the service; without the unit they are missing."""
    folder = tmp_path / "run"
    health = HealthSettings(json_file=str(folder / "health.json"))
    monkeypatch.setattr(places, "SERVICE_FOLDERS", (folder,))
    monkeypatch.setattr(places, "UNIT", str(tmp_path / "eqedge.service"))
    assert not findings(Settings(health=health))["json_file"].good
    (tmp_path / "eqedge.service").touch()
    check = findings(Settings(health=health))["json_file"]
    assert check.good and "systemd makes" in check.finding


def test_a_spool_in_memory_has_a_remedy(tmp_path):
    """It works, but the finding has its cost and the remedy; with an output it is not mentioned."""
    mqtt = MqttSettings("127.0.0.1", free_port())
    check = findings(Settings(mqtt=mqtt))["spool"]
    assert check.good and "in memory" in check.finding and "set output" in check.remedy
    assert "spool" not in findings(Settings(mqtt=mqtt, output=str(tmp_path / "t.jsonl")))


def test_an_access_list_for_the_node_suffices(tmp_path):
    """A user who may write to the node's own topics passes; another station's node does not."""
    access = tmp_path / "access"
    access.write_text("topic write eqedge/AM/R1234/#\n")
    with Broker(tmp_path, config=f"allow_anonymous true\nacl_file {access}") as broker:
        settings = Settings(mqtt=MqttSettings("127.0.0.1", broker.port))
        own = findings(replace(settings, station=StationSettings("AM", "R1234")))
        other = findings(replace(settings, station=StationSettings("AM", "R9999")))
    assert own["broker: publish"].good
    assert "eqedge/AM/R1234/doctor" in own["broker: publish"].finding
    assert other["broker: MQTT"].good and not other["broker: publish"].good
    assert "Not authorized" in other["broker: publish"].finding
    assert "eqedge/AM/R9999/#" in other["broker: publish"].remedy


def test_every_stage_of_an_encrypted_broker_is_shown(tmp_path, certificates):
    """One line each; where the certificate is not accepted, TLS is the last of them."""
    port, config = encrypted(certificates)
    own = {"certificate_file": f"{certificates}/node.pem", "key_file": f"{certificates}/node.key"}
    mqtt = MqttSettings("127.0.0.1", port, tls=True, ca_file=f"{certificates}/ca.pem", **own)
    other_ca = replace(mqtt, ca_file=f"{certificates}/stranger.pem")
    with Broker(tmp_path, config=config):
        checks, untrusted = findings(Settings(mqtt=mqtt)), findings(Settings(mqtt=other_ca))
    stages = [f"broker: {name}" for name in ("DNS", "TCP", "TLS", "MQTT", "publish")]
    assert [name for name in checks if name in stages] == stages
    assert all(checks[name].good for name in stages)
    assert [name for name in untrusted if name in stages] == stages[:3]
    assert not untrusted["broker: TLS"].good and "ca_file" in untrusted["broker: TLS"].remedy


def test_another_brokers_address_keeps_how_to_log_in(tmp_path, eqedge):
    """`--mqtt` overrides only the address in a config, as in `run`, and `--station` the code."""
    credentials = tmp_path / "credentials"
    credentials.write_text("hill\nsecret\n")
    credentials.chmod(0o600)
    config = tmp_path / "node.toml"
    config.write_text(f"""
[station]
network = "AM"
[mqtt]
host = "broker.invalid"
allow_insecure = true
credentials_file = "{credentials}"
""")
    with Broker(tmp_path) as broker:
        address = f"mqtt://127.0.0.1:{broker.port}"
        output = eqedge(
            "doctor", "--config", config, "--mqtt", address, "--station", "R1234"
        ).stdout
    assert "accepts the node with user name and password" in output
    assert "acknowledges eqedge/AM/R1234/doctor" in output


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize(
    ("config", "limits"),
    [
        ("retain_available false", "no retained messages"),
        ("max_qos 0", "QoS 0 only"),
        ("max_qos 0\nretain_available false", "QoS 0 only"),
    ],
)
def test_what_a_broker_cannot_do_is_a_warning(tmp_path, config, limits, protocol):
    """Without retain or QoS 1 the node is accepted, its message read, and the limit is named."""
    with Broker(tmp_path, config=config) as broker:
        checks = findings(Settings(mqtt=MqttSettings("127.0.0.1", broker.port, protocol=protocol)))
    assert checks["broker: MQTT"].good and checks["broker: publish"].good
    assert checks["broker: limits"].good and checks["broker: limits"].warns
    assert limits in checks["broker: limits"].finding and checks["broker: limits"].remedy


def test_a_broker_with_small_packets_is_a_warning(tmp_path):
    """MQTT 5 states the longest packet: what is longer than it is named with its consequence."""
    with Broker(tmp_path, config="max_packet_size 300") as broker:
        checks = findings(Settings(mqtt=MqttSettings("127.0.0.1", broker.port)))
    assert "packets of 300 bytes at most" in checks["broker: limits"].finding
    assert checks["broker: publish"].good


def test_what_closes_every_connection_is_no_broker_for_a_node():
    """Under MQTT 3.1.1 a few attempts with less are made, and the likely causes are named."""

    def close(peer, packet):
        peer.close()

    with ScriptedBroker(close) as broker:
        mqtt = MqttSettings("127.0.0.1", broker.port, protocol="3.1.1")
        checks = findings(Settings(mqtt=mqtt))
    assert not checks["broker: MQTT"].good and "likely" in checks["broker: MQTT"].finding
    assert broker.connections < 10


def test_the_broker_is_checked_up_to_the_first_failure(tmp_path):
    """A closed port fails at TCP, a rejected login at MQTT."""
    closed = findings(Settings(mqtt=MqttSettings("127.0.0.1", free_port())))
    assert not closed["broker: TCP"].good
    assert "broker: MQTT" not in closed
    with Broker(tmp_path, config="allow_anonymous false") as broker:
        refused = findings(Settings(mqtt=MqttSettings("127.0.0.1", broker.port)))
    assert refused["broker: TCP"].good
    assert not refused["broker: MQTT"].good
    assert "refuse" in refused["broker: MQTT"].finding
