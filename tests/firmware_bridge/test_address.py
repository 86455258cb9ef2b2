"""Names of ports and addresses are checked before anything is opened."""

import pytest
from eqedge.edge.settings.delivery import MqttSettings
from eqedge.edge.settings.node import SensorSettings
from eqedge.edge.settings.validation import SettingsError
from eqedge.firmware_bridge.address import host_and_port, port_problem
from eqedge.firmware_bridge.port import Port, PortError

GOOD = [
    "/dev/ttyACM0",
    "/dev/serial/by-id/usb-1a:2b",
    "socket://192.168.1.5:4000",
    "SOCKET://sensor.local:1",
    "socket://[::1]:65535",
    "socket://[fe80::1%eth0]:4000/",
    "socket://h:4000?logging=debug",
    "rfc2217://h:4000?ign_set_control",
    "loop://",
    "spy:///dev/ttyUSB0?file=x",
]
BAD = [
    ("socket://host", "it names no port; write socket://HOST:PORT"),
    ("socket://host:", "it names no port"),
    ("socket://[::1]", "it names no port"),
    ("rfc2217://host", "write rfc2217://HOST:PORT"),
    ("socket://", "it names no host"),
    ("socket://:4000", "it names no host"),
    ("socket://host:0", "port '0' is not a number from 1 to 65535"),
    ("socket://host:65536", "port '65536' is not a number"),
    ("socket://host:-1", "port '-1' is not a number"),
    ("socket://host:4000x", "port '4000x' is not a number"),
    ("socket://host:\u0664\u0660", "is not a number"),
    ("socket://host:" + "9" * 5000, "is not a number"),
    ("socket://::1:4000", "an IPv6 address needs brackets"),
    ("socket://::1", "an IPv6 address needs brackets"),
    ("socket://[::1:4000", "an IPv6 address needs brackets"),
    ("socket://[::1]4000", "an IPv6 address needs brackets"),
    ("socket://[nonsense]:4000", "an IPv6 address needs brackets"),
    ("socket://me:secret@host:4000", "more than host and port"),
    ("socket://host:4000/dev/ttyACM0", "more than host and port"),
    ("socket://host:4000?x", "an unknown option 'x'; write socket://HOST:PORT"),
    ("rfc2217://host:4000?loging=debug", "an unknown option 'loging'"),
    ("socket://host:4000?logging=all", "logging is none of debug, info, warning, error"),
    ("socket://host:4000?logging", "logging is none of debug, info, warning, error"),
    ("tcp://host:4000", "there is no kind of port 'tcp'; name a device such as /dev/ttyACM0"),
    ("http://host:80", "there is no kind of port 'http'"),
    ("://host:4000", "there is no kind of port ''"),
    ("socket:host:4000", "the slashes are missing; write socket://HOST:PORT"),
    ("socket:/host:4000", "the slashes are missing"),
    ("192.168.1.5:4000", "for a sensor on the network write socket://192.168.1.5:4000"),
    ("", "the name is empty"),
    ("  ", "the name is empty"),
]


@pytest.mark.parametrize("url", GOOD)
def test_a_usable_name_passes(url):
    """Devices, and all kinds of pyserial URLs."""
    assert port_problem(url) is None
    assert SensorSettings(url).port == url


@pytest.mark.parametrize(("url", "message"), BAD)
def test_a_name_that_cannot_be_a_port_has_its_remedy(url, message):
    """In the settings and in every tool that opens a port; nothing is opened."""
    with pytest.raises(SettingsError) as setting:
        SensorSettings(url)
    with pytest.raises(PortError) as opening:
        Port(url).open()
    for error in (setting.value, opening.value):
        assert message in str(error) and "\n" not in str(error)
        assert "secret" not in str(error) and len(str(error)) < 250
    assert opening.value.reason == "address"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mqtt://", "it names no host"),
        ("mqtt://:1883", "it names no host"),
        ("mqtt:///prefix", "it names no host"),
        ("mqtt://host:0", "port '0' is not a number from 1 to 65535"),
        ("mqtt://host:99999", "port '99999' is not a number from 1 to 65535"),
        ("mqtts://host:tls", "port 'tls' is not a number"),
        ("mqtt://::1", "an IPv6 address needs brackets"),
        ("mqtt://::1:1883", "an IPv6 address needs brackets"),
        ("mqtt://[::1", "an IPv6 address needs brackets"),
        ("mqtt://[no]:1883", "an IPv6 address needs brackets"),
        ("tcp://host:1883", "'tcp://host:1883': write mqtt://host:1883"),
        ("ssl://host:8883", "write mqtt://host:1883 or mqtts://host:8883"),
        ("ws://host/mqtt", "write mqtt://host:1883"),
        ("host:1883", "'host:1883': write mqtt://host:1883"),
        ("mqtt:host", "'mqtt:host': write mqtt://host:1883"),
        ("mqtt:/host", "write mqtt://host:1883"),
        ("mqtt://host?x", "write mqtt://host:1883"),
        ("", "write mqtt://host:1883"),
        ("mqtt://a..b:1883", "is not a name of a machine"),
    ],
)
def test_a_brokers_address_that_is_none_has_its_remedy(url, message):
    """Each kind of mistake has its own reason."""
    with pytest.raises(SettingsError) as caught:
        MqttSettings.from_url(url)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mqtt://me:secret@host", "mqtt://me:sec/ret@host:x", "tcp://me:secret@host"]
)
def test_no_message_contains_a_password(url):
    """Whatever else is wrong with the address."""
    with pytest.raises(SettingsError, match="leave out user name and password") as caught:
        MqttSettings.from_url(url)
    assert "sec" not in str(caught.value)


def test_good_addresses_are_split():
    """With and without port, by name and by both kinds of address."""
    assert host_and_port("mqtt://broker/hill") == ("broker", None)
    assert host_and_port("socket://10.0.0.7:4000") == ("10.0.0.7", 4000)
    assert MqttSettings.from_url("MQTTS://[2001:db8::7]/a/b") == MqttSettings(
        "2001:db8::7", 8883, "a/b", tls=True
    )
