"""Settings reject what cannot work, with a line that names what does."""

import pytest
from eqedge.edge.settings.delivery import MqttSettings, SpoolSettings, require_topic
from eqedge.edge.settings.health import HealthSettings
from eqedge.edge.settings.node import Settings, StationSettings, TriggerSettings, WindowSettings
from eqedge.edge.settings.validation import SettingsError
from hypothesis import example, given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: StationSettings(network="xx"), "network code 'xx': use 1 to 8 capital"),
        (lambda: StationSettings(station=""), "station code ''"),
        (lambda: StationSettings(station="../../x"), "station code '../../x'"),
        (lambda: StationSettings(station="A/B"), "station code 'A/B'"),
        (lambda: StationSettings(station="A\n"), "station code"),
        (lambda: StationSettings(location="TOOLONG99"), "location code 'TOOLONG99'"),
        (lambda: WindowSettings(hop_seconds=0.01), "hop 0.01 s: use 0.05 to 60 s"),
        (lambda: WindowSettings(hop_seconds=float("nan")), "hop nan s"),
        (lambda: WindowSettings(fill_seconds=11), "fill 11 s: use 0 to 10 s"),
        (lambda: TriggerSettings(P_threshold=0.0), "P_threshold 0.0: use a number between 0 and 1"),
        (lambda: TriggerSettings(S_threshold=1.0), "S_threshold 1.0"),
        (lambda: TriggerSettings(detection_threshold=float("nan")), "detection_threshold nan"),
        (lambda: TriggerSettings(confirm_windows=0), "confirm_windows 0: use 1 or more"),
        (lambda: TriggerSettings(refractory_seconds=-1), "refractory_seconds -1"),
        (lambda: TriggerSettings(end_quiet_seconds=float("nan")), "end_quiet_seconds nan"),
        (lambda: SpoolSettings(max_messages=0), "max_messages 0"),
        (lambda: SpoolSettings(max_bytes=1), "max_bytes 1"),
        (lambda: SpoolSettings(fsync="maybe"), "fsync 'maybe': use always or never"),
        (lambda: MqttSettings(""), "MQTT host is empty"),
        (lambda: MqttSettings("broker..local"), "'broker..local' is not a name of a machine"),
        (lambda: MqttSettings("h" * 64), "is not a name of a machine"),
        (lambda: MqttSettings("h." * 200), "is not a name of a machine"),
        (lambda: MqttSettings("broker:1883"), "without user, password, port or path"),
        (lambda: MqttSettings("broker/prefix"), "without user, password, port or path"),
        (lambda: HealthSettings(http_host=""), "http_host is empty; name one, such as 127.0.0.1"),
        (lambda: HealthSettings(http_host="a..b"), "http_host 'a..b' is not a name of a machine"),
        (lambda: HealthSettings(prometheus_file="/x/eqedge.txt"), "must end in .prom"),
        (lambda: MqttSettings("h", port=0), "MQTT port 0: use 1 to 65535"),
        (lambda: MqttSettings("h", ca_file="x"), "TLS is off"),
        (lambda: MqttSettings("h", tls=True, key_file="x"), "without a certificate_file"),
        (lambda: MqttSettings("h", protocol="4"), "MQTT protocol '4': use 5 or 3.1.1"),
        (lambda: MqttSettings("h", keepalive_seconds=0), "keepalive_seconds 0"),
        (lambda: MqttSettings("h", retry_min_seconds=9, retry_max_seconds=1), "retry_max_seconds"),
    ],
)
def test_a_wrong_setting_is_rejected(make, expected):
    """Each message names the setting and its value."""
    with pytest.raises(SettingsError) as caught:
        make()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_defaults_are_allowed():
    """A node needs no settings at all, and an empty location is one."""
    assert Settings().mqtt is None
    assert StationSettings("AM", "R3BCF", "").location == ""


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix", "tls"),
    [
        ("mqtt://broker", "broker", 1883, "eqedge", False),
        ("mqtt://broker:1884/a/b/", "broker", 1884, "a/b", False),
        ("mqtts://broker.example", "broker.example", 8883, "eqedge", True),
        ("mqtt://[::1]:1883", "::1", 1883, "eqedge", False),
    ],
)
def test_addresses(url, host, port, prefix, tls):
    """Scheme, host, port and prefix, and back to an address for messages."""
    found = MqttSettings.from_url(url)
    assert (found.host, found.port, found.topic_prefix, found.tls) == (host, port, prefix, tls)
    assert MqttSettings.from_url(found.address).host == host


@given(st.one_of(st.text(), st.text().map("mqtt://".__add__), st.from_regex(r"mqtts?://.*")))
@example("mqtt://[")
@example("mqtt://h:port")
@example("mqtt://\u2100/x")
def test_any_address_is_read_or_rejected(url):
    """Any text gives settings or a SettingsError, no other error."""
    try:
        found = MqttSettings.from_url(url)
    except SettingsError:
        return
    require_topic("prefix", found.topic_prefix)
    assert found.host


@given(st.text(st.characters(categories=["L", "N"]), min_size=6), st.sampled_from("/ :+#?"))
def test_a_password_is_never_repeated(secret, after):
    """Whatever else is wrong with the address."""
    with pytest.raises(SettingsError) as caught:
        MqttSettings.from_url(f"mqtt://user:{secret}@host:99999{after}")
    assert secret not in str(caught.value)


@pytest.mark.parametrize("host", ["bob:{}@broker", "bob:{}", "{}@broker", "mqtt://bob:{}@broker"])
def test_a_password_in_the_host_is_rejected_and_not_repeated(host):
    """No log contains it, wherever the address came from."""
    with pytest.raises(SettingsError, match="without user, password") as caught:
        MqttSettings(host.format("secret"))
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["broker", "broker.local.", "münchen.example", "10.0.0.1", "::1"])
def test_good_names_and_addresses(host):
    """International names too, and IPv6 without its brackets."""
    assert MqttSettings(host).host == host


@pytest.mark.parametrize("topic", ["a/+", "#", "a//b", "", "/a", "a/", "$SYS", "a\0b", "x" * 201])
def test_topics_that_no_broker_accepts(topic):
    """Wildcards, empty levels, control characters, the broker's own, too long."""
    with pytest.raises(SettingsError):
        require_topic("topic", topic)
