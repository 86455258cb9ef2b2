"""`eqedge run` and intruders: any bytes on the port, listeners, secrets in what it publishes."""

import os
import random
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.broker import PATIENCE_SECONDS, Broker, find, free_port, wait_until
from tests.support.node import health, live_config, log_of
from tests.support.sensor import Sensor

pytestmark = pytest.mark.slow  # nodes that run for seconds

SECRET = "Xq7-no-one-may-read-this"


def hostile_opening(greeting):
    """Yield noise in all sizes, then greetings with one wrong bit."""
    rng = random.Random(5)
    for _ in range(300):
        noise = rng.randbytes(rng.choice([1, 7, 300, 5000]))
        yield noise if rng.random() < 0.7 else noise + b"\0"
    for _ in range(300):  # twenty megabytes without the end of a frame
        yield b"\x01" * 65536
    for cut in range(0, len(greeting), 3):
        spoilt = bytearray(greeting)
        spoilt[cut] ^= 1 << rng.randrange(8)
        yield bytes(spoilt)
    yield b"\0"


def among_noise(rng):
    """Return a function that puts a copy with one wrong bit, and noise, before some packets."""

    def spoil(packet):
        if rng.random() >= 0.1:
            return packet
        spoilt = bytearray(packet)
        spoilt[len(spoilt) // 2] ^= 1 << rng.randrange(8)
        return bytes(spoilt) + b"\0" + rng.randbytes(40) + b"\0" + packet

    return spoil


def test_any_bytes_on_the_port_cost_frames_only(node, tmp_path):
    """Noise, a flood, spoilt greetings; then windows are scored, and the memory is small."""
    with Sensor(hostile_opening, among_noise(random.Random(6))) as sensor:
        process = node(live_config(tmp_path, sensor, samples_silence_seconds=600))
        wait_until(lambda: health(tmp_path).get("windows_total", 0) > 3, "windows")
        record = health(tmp_path)
        assert record["frames_crc_errors_total"] > 0 and record["state"] == "degraded"
        assert any("frames_crc_errors_total" in one for one in record["reasons"])
        assert set(record["stages"].values()) == {"healthy"}
        assert record["resident_memory_bytes"] < 90e6
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0, log_of(tmp_path)
    assert "Traceback" not in log_of(tmp_path)


def listening(process_id):
    """Return the local addresses, in hex, at which a process accepts connections or datagrams."""
    inodes = set()
    for descriptor in Path(f"/proc/{process_id}/fd").iterdir():
        with suppress(OSError):
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for kind, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == state and columns[9] in inodes:
                found.add(columns[1])
    return found


def test_nothing_listens_by_default_and_else_on_loopback(node, tmp_path):
    """By default no port at all; with http_port one, on 127.0.0.1."""
    port = free_port()
    for more, expected in (({}, set()), ({"http_port": port}, {f"0100007F:{port:04X}"})):
        with Sensor() as sensor:
            (tmp_path / "health.json").unlink(missing_ok=True)
            process = node(live_config(tmp_path, sensor, **more))
            wait_until(lambda: health(tmp_path).get("samples_total", 0) > 100, "samples flow")
            assert listening(process.pid) == expected
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) == 0, log_of(tmp_path)


def test_a_password_is_neither_published_nor_stored(node, tmp_path):
    """It is not in log, output, spool, health, process list or any message, accepted or not."""
    folder = tmp_path / "broker"
    folder.mkdir()
    passwords = folder / "passwords"
    subprocess.run(
        [find("mosquitto_passwd"), "-b", "-c", passwords, "hill", "another"],
        check=True,
        capture_output=True,
    )
    restricted = f"allow_anonymous false\npassword_file {passwords}"
    broker = Broker(folder, config=restricted, receive_port=free_port())
    environment = {"EQEDGE_MQTT_USERNAME": "hill", "EQEDGE_MQTT_PASSWORD": SECRET}
    with broker, Sensor() as sensor, broker.listen("#") as received:
        config = f"""{live_config(tmp_path, sensor)}
[mqtt]
host = "127.0.0.1"
port = {broker.port}
allow_insecure = true
retry_max_seconds = 1.0
"""
        process = node(config, environment=environment)
        wait_until(lambda: "Not authorized" in log_of(tmp_path), "the rejected login")
        broker.stop()
        broker.configure("")
        broker.start()
        wait_until(lambda: health(tmp_path).get("mqtt_connected"), "the connection")
        received.wait_for(lambda got: got.json("info") and got.json("health"))
        published = "".join(text for _, _, text in received.messages)
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        files = [path for path in tmp_path.iterdir() if path.is_file()]
        assert {path.name for path in files} >= {"o.jsonl", "health.json", "log"}
        stored = "".join(path.read_bytes().decode("latin-1") for path in files)
    assert SECRET not in published + command + stored
