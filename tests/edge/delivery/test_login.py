"""Passwords and certificates, towards a broker that checks them."""

import re
import shutil
import signal
import subprocess
from dataclasses import replace

import pytest
from eqedge.edge.delivery.login import read_credentials
from eqedge.edge.settings.delivery import MqttSettings
from eqedge.edge.settings.validation import SettingsError

from tests.support.broker import Broker, find, free_port, wait_until
from tests.support.certificates import encrypted
from tests.support.delivery import FAST, Node, event, ids, running, settings_for


def guarded(folder, password="right"):
    """Return a port, and the configuration of a listener there that requires a password."""
    path, port = folder / "passwords", free_port()
    find("mosquitto")
    command = [find("mosquitto_passwd"), "-b", "-c", str(path), "node", password]
    subprocess.run(command, check=True, capture_output=True)
    config = f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {path}"
    return port, config


SECRETS = {"EQEDGE_MQTT_USERNAME": "node", "EQEDGE_MQTT_PASSWORD": "right"}


def test_password_from_the_environment_or_a_file(tmp_path, logged):
    """Both are accepted; the file comes first, with a warning when others can read it."""
    secret = tmp_path / "mqtt"
    secret.write_text("node\nright\n")
    secret.chmod(0o644)
    port, config = guarded(tmp_path)
    with Broker(tmp_path, config=config):
        settings = settings_for(port, allow_insecure=True)
        with running(settings, environ=SECRETS) as node:
            wait_until(lambda: node.sink.counts.connected)
        by_file = replace(settings, credentials_file=str(secret))
        with running(by_file, environ={**SECRETS, "EQEDGE_MQTT_PASSWORD": "wrong"}) as node:
            wait_until(lambda: node.sink.counts.connected)
            assert logged("chmod 600")


def test_a_refused_password_is_logged_without_it_and_corrected_without_a_restart(tmp_path, logged):
    """Refused: logged once, no secret anywhere, events kept, and delivered once it is right."""
    port, config = guarded(tmp_path, "old-one")
    with Broker(tmp_path, config=config) as broker, broker.listen("eqedge/#") as received:
        settings = settings_for(port, allow_insecure=True)
        with running(settings, environ=SECRETS) as node:
            node.sink.write(event(1))
            wait_until(lambda: node.sink.counts.failures >= 3)
            (line,) = logged()
            assert "Not authorized" in line
            assert len(node.spool) == 1
            shutil.copy(tmp_path / "passwords", tmp_path / "before")
            command = [find("mosquitto_passwd"), "-b", str(tmp_path / "passwords"), "node", "right"]
            subprocess.run(command, check=True, capture_output=True)
            broker.signal(signal.SIGHUP)
            received.wait_for(lambda got: got.json("event") == [event(1)])
            everything = f"{logged()} {settings} {vars(node.sink)} {vars(node.sink._connection)}"
            assert "right" not in everything.replace("refused", "")


def test_credentials_are_not_sent_unencrypted(tmp_path):
    """Without TLS they are refused, by a message without them, unless that is allowed."""
    with pytest.raises(SettingsError, match="unencrypted") as caught:
        Node(settings_for(1883), environ=SECRETS)
    assert "right" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("content", [None, "", "\nonly-a-password\n", b"\xff\xfe"])
def test_an_unusable_credentials_file_is_one_line(tmp_path, content):
    """Missing, empty, without a name, not text: an error that names the file, not its content."""
    path = tmp_path / "mqtt"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = settings_for(1883, credentials_file=str(path), allow_insecure=True)
    with pytest.raises(SettingsError, match=re.escape(str(path))) as caught:
        Node(settings)
    assert "only-a-password" not in str(caught.value) and "\n" not in str(caught.value)


def test_tls_with_certificates_on_both_sides(tmp_path, certificates):
    """Both present certificates of one authority: delivered, and a password may be sent."""
    port, config = encrypted(certificates)
    settings = replace(
        MqttSettings.from_url(f"mqtts://127.0.0.1:{port}"),
        ca_file=str(certificates / "ca.pem"),
        certificate_file=str(certificates / "node.pem"),
        key_file=str(certificates / "node.key"),
        **FAST,
    )
    with Broker(tmp_path, config=config) as broker, broker.listen("eqedge/#") as received:
        with running(settings, environ=SECRETS) as node:
            for number in range(100):
                node.sink.write(event(number))
        received.wait_for(lambda got: got.texts("status") == ["online", "stopped"])
        assert ids(received.json("event")) == list(range(100))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ca_file": "stranger.pem"}, "the certificate is not accepted"),
        ({"host": "localhost"}, "the certificate is not accepted"),
        ({"certificate_file": None, "key_file": None}, ""),
    ],
    ids=["another authority", "another name", "no certificate of the node"],
)
def test_tls_that_is_not_accepted(tmp_path, certificates, change, reason, logged):
    """A broker that cannot prove itself, or does not accept the node, gets nothing."""
    port, config = encrypted(certificates)
    files = {"ca_file": "ca.pem", "certificate_file": "node.pem", "key_file": "node.key", **change}
    files = {
        name: str(certificates / value) if value and name != "host" else value
        for name, value in files.items()
    }
    with Broker(tmp_path, config=config) as broker:
        settings = settings_for(port, tls=True, drain_seconds=0, **files)
        with running(settings) as node:
            node.sink.write(event(1))
            wait_until(lambda: node.sink.counts.failures >= 2)
            assert logged(reason) and not node.sink.counts.connects
            assert len(node.spool) == 1
        assert "as eqedge-XX-EDGE" not in broker.log()


@pytest.mark.parametrize("setting", ["ca_file", "certificate_file"])
def test_unusable_certificates_are_one_line(tmp_path, setting):
    """A missing file and one without a certificate end the start, named."""
    (tmp_path / "rubbish.pem").write_text("rubbish")
    for name in ("missing.pem", "rubbish.pem"):
        settings = settings_for(8883, tls=True, **{setting: str(tmp_path / name)})
        with pytest.raises(SettingsError, match=name) as caught:
            Node(settings)
        assert "\n" not in str(caught.value)


def test_only_the_file_that_cannot_be_used_is_named(tmp_path, certificates):
    """The authority's certificate is good, the node's is none: the message is of the node's."""
    rubbish, key = tmp_path / "rubbish.pem", certificates / "node.key"
    rubbish.write_text("rubbish")
    settings = settings_for(
        8883,
        tls=True,
        ca_file=str(certificates / "ca.pem"),
        certificate_file=str(rubbish),
        key_file=str(key),
    )
    with pytest.raises(SettingsError) as caught:
        Node(settings)
    assert "rubbish.pem" in str(caught.value) and "ca.pem" not in str(caught.value)


def test_credentials_of_another_systems_editor(tmp_path):
    """A byte order mark and its ends of line are not part of user name and password."""
    secret = tmp_path / "mqtt"
    secret.write_bytes(b"\xef\xbb\xbfnode\r\nright\r\n")
    found = read_credentials(settings_for(1, allow_insecure=True, credentials_file=str(secret)), {})
    assert (found.username, found.password) == ("node", "right")
