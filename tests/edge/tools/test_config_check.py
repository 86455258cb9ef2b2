"""`eqedge config check` finds every problem of a config, and starts nothing."""

import os

import pytest
from click.testing import CliRunner
from eqedge.edge.settings.config import reference
from eqedge.edge.tools.config_cli import config


def check(path, text):
    """Write a config and check it; return exit code, standard output and the lines of errors."""
    path.write_text(text)
    path.chmod(0o600)
    result = CliRunner().invoke(config, ["check", str(path)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr.splitlines()


@pytest.fixture
def path(tmp_path):
    """A config."""
    return tmp_path / "node.toml"


def test_a_good_config_is_one_line(path, tmp_path):
    """Nothing on standard error, nothing made, and exit code 0."""
    port = tmp_path / "tty"
    port.touch()
    before = sorted(tmp_path.iterdir())
    text = (
        f'output = "{tmp_path}/o.jsonl"\n[sensor]\nport = "{port}"\n[station]\nstation = "HILL"\n'
    )
    code, out, errors = check(path, text)
    assert (code, errors) == (0, [])
    assert out == f"{path}: good (station XX.HILL.00, model leqnet_gru_mixed)\n"
    assert sorted(tmp_path.iterdir()) == sorted([*before, path])


def test_every_problem_is_printed(path):
    """Unknown names, wrong types and values of all tables, each once; no start would do that."""
    text = """ouput = "x"
[station]
network = "xx"
station = "much_too_long"
[sensor]
port = "socket://host"
baud = 3
[window]
hop_seconds = "1"
[mqtt]
port = 99999
tls = 1
[health]
prometheus_file = "/x/y"
interval_seconds = 0.0
[trigger]
preset = "calm"
[sensors]
"""
    code, out, errors = check(path, text)
    assert code == 2 and out == ""
    for part in (
        "ouput is not a setting; did you mean output?",
        "network code 'xx'",
        "station code 'much_too_long'",
        "it names no port; write socket://HOST:PORT",
        "baud 3",
        "window.hop_seconds is '1', expected float",
        "mqtt.host is missing",
        "MQTT port 99999",
        "mqtt.tls is 1, expected bool",
        "must end in .prom",
        "interval_seconds 0.0",
        "preset 'calm'",
        "sensors is not a setting",
    ):
        assert len([line for line in errors if part in line]) == 1, (part, errors)
    assert len(errors) == 13


def test_settings_that_only_contradict_each_other(path):
    """Each is good alone."""
    code, _, errors = check(path, '[mqtt]\nhost = "h"\nca_file = "ca.pem"\n')
    assert code == 2 and "TLS is off" in errors[0] and len(errors) == 1
    code, _, errors = check(path, '[sensor]\nport = "loop://"\n[window]\nbuffer_seconds = 70.0\n')
    assert code == 2 and "buffer_seconds 70" in errors[0] and len(errors) == 1


@pytest.mark.parametrize("text", ["[sensor", "\0", "[a]\n[a]\n"])
def test_what_is_no_toml_is_one_line(eqedge, path, text):
    """And exit code 2, as for a file that is not there."""
    path.write_text(text)
    result = eqedge("config", "check", path)
    assert result.returncode == 2 and "not TOML" in result.stderr
    assert result.stderr.count("\n") == 1
    missing = eqedge("config", "check", path.with_name("no.toml"))
    assert missing.returncode == 2 and "No such file" in missing.stderr


def test_what_a_start_would_find_is_a_warning(path, tmp_path):
    """Model, port, folder, credentials: the config is good, this machine is not ready."""
    text = f"""output = "{tmp_path}/no/o.jsonl"
model = "{tmp_path}/no.tflite"
[sensor]
port = "/dev/ttyNONE"
[mqtt]
host = "127.0.0.1"
allow_insecure = true
credentials_file = "{tmp_path}/no"
[health]
json_file = "/nowhere/h.json"
"""
    code, out, errors = check(path, text)
    assert code == 0 and out.endswith(", 5 warnings\n")
    for part in ("no.tflite: No such", "/dev/ttyNONE", "disk:", "credentials_file:", "json_file:"):
        assert len([one for one in errors if one.startswith("warning: ") and part in one]) == 1
    code, _, errors = check(path, "model_fallback = false\n" + text)
    assert code == 2 and any(one.startswith("eqedge: model ") for one in errors)


BROKER = '[sensor]\nport = "loop://"\n[mqtt]\nhost = "h"\n'


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "user name on the first line"),
        (b"\nsecret\n", "user name on the first line"),
        ("u\nsecret\n".encode("utf-16"), "can't decode"),
        (b"u\n" + 70_000 * b"secret", "too large"),
    ],
)
def test_credentials_that_no_node_could_use_are_named(path, tmp_path, content, part):
    """A node would end with the same line; nothing of the password is printed."""
    file = tmp_path / "login"
    file.write_bytes(content)
    file.chmod(0o600)
    text = f'{BROKER}tls = true\ncredentials_file = "{file}"\n'
    code, out, errors = check(path, text)
    assert (code, len(errors)) == (0, 1) and part in errors[0] and "secret" not in out + errors[0]
    file.write_text("user\nsecret\n")
    assert check(path, text)[2] == []
    code, _, errors = check(path, text.replace("tls = true\n", ""))
    assert code == 2 and len(errors) == 1 and "unencrypted; set tls" in errors[0]


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", ["credentials_file", "key_file"])
@pytest.mark.timeout(60)
def test_what_is_no_file_is_not_waited_for(path, tmp_path, kind, name):
    """A pipe that nobody writes to, and one without an end."""
    file = tmp_path / "pipe"
    os.mkfifo(file)
    file = "/dev/zero" if kind == "device" else file
    certificate = 'certificate_file = "/no"\n' if name == "key_file" else ""
    code, _, errors = check(path, f'{BROKER}tls = true\n{certificate}{name} = "{file}"\n')
    line = f"warning: {name}: {file} is not a regular file"
    assert code == 0 and len([one for one in errors if one.startswith(line)]) == 1


def test_certificates_that_cannot_be_used_are_named(path, tmp_path):
    """A missing file of authorities, and one without a certificate."""
    file = tmp_path / "ca.pem"
    text = f'{BROKER}tls = true\nca_file = "{file}"\n'
    code, _, errors = check(path, text)
    assert code == 0 and f"MQTT certificates {file}: no such file" in errors[0]
    file.write_text("none")
    code, _, errors = check(path, text)
    assert code == 0 and f"MQTT certificates {file}" in errors[0] and len(errors) == 1


def test_a_config_without_a_sensor_and_one_that_others_may_write(path):
    """The reference has no port; who may write the config can change the node."""
    code, _, errors = check(path, reference())
    assert code == 0 and errors == [
        "warning: sensor.port is not set; set it, or give --serial PORT to eqedge run"
    ]
    path.chmod(0o666)
    result = CliRunner().invoke(config, ["check", str(path)])
    assert result.exit_code == 0 and f"chmod go-w {path}" in result.stderr
