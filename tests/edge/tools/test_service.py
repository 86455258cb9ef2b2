"""The systemd unit, by systemd's own analysis, and its installation."""

import os
import re
import shutil
import subprocess
import sys
from importlib import resources
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from eqedge import EqedgeError
from eqedge.edge.settings.config import read_config
from eqedge.edge.settings.delivery import MqttSettings
from eqedge.edge.tools.service_cli import install_service
from eqedge.edge.tools.service_names import CONFIG, TEMPLATE, UNITS, ServiceError
from eqedge.edge.tools.service_names import UNIT as UNIT_PLACE

UNIT = resources.files("eqedge.edge.tools") / "eqedge.service"


def settings():
    """Return the unit's assignments; lists for those given more than once."""
    found = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def analyze(*arguments):
    """Run systemd-analyze, or skip."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300)


def test_verify_finds_nothing_wrong(tmp_path):
    """`systemd-analyze verify` is silent once the program exists."""
    path = tmp_path / "eqedge.service"
    path.write_text(UNIT.read_text().replace("/opt/eqedge/bin/eqedge", sys.executable))
    result = analyze("verify", "--man=no", str(path))
    assert result.returncode == 0, result.stderr
    assert "eqedge.service" not in result.stderr


def test_exposure_is_low():
    """`systemd-analyze security` rates it 1.6 at most, which it calls OK."""
    with resources.as_file(UNIT) as path:
        result = analyze("security", "--offline=yes", "--no-pager", str(path))
    if "Unknown" in result.stderr or "unrecognized" in result.stderr:
        pytest.skip("this systemd-analyze has no --offline")
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
    """A node without a network detects earthquakes too."""
    assert settings()["After"] == ["network.target"] and "Wants" not in settings()


def test_it_is_hardened():
    """The settings that the analysis does not require are there by name."""
    unit = settings()
    for name in ("NoNewPrivileges", "DynamicUser", "ProtectHome", "MemoryDenyWriteExecute"):
        assert unit[name] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["DevicePolicy"] == ["closed"]
    # It would hide the boot id, and every restart would mark fresh messages as historical.
    assert "ProcSubset" not in unit


# -- eqedge install-service --------------------------------------------------------------------

PROGRAM = "/opt/eqedge/bin/eqedge"


def install(root, *flags):
    """Install into a folder instead of the system; return status and outputs."""
    arguments = ["--root", str(root), "--program", PROGRAM, *map(str, flags)]
    result = CliRunner().invoke(install_service, arguments)
    error = result.exception
    assert error is None or isinstance(error, EqedgeError), result
    line = "" if error is None else f"{error}\n"
    return SimpleNamespace(returncode=2 if error else 0, stdout=result.stdout, stderr=line)


def test_it_writes_unit_and_config_and_starts_nothing(tmp_path):
    """Two files, a config the node accepts, and the commands that are left to the operator."""
    flags = ("--serial", "/dev/ttyACM0", "--network", "AM", "--station", "R1234")
    result = install(tmp_path, *flags, "--mqtt", "mqtts://broker:8884/hill")
    assert result.returncode == 0, result.stderr
    config = read_config(tmp_path / CONFIG)
    assert (config.station.network, config.station.station) == ("AM", "R1234")
    assert (config.sensor.port, config.output) == ("/dev/ttyACM0", "/var/lib/eqedge/triggers.jsonl")
    assert config.mqtt == MqttSettings("broker", 8884, "hill", tls=True)
    assert f"ExecStart={PROGRAM} run" in (tmp_path / UNIT_PLACE).read_text()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(files) == sorted([tmp_path / CONFIG, tmp_path / UNIT_PLACE])
    assert "systemctl enable --now eqedge" in result.stdout


def test_an_existing_config_is_kept_and_a_unit_replaced(tmp_path):
    """With other options too; an update of the package brings a new unit."""
    install(tmp_path, "--serial", "/dev/ttyACM0")
    before = (tmp_path / CONFIG).read_text()
    (tmp_path / UNIT_PLACE).write_text("[Unit]\n")
    result = install(tmp_path, "--serial", "/dev/ttyUSB7")
    assert (tmp_path / CONFIG).read_text() == before
    assert "eqedge.toml: kept" in result.stdout and "eqedge.service: replaced" in result.stdout
    assert "eqedge.service: the same" in install(tmp_path).stdout


def test_a_config_is_copied(tmp_path):
    """If it is valid; otherwise nothing is written."""
    own = tmp_path / "own.toml"
    own.write_text("[sensor]\nprot = '/dev/ttyS0'\n")
    result = install(tmp_path, "--config", own)
    assert result.returncode == 2 and "did you mean sensor.port" in result.stderr
    assert not (tmp_path / UNIT_PLACE).exists()
    own.write_text("[sensor]\nport = '/dev/ttyS0'\n")
    assert install(tmp_path, "--config", own).returncode == 0
    assert (tmp_path / CONFIG).read_text() == own.read_text()


def test_a_dry_run_writes_nothing(eqedge, tmp_path):
    """It prints both files."""
    flags = ("--root", tmp_path, "--program", PROGRAM, "--serial", "/dev/ttyACM0", "--dry-run")
    result = eqedge("install-service", *flags)
    assert result.returncode == 0
    assert "    Type=notify" in result.stdout and '    port = "/dev/ttyACM0"' in result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), "the service needs a sensor; give --serial PORT"),
        (("--serial", "x", "--station", "../x"), "station code '../x'"),
        (("--serial", "x", "--program", "/home/me/venv/bin/eqedge"), "is in /home, which"),
    ],
)
def test_a_service_that_could_not_run_is_rejected(tmp_path, flags, expected):
    """With one line, and nothing is written."""
    result = install(tmp_path, *flags)
    assert result.returncode == 2 and expected in result.stderr
    assert result.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


def test_without_root_it_is_one_line(monkeypatch):
    """The line has the remedy, and nothing is read before."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(install_service, ["--serial", "/dev/ttyACM0"])
    assert isinstance(result.exception, ServiceError)
    assert "needs root; use sudo, or --dry-run" in str(result.exception)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    """A file where the folder should be."""
    (tmp_path / "etc").write_text("")
    result = install(tmp_path, "--serial", "x")
    assert result.returncode == 2 and "cannot write" in result.stderr, result.stderr


def test_the_installed_unit_passes_systemds_analysis(tmp_path):
    """As it is written, for a program that exists; as little exposed as the one shipped."""
    program = shutil.which("true", path="/usr/bin")
    install(tmp_path, "--serial", "/dev/ttyACM0", "--program", program)
    unit = str(tmp_path / UNIT_PLACE)
    verified = analyze("verify", "--man=no", unit)
    assert verified.returncode == 0 and "eqedge.service" not in verified.stderr, verified.stderr
    result = analyze("security", "--offline=yes", "--no-pager", "--threshold=16", unit)
    assert result.returncode == 0, result.stdout[-300:]


# -- several stations on one machine -----------------------------------------------------------


def contents(root):
    """Return every file below a folder, by its path from there, with its text."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_text() for path in files}


def two_stations(root):
    """Install two services beside the only one."""
    for name in ("", "north", "south-2"):
        flags = ("--serial", f"/dev/tty{name}X", "--station", f"S{len(name)}")
        result = install(root, "--name", name, *flags)
        assert result.returncode == 0, result.stderr
    return result


def test_the_template_is_the_unit_for_an_instance():
    """They differ in config, user, folders and description; a change of one is seen here."""
    one = UNIT.read_text().splitlines()[1:]
    several = (UNIT.parent / "eqedge@.service").read_text().splitlines()[1:]
    assert len(one) == len(several)
    differing = [pair for pair in zip(one, several, strict=True) if pair[0] != pair[1]]
    assert [new.partition("=")[0] for _, new in differing] == [
        "Description",
        "ExecStart",
        "WorkingDirectory",
        "User",
        "StateDirectory",
        "RuntimeDirectory",
        *("# MQTT user name and password, two lines; then credentials_file ", "#LoadCredential"),
    ]
    for _, new in differing[1:6]:
        assert "%i" in new


def test_two_stations_have_nothing_in_common_but_the_template(tmp_path):
    """Each has its config, its folders and its name; no file of another one is touched."""
    result = two_stations(tmp_path)
    assert set(contents(tmp_path)) == {
        *(UNIT_PLACE, TEMPLATE, CONFIG),
        *("etc/eqedge/north.toml", "etc/eqedge/south-2.toml"),
    }
    outputs = [read_config(path) for path in sorted((tmp_path / "etc/eqedge").iterdir())]
    places = [(one.output, one.health.json_file) for one in outputs]
    assert places == [
        (f"/var/lib/{folder}/triggers.jsonl", f"/run/{folder}/health.json")
        for folder in ("eqedge", "eqedge-north", "eqedge-south-2")
    ]
    assert "systemctl enable --now eqedge@south-2" in result.stdout
    assert "eqedge doctor --config /etc/eqedge/south-2.toml" in result.stdout


def test_removing_one_station_leaves_the_others(tmp_path):
    """The template goes with the last of its stations, and comes back with a new one."""
    two_stations(tmp_path)
    before = contents(tmp_path)
    for name, gone in (
        ("north", {"etc/eqedge/north.toml"}),
        ("", {UNIT_PLACE, CONFIG}),
        ("south-2", {"etc/eqedge/south-2.toml", TEMPLATE}),
    ):
        result = install(tmp_path, "--remove", "--name", name)
        assert result.returncode == 0, result.stderr
        before = {path: text for path, text in before.items() if path not in gone}
        assert contents(tmp_path) == before
    assert before == {}
    again = install(tmp_path, "--remove", "--name", "north")
    assert again.returncode == 2 and "there is no" in again.stderr and "--name" in again.stderr


def test_a_station_that_is_still_enabled_is_not_removed(tmp_path):
    """Its link would be left behind; the message has the command."""
    two_stations(tmp_path)
    wants = tmp_path / UNITS / "multi-user.target.wants"
    wants.mkdir()
    (wants / "eqedge@north.service").symlink_to("/etc/systemd/system/eqedge@.service")
    before = contents(tmp_path)
    result = install(tmp_path, "--remove", "--name", "north")
    assert result.returncode == 2 and "systemctl disable --now eqedge@north" in result.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            ("--serial", "/dev/ttynorthX", "--station", "NEW"),
            "the same sensor port (/dev/ttynorthX",
        ),
        (("--serial", "/dev/ttyNEW", "--station", "S5"), "the same station (XX.S5.00)"),
        (("--serial", "x", "--name", "../up"), "use 1 to 24 letters"),
        (("--serial", "x", "--name", "a b"), "use 1 to 24 letters"),
        (("--serial", "x", "--name", "eqedge"), "and not eqedge"),
        (("--serial", "x", "--name", "a@b"), "use 1 to 24 letters"),
        (("--serial", "x", "--name", "n" * 25), "use 1 to 24 letters"),
    ],
)
def test_stations_that_would_disturb_each_other_are_rejected(tmp_path, flags, expected):
    """With one line, and nothing is written."""
    two_stations(tmp_path)
    before = contents(tmp_path)
    result = install(tmp_path, "--name", "third", *flags)
    assert result.returncode == 2 and expected in result.stderr
    assert result.stderr.count("\n") == 1 and contents(tmp_path) == before


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('output = "/var/lib/eqedge/triggers.jsonl"', "another service's folder"),
        ('output = "/var/lib/eqedge-north/t.jsonl"', "use /var/lib/eqedge-third"),
        ('[health]\njson_file = "/run/eqedge/health.json"', "use /run/eqedge-third"),
        ("[health]\nhttp_port = 9100", "the same http_port (9100)"),
        ('output = "/srv/t.jsonl"', "the same output (/srv/t.jsonl)"),
    ],
)
def test_a_copied_config_must_not_use_anothers_places(tmp_path, line, expected):
    """Two nodes cannot write one file or listen on one port."""
    own = tmp_path / "own.toml"
    head, tail = (line, "") if line.startswith("output") else ("", line)
    root = tmp_path / "root"
    (root / "etc/eqedge").mkdir(parents=True)
    other = 'output = "/srv/t.jsonl"\n[sensor]\nport = "a"\n[health]\nhttp_port = 9100\n'
    (root / "etc/eqedge/other.toml").write_text(other)
    own.write_text(f'{head}\n[station]\nstation = "OWN"\n[sensor]\nport = "b"\n{tail}\n')
    result = install(root, "--name", "third", "--config", own)
    assert result.returncode == 2 and expected in result.stderr, result.stderr
    assert not (root / TEMPLATE).exists()


def test_options_that_change_nothing_are_named(tmp_path):
    """A second call for a second sensor would otherwise seem to have worked."""
    two_stations(tmp_path)
    result = install(tmp_path, "--serial", "/dev/ttyOTHER")
    assert "for another station give --name" in result.stdout
    assert "for another station" not in install(tmp_path).stdout


def test_an_instance_of_the_template_passes_systemds_analysis(tmp_path):
    """As it is written, for a program that exists; as little exposed as the unit."""
    program = shutil.which("true", path="/usr/bin")
    install(tmp_path, "--serial", "/dev/ttyACM0", "--program", program, "--name", "north")
    instance = tmp_path / "eqedge@north.service"
    shutil.copyfile(tmp_path / TEMPLATE, instance)
    verified = analyze("verify", "--man=no", str(instance))
    assert verified.returncode == 0 and "eqedge@" not in verified.stderr, verified.stderr
    result = analyze("security", "--offline=yes", "--no-pager", "--threshold=16", str(instance))
    assert result.returncode == 0, result.stdout[-300:]
