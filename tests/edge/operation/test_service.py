"""The systemd unit, as systemd's own analysis sees it."""

import re
import shutil
import subprocess
import sys
from importlib import resources

import pytest

UNIT = resources.files("eqedge.edge.operation") / "eqedge.service"


def settings():
    """Return the unit's assignments; lists for those given more than once."""
    found = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def analyze(*words):
    """Run systemd-analyze, or skip."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60)


def test_verify_finds_nothing_wrong(tmp_path):
    """`systemd-analyze verify` is silent once the program exists."""
    path = tmp_path / "eqedge.service"
    path.write_text(UNIT.read_text().replace("/opt/eqedge/bin/eqedge", sys.executable))
    result = analyze("verify", "--man=no", str(path))
    assert result.returncode == 0, result.stderr
    assert "eqedge.service" not in result.stderr


def test_exposure_is_low():
    """`systemd-analyze security` rates it 1.6 at most: OK in its words."""
    with resources.as_file(UNIT) as path:
        result = analyze("security", "--offline=yes", "--no-pager", str(path))
    if "Unknown" in result.stderr or "unrecognized" in result.stderr:
        pytest.skip("this systemd-analyze knows no --offline")
    score = re.search(r"Overall exposure level for eqedge.service: ([0-9.]+)", result.stdout)
    assert score, result.stderr
    assert float(score[1]) <= 1.6


def test_it_notifies_is_watched_and_always_restarted():
    """Type=notify, a watchdog, and no limit to the number of restarts."""
    unit = settings()
    assert unit["Type"] == ["notify"] and unit["WatchdogSec"] == ["60"]
    assert unit["Restart"] == ["always"] and unit["StartLimitIntervalSec"] == ["0"]
    assert unit["WantedBy"] == ["multi-user.target"]


def test_it_does_not_wait_for_a_network():
    """A node without a network detects all the same."""
    assert settings()["After"] == ["network.target"] and "Wants" not in settings()


def test_it_is_hardened():
    """The settings that the analysis may forgive are there by name."""
    unit = settings()
    for name in ("NoNewPrivileges", "DynamicUser", "ProtectHome", "MemoryDenyWriteExecute"):
        assert unit[name] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["DevicePolicy"] == ["closed"]
    # It would hide the boot id, and every restart would mark fresh messages as historical.
    assert "ProcSubset" not in unit
