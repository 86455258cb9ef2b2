"""A node in trouble that stops no stage: its state is degraded, with the reason, and recovers."""

import signal

import numpy as np
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.firmware_bridge.framing import frame
from eqedge.firmware_bridge.packets import Hello

from tests.support.broker import PATIENCE_SECONDS, wait_until
from tests.support.disks import fill, small_disk
from tests.support.node import health, live_config, log_of
from tests.support.sensor import Sensor


def ends(process, tmp_path):
    """End a node; it must end well, without a traceback."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0, log_of(tmp_path)
    assert "Traceback" not in log_of(tmp_path)


def has_reason(tmp_path, text):
    """Whether the newest record is degraded for a reason with this text."""
    record = health(tmp_path)
    return record.get("state") == "degraded" and any(text in one for one in record["reasons"])


class Spoilt:
    """What a sensor sends in place of its packets: after a while a Hello nobody can use."""

    def __init__(self):
        self.count = 0
        self.is_good_again = False

    def __call__(self, packet):
        """Return forty packets, then the bad Hello again and again, then packets again."""
        self.count += 1
        if self.count <= 40 or self.is_good_again:
            return packet  # among them a Hello now and then
        return frame(Hello("live", "test", 0.001, ("HHE",), boot_id=7).to_bytes())


def test_an_unusable_hello_degrades_the_node_until_a_usable_one_comes(node, tmp_path):
    """A sensor at 1 mHz in mid-stream: the node lives, names it, and goes on with the next."""
    spoilt = Spoilt()
    with Sensor(spoil=spoilt) as sensor:
        process = node(live_config(tmp_path, sensor, degraded_seconds=3))
        wait_until(lambda: has_reason(tmp_path, "sensor live: 0.001 Hz"), "the reason")
        samples = health(tmp_path)["samples_total"]
        assert health(tmp_path)["hellos_unusable_total"] > 0
        spoilt.is_good_again = True
        wait_until(lambda: health(tmp_path)["samples_total"] > samples + 1000, "samples go on")
        wait_until(lambda: health(tmp_path)["state"] == "healthy", "the state recovers")
        assert health(tmp_path)["reasons"] == []
        ends(process, tmp_path)
    assert log_of(tmp_path).count("warning: sensor live: 0.001 Hz cannot be turned into") == 1


def test_lines_that_wait_for_the_disk_degrade_the_node(node, tmp_path):
    """On a disk that is full for a while; when there is room again all is well."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        config = f"""output = "{disk}/o.jsonl"
[health]
interval_seconds = 1
json_file = "{tmp_path}/health.json"
degraded_seconds = 2
"""
        process = node(config, "--sim", DEMO_FILE, "--speed", "20")
        wait_until(lambda: health(tmp_path).get("output_lines_total", 0) > 0, "the first line")
        taker = fill(disk)
        wait_until(lambda: has_reason(tmp_path, "output_waiting_lines is"), "lines wait")
        assert health(tmp_path)["stages"]["output"] == "healthy"
        taker.unlink()
        wait_until(lambda: health(tmp_path)["state"] == "healthy", "the state recovers")
        ends(process, tmp_path)


def test_a_dead_component_degrades_the_node(node, tmp_path):
    """Within a minute of data, here of a sensor that is faster than real time."""

    class Dead(Sensor):
        """One whose N component never moves."""

        def counts(self, rng):
            """Return a packet's worth."""
            counts = super().counts(rng)
            counts[:, 1] = np.int32(3)
            return counts

    with Dead() as sensor:
        process = node(live_config(tmp_path, sensor))
        wait_until(lambda: has_reason(tmp_path, "components: N dead"), "the reason")
        ends(process, tmp_path)
    assert "component N is dead" in log_of(tmp_path)
