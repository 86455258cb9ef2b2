"""The broker's address and limits."""

import pytest
from eqedge.edge.settings.delivery import MqttSettings
from eqedge.edge.settings.validation import SettingsError


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix", "tls"),
    [
        ("mqtt://broker", "broker", 1883, "eqedge", False),
        ("mqtt://broker:1884/a/b/", "broker", 1884, "a/b", False),
        ("mqtts://broker", "broker", 8883, "eqedge", True),
        ("mqtts://[::1]:99", "::1", 99, "eqedge", True),
    ],
)
def test_addresses(url, host, port, prefix, tls):
    """An address sets host, port, prefix and TLS, or leaves them to the defaults."""
    settings = MqttSettings.from_url(url)
    assert (settings.host, settings.port, settings.topic_prefix, settings.tls) == (
        host,
        port,
        prefix,
        tls,
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker",
        "http://broker",
        "mqtt://",
        "mqtt://broker:port",
        "mqtt://broker:0",
        "mqtt://broker:70000",
        "mqtt://[::1",
        "mqtt://broker/a?b",
        "mqtt://broker/a/#",
        "mqtt://broker/a//b",
        "mqtt://broker/$SYS",
        "mqtt://broker/" + "x" * 201,
        "mqtt://node:secret@broker",
        "mqtt://node:secret@broker:port",
        "mqtt://node:secret@[::1",
    ],
)
def test_wrong_addresses_are_one_line_without_a_password(url):
    """Each is a settings error, and never repeats a password it was given."""
    with pytest.raises(SettingsError) as caught:
        MqttSettings.from_url(url)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"topic_prefix": ""},
        {"topic_prefix": "/a"},
        {"topic_prefix": "a/\n"},
        {"topic_prefix": "a+"},
        {"home_assistant_prefix": "#"},
        {"protocol": "4"},
        {"ca_file": "ca.pem"},
        {"key_file": "k.pem", "tls": True},
        {"keepalive_seconds": 0},
        {"retry_max_seconds": 0.5},
        {"max_payload_bytes": 10},
    ],
)
def test_settings_out_of_range(wrong):
    """Each is rejected when the settings are made, not when the node connects."""
    with pytest.raises(SettingsError):
        MqttSettings(**{"host": "broker", **wrong})
