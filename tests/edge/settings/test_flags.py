"""Options on the command line override the file; their defaults do not."""

import pytest
from eqedge.edge.settings.flags import settings_of, warnings
from eqedge.edge.settings.node import Settings
from eqedge.edge.settings.validation import SettingsError


@pytest.fixture
def config(tmp_path):
    """A file that sets something in several sections."""
    path = tmp_path / "eqedge.toml"
    path.write_text("""
output = "/var/lib/eqedge/o.jsonl"
[station]
network = "AM"
station = "HILL"
[trigger]
confirm_windows = 3
[sensor]
port = "/dev/ttyACM0"
[mqtt]
host = "broker"
topic_prefix = "mountains"
tls = true
credentials_file = "/etc/eqedge/mqtt"
keepalive_seconds = 60
""")
    path.chmod(0o600)
    return path


def test_without_both_the_defaults_hold():
    """Without a file and options."""
    assert settings_of(None, {}) == Settings()


def test_each_option_overrides_one_setting(config):
    """The other settings of the file stay."""
    given = {"station": "DALE", "hop": 0.5, "P_threshold": 0.2, "serial": "/dev/x", "output": "a"}
    settings = settings_of(config, given)
    assert (settings.station.network, settings.station.station) == ("AM", "DALE")
    assert settings.window.hop_seconds == 0.5
    assert (settings.trigger.P_threshold, settings.trigger.confirm_windows) == (0.2, 3)
    assert (settings.sensor.port, settings.output) == ("/dev/x", "a")


def test_another_broker_keeps_the_login(config):
    """The address comes from the option, credentials and limits from the file."""
    mqtt = settings_of(config, {"mqtt": "mqtts://other:8884"}).mqtt
    assert (mqtt.host, mqtt.port, mqtt.tls) == ("other", 8884, True)
    assert (mqtt.topic_prefix, mqtt.keepalive_seconds) == ("mountains", 60)
    assert mqtt.credentials_file == "/etc/eqedge/mqtt"
    assert settings_of(config, {"mqtt": "mqtts://other/hills"}).mqtt.topic_prefix == "hills"


def test_a_wrong_option_is_rejected_as_in_the_file(config):
    """By the setting's own check."""
    with pytest.raises(SettingsError, match="station code"):
        settings_of(config, {"station": "../x"})


def test_files_that_others_may_write_are_named(config, tmp_path):
    """Config, model and card: with each, another user could change what the node does."""
    model = tmp_path / "m.tflite"
    for path in (model, model.with_suffix(".json")):
        path.touch()
        path.chmod(0o644)
    settings = Settings(model=str(model))
    assert warnings(config, settings) == []
    model.chmod(0o666)
    config.chmod(0o620)
    assert [line.split()[0] for line in warnings(config, settings)] == [str(model), str(config)]
