"""`eqedge run` and who must not get in: bytes on the port, listeners, secrets in what it tells."""

import os
import random
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.broker import PATIENCE_SECONDS, Broker, find, free_port, wait_until
from tests.support.node import health, live_config, said
from tests.support.sensor import Sensor

pytestmark = pytest.mark.slow  # nodes that run for seconds

SECRET = "Xq7-nobody-may-read-this"


def hostile_opening(greeting):
    """Yield whatever it likes, in all sizes, then greetings that are not quite one."""
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
    """Return what puts before some packets a copy with one bit wrong, and noise."""

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
        assert record["frames_crc_errors_total"] > 0 and record["state"] == "healthy"
        assert record["resident_memory_bytes"] < 90e6
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0, said(tmp_path)
    assert "Traceback" not in said(tmp_path)


def listening(process_id):
    """Return the local addresses, in hex, on which a process takes TCP calls or datagrams."""
    inodes = set()
    for descriptor in Path(f"/proc/{process_id}/fd").iterdir():
        with suppress(OSError):
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for kind, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == state and words[9] in inodes:
                found.add(words[1])
    return found


def test_nothing_listens_unless_told_and_then_on_loopback(node, tmp_path):
    """By default no port at all; with http_port one, on 127.0.0.1."""
    port = free_port()
    for more, expected in (({}, set()), ({"http_port": port}, {f"0100007F:{port:04X}"})):
        with Sensor() as sensor:
            (tmp_path / "health.json").unlink(missing_ok=True)
            process = node(live_config(tmp_path, sensor, **more))
            wait_until(lambda: health(tmp_path).get("samples_total", 0) > 100, "samples flow")
            assert listening(process.pid) == expected
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) == 0, said(tmp_path)


def test_a_password_is_nowhere_in_what_the_node_tells_or_keeps(node, tmp_path):
    """Not in log, output, spool, health, process list, nor in any message, refused or not."""
    folder = tmp_path / "broker"
    folder.mkdir()
    passwords = folder / "passwords"
    subprocess.run(
        [find("mosquitto_passwd"), "-b", "-c", passwords, "hill", "another"],
        check=True,
        capture_output=True,
    )
    refusing = f"allow_anonymous false\npassword_file {passwords}"
    broker = Broker(folder, config=refusing, receive_port=free_port())
    environment = {"EQEDGE_MQTT_USERNAME": "hill", "EQEDGE_MQTT_PASSWORD": SECRET}
    with broker, Sensor() as sensor, broker.listen("#") as heard:
        config = f"""{live_config(tmp_path, sensor)}
[mqtt]
host = "127.0.0.1"
port = {broker.port}
allow_insecure = true
retry_max_seconds = 1.0
"""
        process = node(config, environment=environment)
        wait_until(lambda: "Not authorized" in said(tmp_path), "the refusal")
        broker.stop()
        broker.configure("")
        broker.start()
        wait_until(lambda: health(tmp_path).get("mqtt_connected"), "the connection")
        heard.wait_for(lambda got: got.json("info") and got.json("health"))
        told = "".join(text for _, _, text in heard.messages)
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        files = [path for path in tmp_path.iterdir() if path.is_file()]
        assert {path.name for path in files} >= {"o.jsonl", "health.json", "said"}
        kept = "".join(path.read_bytes().decode("latin-1") for path in files)
    assert SECRET not in told + command + kept
