"""Two stations of one machine, as `install-service --name` sets them up, run side by side."""

import json
import signal

import pytest
from click.testing import CliRunner
from eqedge.edge.tools.service_cli import install_service

from tests.support.broker import PATIENCE_SECONDS, wait_until
from tests.support.sensor import Sensor

pytestmark = pytest.mark.slow  # nodes that run for seconds

NAMES = ("north", "south")


def station(tmp_path, name, sensor):
    """Install a station, and return its config with its folders below another root."""
    flags = ["--root", tmp_path, "--program", "/opt/eqedge/bin/eqedge", "--name", name]
    flags += ["--serial", sensor.url, "--station", name.upper()]
    done = CliRunner().invoke(install_service, list(map(str, flags)))
    assert done.exit_code == 0, done.output
    config = tmp_path / "etc" / "eqedge" / f"{name}.toml"
    text = config.read_text().replace('"/', f'"{tmp_path}/')
    config.write_text(text.replace("[health]\n", "[health]\ninterval_seconds = 1.0\n"))
    config.chmod(0o600)
    for place in ("var/lib", "run"):  # systemd makes them
        (tmp_path / place / f"eqedge-{name}").mkdir(parents=True)
    return config


def test_both_pick_and_the_end_of_one_leaves_the_other(tmp_path, background):
    """Each scores its own sensor into its own folders; stopping and removing one is not noticed."""

    def health(name):
        path = tmp_path / "run" / f"eqedge-{name}" / "health.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def windows(name):
        return health(name).get("windows_total", 0)

    with Sensor() as north, Sensor() as south:
        sensors = dict(zip(NAMES, (north, south), strict=True))
        nodes = {}
        for name in NAMES:
            nodes[name] = background("run", "--config", station(tmp_path, name, sensors[name]))
        for name in NAMES:
            wait_until(lambda name=name: windows(name) > 0, f"{name} scores")
            assert health(name)["station"] == name.upper()
            assert (tmp_path / "var/lib" / f"eqedge-{name}" / "triggers.jsonl").exists()
        nodes["north"].send_signal(signal.SIGTERM)
        assert nodes["north"].wait(PATIENCE_SECONDS) == 0
        flags = ["--root", str(tmp_path), "--remove", "--name", "north"]
        assert CliRunner().invoke(install_service, flags).exit_code == 0
        seen = windows("south")
        wait_until(lambda: windows("south") > seen, "south scores on")
        assert nodes["south"].poll() is None
