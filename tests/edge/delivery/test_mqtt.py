"""Delivery to a real mosquitto that is absent, stopped, killed, frozen, refusing or hostile."""

import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import pytest
from eqedge.edge.delivery.home_assistant import announcements
from eqedge.edge.delivery.mqtt import Mqtt
from eqedge.edge.delivery.pick_log import PickLog
from eqedge.edge.delivery.spool import Spool
from eqedge.edge.settings.node import MqttSettings, SettingsError

from tests.support.broker import Broker, find, free_port, wait_until

INFO = {"version": "0.1.0", "network": "XX", "station": "EDGE"}
FAST = {"retry_min_seconds": 0.05, "retry_max_seconds": 0.2, "connect_timeout_seconds": 3.0}


def event(number, kind="new", sequence=0, **more):
    """Return a message like the daemon's."""
    base = {"schema": 1, "type": kind, "event_id": f"XX.EDGE.00-{number:06d}", "sequence": sequence}
    where = {"network": "XX", "station": "EDGE", "location": "00", "historical": False}
    return {**base, **where, "picks": [], **more}


def settings_for(broker_or_port, **more):
    """Return settings that retry fast."""
    port = getattr(broker_or_port, "port", broker_or_port)
    return MqttSettings(**{"host": "127.0.0.1", "port": port, **FAST, **more})


class Node:
    """A sink with what it said."""

    def __init__(self, settings, path=None, environ=None, synchronised=lambda: False, **clocks):
        self.said = []
        self.port = settings.port
        self.spool = Spool(path, on_state=self.said.append, **clocks)
        self.sink = Mqtt(
            settings,
            network="XX",
            station="EDGE",
            info=INFO,
            spool=self.spool,
            on_state=self.said.append,
            environ=environ or {},
            synchronised=synchronised,
        )

    def heard(self, text):
        """Whether anything it said contains the text."""
        return any(text in line for line in self.said)


@contextmanager
def running(settings, *args, **kwargs):
    """A node that is closed at the end."""
    node = Node(settings, *args, **kwargs)
    try:
        yield node
    finally:
        node.sink.close()


def ids(messages):
    """Return the numbers of the events, in order."""
    return [int(message["event_id"].rsplit("-", 1)[1]) for message in messages]


def once(numbers):
    """Return the numbers without repetitions, in order of first arrival."""
    return list(dict.fromkeys(numbers))


def test_event_status_and_info_arrive(tmp_path):
    """A broker that is there gets online, info, the event as written, and at the end stopped."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        with running(settings_for(broker)) as node:
            node.sink.write(event(1))
            received.wait_for(lambda got: got.json("event"))
        received.wait_for(lambda got: got.texts("status")[-1:] == ["stopped"])
        assert received.json("event") == [event(1)]
        assert received.texts("status") == ["online", "stopped"]
        assert received.json("info") == [INFO]
        assert node.sink.counts.delivered == 1 and node.spool.counts.purged == 0


def test_status_and_info_are_retained_and_events_are_not(tmp_path):
    """Who subscribes later sees what the node is, not an earthquake that is over."""
    with Broker(tmp_path) as broker, running(settings_for(broker)) as node:
        node.sink.write(event(1))
        wait_until(lambda: node.sink.counts.delivered == 1)
        with broker.listen("eqedge/#") as late:
            late.wait_for(lambda got: len(got.messages) == 2)
            assert {(topic, kept) for topic, kept, _ in late.messages} == {
                ("eqedge/XX/EDGE/status", True),
                ("eqedge/XX/EDGE/info", True),
            }


def test_broker_absent_at_the_start(tmp_path):
    """The run goes on, says so once, and delivers in order when the broker comes."""
    broker = Broker(tmp_path).reserve("eqedge/#")
    with running(settings_for(broker)) as node:
        wait_until(lambda: node.sink.counts.failures >= 3)
        for number in range(50):
            node.sink.write(event(number))
        assert len([line for line in node.said if "refused" in line]) == 1, node.said
        assert len(node.spool) == 50
        with broker, broker.collect() as received:
            received.wait_for(lambda got: len(got.json("event")) == 50)
            assert ids(received.json("event")) == list(range(50))
            wait_until(lambda: len(node.spool) == 0)
        assert node.heard("connected")


def test_unknown_host_is_retried():
    """DNS that knows no such name is told once and tried again."""
    settings = replace(settings_for(1883), host="broker.invalid")
    with running(replace(settings, drain_seconds=0)) as node:
        node.sink.write(event(1))
        wait_until(lambda: node.sink.counts.failures >= 2)
        assert len([line for line in node.said if "broker.invalid" in line]) == 1
        assert len(node.spool) == 1


def test_nothing_lost_when_the_broker_is_killed_midway(tmp_path):
    """Killed and started again while events flow: each arrives, under its id, in order.

    What a broker had acknowledged and not passed on when it was killed is gone with it; the node
    can know nothing of that. It is the newest of what was acknowledged, and no more than that.
    """
    broker = Broker(tmp_path).reserve("eqedge/XX/EDGE/event")
    seen, gone = [], set()
    with running(settings_for(broker), tmp_path / "spool.db") as node:
        for turn in range(4):
            with broker, broker.collect() as received:
                wait_until(lambda: node.sink.counts.connected)
                for number in range(turn * 100, turn * 100 + 100):
                    node.sink.write(event(number))
                    if number == turn * 100 + 60:
                        broker.kill()
                wait_until(lambda: not node.sink.counts.connected)
                acknowledged = node.sink.counts.delivered
            seen += ids(received.json("event"))
            gone |= set(range(max(acknowledged - 16, 0), acknowledged)) - set(seen)
        with broker, broker.collect() as received:
            wait_until(lambda: len(node.spool) == 0)
            received.wait_for(lambda got: 399 in ids(got.json("event")))
        seen += ids(received.json("event"))
    assert once(seen) == [number for number in range(400) if number not in gone - set(seen)]
    assert node.sink.counts.delivered == 400


def test_backlog_is_marked_historical(tmp_path):
    """What waited longer than the limit says so; what is fresh does not."""
    now = [1000.0]
    broker = Broker(tmp_path).reserve("eqedge/#")
    with running(settings_for(broker), monotonic=lambda: now[0]) as node:
        node.sink.write(event(1))
        now[0] += 61
        node.sink.write(event(2))
        with broker, broker.collect() as received:
            received.wait_for(lambda got: len(got.json("event")) == 2)
            assert [m["historical"] for m in received.json("event")] == [True, False]


def test_what_was_dated_without_utc_is_redated_once_the_node_knows(tmp_path):
    """Made in 1970, delivered before and after the clock was set: the latter with its own time."""
    utc, good = [50.0], []
    pick = {"phase": "P", "time": "1970-01-01T00:00:45.000000Z", "time_ns": 45_000_000_000}
    told = event(1, picks=[pick], clock={"source": "host", "synced": False})
    clocks = {"monotonic": lambda: utc[0] % 1e9, "utc": lambda: utc[0]}
    broker = Broker(tmp_path).reserve("eqedge/#")
    with running(settings_for(broker), synchronised=lambda: bool(good), **clocks) as node:
        with broker, broker.collect() as received:
            node.sink.write(told)
            received.wait_for(lambda got: got.json("event") == [told] and got.json("pick"))
            wait_until(lambda: len(node.spool) == 0)
        node.sink.write({**told, "sequence": 1, "type": "end"})
        utc[0] += 1e9
        with broker, broker.collect() as received:
            received.wait_for(lambda got: got.json("event"))
            wait_until(lambda: len(node.spool) == 0)
            assert received.json("event")[0]["picks"] == [pick], "set, but not known to be right"
        node.sink.write({**told, "event_id": "XX.EDGE.00-000002"})
        utc[0] += 1e9
        good.append("NTP")
        with broker, broker.collect() as received:
            received.wait_for(lambda got: got.json("event") and got.json("pick"))
    late = received.json("event")[0]
    moved = {"time": "2001-09-09T01:47:25.000000Z", "time_ns": 1_000_000_045_000_000_000}
    assert late["redated_s"] == 1e9 and late["picks"] == [{**pick, **moved}]
    assert late["event_id"] == "XX.EDGE.00-000002"
    assert received.json("pick")[0]["time"] == moved["time"]


def test_picks_are_published_once_each(tmp_path):
    """A pick comes on its own topic when new and when it moves, not with every update."""
    p, s = ({"phase": "P", "time": "t1"}, {"phase": "S", "time": "t5"})
    with (
        Broker(tmp_path) as broker,
        broker.listen("eqedge/#") as received,
        running(settings_for(broker)) as node,
    ):
        node.sink.write(event(1, picks=[p]))
        node.sink.write(event(1, "update", 1, picks=[p, s]))
        node.sink.write(event(1, "update", 2, picks=[{**p, "time": "t2"}, s]))
        node.sink.write(event(1, "end", 3, picks=[{**p, "time": "t2"}, s]))
        received.wait_for(lambda got: len(got.json("event")) == 4)
        told = [(m["pick_id"][-2:], m["type"], m["time"]) for m in received.json("pick")]
        assert told == [("P1", "new", "t1"), ("S1", "new", "t5"), ("P1", "update", "t2")]
        assert received.json("pick")[0]["event_id"] == event(1)["event_id"]
        assert received.json("pick")[0]["station"] == "EDGE"


def test_status_is_sent_again_after_a_broker_restart_that_forgot_it(tmp_path):
    """A broker that lost its retained messages has status and info again at once."""
    with running(settings_for(free_port())) as node:
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            with Broker(folder, port=node.port) as broker:
                wait_until(lambda: node.sink.counts.connected)
                with broker.listen("eqedge/#") as late:
                    late.wait_for(lambda got: got.texts("status") == ["online"])
                    late.wait_for(lambda got: got.json("info") == [INFO])
                    broker.kill()
                wait_until(lambda: not node.sink.counts.connected)
        assert node.sink.counts.connects == 2


WRITER = """
import sys, time
from pathlib import Path
from eqedge.edge.delivery.mqtt import Mqtt
from eqedge.edge.settings.node import MqttSettings
from eqedge.edge.delivery.spool import Spool
port, path, first = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
spool = Spool(path)
settings = MqttSettings("127.0.0.1", port, retry_min_seconds=0.05, retry_max_seconds=0.1)
sink = Mqtt(settings, network="XX", station="EDGE", info={}, spool=spool, on_state=lambda _: None)
for number in range(first, first + 100000):
    sink.write({"type": "new", "event_id": f"x-{number}", "sequence": 0, "network": "XX",
                "station": "EDGE"})
    print(number, flush=True)
    time.sleep(0.001)
"""


@contextmanager
def writer(port, path, first):
    """A process that writes events and prints the number of each that `write` returned from."""
    command = [sys.executable, "-c", WRITER, str(port), str(path), str(first)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(120)


def test_last_will_says_offline_when_the_node_is_killed(tmp_path):
    """SIGKILL leaves `offline`, retained, on the status topic."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/XX/EDGE/status") as received:
        with writer(broker.port, tmp_path / "spool.db", 0):
            received.wait_for(lambda got: got.texts("status") == ["online"])
        received.wait_for(lambda got: got.texts("status") == ["online", "offline"])
        with broker.listen("eqedge/XX/EDGE/status") as late:
            late.wait_for(lambda got: got.messages == [("eqedge/XX/EDGE/status", True, "offline")])


def test_nothing_lost_when_the_node_is_killed_again_and_again(tmp_path):
    """Kill -9 while it writes and delivers: what `write` took arrives, in order of first arrival.

    EQEDGE_KILL_CYCLES=100 makes it a long one.
    """
    accepted, first = [], 0
    with Broker(tmp_path) as broker, broker.listen("eqedge/XX/EDGE/event") as received:
        for turn in range(int(os.environ.get("EQEDGE_KILL_CYCLES", "10"))):
            with writer(broker.port, tmp_path / "spool.db", first) as process:
                for _ in range(20 + 7 * (turn % 20)):
                    accepted.append(int(process.stdout.readline()))
            accepted += [int(line) for line in process.stdout.read().splitlines()]
            first = accepted[-1] + 1000
        with running(settings_for(broker), tmp_path / "spool.db") as node:
            wait_until(lambda: node.sink.counts.connected and len(node.spool) == 0)
        received.wait_for(lambda got: accepted[-1] in ids(got.json("event")))
        arrived = ids(received.json("event"))
    extra = len(arrived) - len(set(arrived))
    print(f"{len(accepted)} written, {len(set(arrived))} arrived, {extra} of them again")
    assert set(accepted) <= set(arrived)
    assert once(arrived) == sorted(set(arrived))


def test_a_frozen_broker_is_noticed_and_costs_nothing(tmp_path):
    """A broker that keeps the connection but answers nothing is left, and found again."""
    with (
        Broker(tmp_path) as broker,
        broker.listen("eqedge/XX/EDGE/event") as received,
        running(settings_for(broker, keepalive_seconds=1)) as node,
    ):
        wait_until(lambda: node.sink.counts.connected)
        broker.signal(signal.SIGSTOP)
        node.sink.write(event(1))
        wait_until(lambda: not node.sink.counts.connected)
        broker.signal(signal.SIGCONT)
        received.wait_for(lambda got: 1 in ids(got.json("event")))
        wait_until(lambda: len(node.spool) == 0)


def test_one_attempt_at_a_time_with_growing_waits(tmp_path):
    """A door that opens and slams is tried ever more rarely, one connection at a time."""
    times = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        settings = settings_for(server.getsockname()[1], retry_max_seconds=0.8)
        with running(replace(settings, drain_seconds=0)) as node:
            for _ in range(6):
                connection, _ = server.accept()
                times.append(time.monotonic())
                server.settimeout(0.02)
                with pytest.raises(TimeoutError):
                    server.accept()
                server.settimeout(120)
                connection.close()
            assert node.sink.counts.failures >= 5
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert waits[-1] > 0.4 > waits[0], waits
    assert max(waits) < 1.5


def test_the_end_is_bounded_without_a_broker(tmp_path):
    """Closing with the broker down takes the drain time and says where the events are."""
    node = Node(settings_for(free_port(), drain_seconds=0.3), tmp_path / "spool.db")
    node.sink.write(event(1))
    begin = time.monotonic()
    node.sink.close()
    assert 0.2 < time.monotonic() - begin < 30
    assert node.heard("1 messages kept in") and node.heard("spool.db")
    again = Spool(tmp_path / "spool.db")
    assert len(again) == 1
    again.close()


def test_a_short_run_still_delivers(tmp_path):
    """A run over before the connection stands waits for it at the end."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        with running(settings_for(broker)) as node:
            for number in range(200):
                node.sink.write(event(number))
        received.wait_for(lambda got: got.texts("status")[-1:] == ["stopped"])
        assert ids(received.json("event")) == list(range(200))


def test_the_message_between_file_and_spool_is_caught_up(tmp_path):
    """After a kill between the two, the file's last message is delivered, as historical, once."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        with running(settings_for(broker), tmp_path / "spool.db") as node:
            node.sink.write(event(1))
        for _ in range(2):
            with running(settings_for(broker), tmp_path / "spool.db") as node:
                node.sink.catch_up([])
                node.sink.catch_up([event(2)])
                wait_until(lambda: len(node.spool) == 0)
        assert [(m["event_id"][-1], m["historical"]) for m in received.json("event")] == [
            ("1", False),
            ("2", True),
        ]


def test_health_goes_out_but_is_not_kept(tmp_path):
    """A health record is published while connected, and not stored while not."""
    broker = Broker(tmp_path).reserve("eqedge/#")
    with running(settings_for(broker)) as node:
        node.sink.publish_health({"old": True})
        assert len(node.spool) == 0
        with broker, broker.collect() as received:
            wait_until(lambda: node.sink.counts.connected)
            node.sink.publish_health({"new": True})
            received.wait_for(lambda got: {"new": True} in got.json("health"))


def test_the_thread_proves_alive_with_and_without_a_broker(tmp_path):
    """The time of progress advances while connected, and while not."""
    with running(settings_for(free_port(), drain_seconds=0)) as node:
        before = node.sink.progress_time
        wait_until(lambda: node.sink.progress_time > before + 0.2)
    with Broker(tmp_path) as broker, running(settings_for(broker)) as node:
        wait_until(lambda: node.sink.counts.connected)
        before = node.sink.progress_time
        wait_until(lambda: node.sink.progress_time > before + 0.9)


def test_the_older_protocol(tmp_path):
    """A broker of 2014 is served with MQTT 3.1.1."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        with running(settings_for(broker, protocol="3.1.1")) as node:
            node.sink.write(event(1))
        received.wait_for(lambda got: got.texts("status") == ["online", "stopped"])
        assert received.json("event") == [event(1)]
        assert "eqedge-XX-EDGE (p2" in broker.log()


# Who may in, and who not.


def guarded(folder, password="right"):
    """Return a port, and the configuration of a listener there that asks for a password."""
    path, port = folder / "passwords", free_port()
    find("mosquitto")
    command = [find("mosquitto_passwd"), "-b", "-c", str(path), "node", password]
    subprocess.run(command, check=True, capture_output=True)
    config = f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {path}"
    return port, config


SECRETS = {"EQEDGE_MQTT_USERNAME": "node", "EQEDGE_MQTT_PASSWORD": "right"}


def test_password_from_the_environment_or_a_file(tmp_path):
    """Both let the node in; the file comes first, and is told when others can read it."""
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
            assert node.heard("chmod 600")


def test_a_refused_password_is_told_without_it_and_mended_without_a_restart(tmp_path):
    """Refused: said once, no secret in any word, events kept, and delivered once it is right."""
    port, config = guarded(tmp_path, "old-one")
    with Broker(tmp_path, config=config) as broker, broker.listen("eqedge/#") as received:
        settings = settings_for(port, allow_insecure=True)
        with running(settings, environ=SECRETS) as node:
            node.sink.write(event(1))
            wait_until(lambda: node.sink.counts.failures >= 3)
            assert len(node.said) == 1 and "Not authorized" in node.said[0]
            assert len(node.spool) == 1
            shutil.copy(tmp_path / "passwords", tmp_path / "before")
            command = [find("mosquitto_passwd"), "-b", str(tmp_path / "passwords"), "node", "right"]
            subprocess.run(command, check=True, capture_output=True)
            broker.signal(signal.SIGHUP)
            received.wait_for(lambda got: got.json("event") == [event(1)])
            everything = f"{node.said} {settings} {vars(node.sink)}"
            assert "right" not in everything.replace("refused", "")


def test_credentials_do_not_cross_the_network_in_the_clear(tmp_path):
    """Without TLS they are refused, by a message without them, unless that is allowed."""
    with pytest.raises(SettingsError, match="in the clear") as caught:
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


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with an authority, a broker's and a node's certificate, and another authority."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words):
        command = [find("openssl"), *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def authority(name):
        files = f"-keyout {name}.key -out {name}.pem -days 2 -subj /CN={name}".split()
        openssl("req", "-x509", *key, *files)

    def signed(name, alternative):
        (folder / "extension").write_text(f"subjectAltName={alternative}\n")
        openssl("req", *key, *f"-keyout {name}.key -out {name}.csr -subj /CN={name}".split())
        files = f"-in {name}.csr -out {name}.pem -days 2 -extfile extension".split()
        openssl("x509", "-req", *files, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")

    authority("ca")
    authority("stranger")
    signed("broker", "IP:127.0.0.1")
    signed("node", "DNS:node")
    return folder


def encrypted(certificates):
    """Return a port, and the configuration of a listener there that wants a certificate."""
    port = free_port()
    return (
        port,
        f"""listener {port} 127.0.0.1
allow_anonymous true
require_certificate true
cafile {certificates / "ca.pem"}
certfile {certificates / "broker.pem"}
keyfile {certificates / "broker.key"}""",
    )


def test_tls_with_certificates_on_both_sides(tmp_path, certificates):
    """Broker and node show certificates of one authority: delivered, and a password may travel."""
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
    ("change", "told"),
    [
        ({"ca_file": "stranger.pem"}, "does not convince"),
        ({"host": "localhost"}, "does not convince"),
        ({"certificate_file": None, "key_file": None}, ""),
    ],
    ids=["another authority", "another name", "no certificate of the node"],
)
def test_tls_that_does_not_convince(tmp_path, certificates, change, told):
    """A broker that cannot prove itself, or is not convinced, gets nothing; events are kept."""
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
            assert node.heard(told) and not node.sink.counts.connects
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


def test_a_broker_that_refuses_messages_gets_them_later(tmp_path):
    """Not allowed to publish: said, kept, tried again; MQTT 3.1.1 would have lost them."""
    rules, port = tmp_path / "rules", free_port()
    rules.write_text("topic write eqedge/XX/EDGE/status\ntopic write eqedge/XX/EDGE/info\n")
    config = f"listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {rules}"
    with (
        Broker(tmp_path, config=config) as broker,
        broker.listen("eqedge/#") as received,
        running(settings_for(port)) as node,
    ):
        node.sink.write(event(1))
        wait_until(lambda: node.sink.counts.postponed >= 2)
        assert [line for line in node.said if "refuses" in line] == [
            f"broker mqtt://127.0.0.1:{port}: it refuses eqedge/XX/EDGE/event: Not authorized; "
            "messages are kept and tried again"
        ]
        assert len(node.spool) == 1 and node.sink.counts.refused == 0
        rules.write_text("topic write eqedge/#\n")
        broker.signal(signal.SIGHUP)
        received.wait_for(lambda got: got.json("event") == [event(1)])
        wait_until(lambda: len(node.spool) == 0)
        wait_until(lambda: node.heard("event is taken again"))
        assert node.sink.counts.connects == 1


def test_a_refused_topic_of_the_node_itself_costs_nothing(tmp_path):
    """Rules without `info` or Home Assistant's topics: told once by name, the link stays."""
    rules, port = tmp_path / "rules", free_port()
    rules.write_text("".join(f"topic write eqedge/XX/EDGE/{one}\n" for one in ("status", "event")))
    config = f"listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {rules}"
    with (
        Broker(tmp_path, config=config) as broker,
        broker.listen("eqedge/#") as received,
        running(settings_for(port, home_assistant_prefix="homeassistant")) as node,
    ):
        wait_until(lambda: node.sink.counts.refused == 3)
        for number in range(40):
            node.sink.write(event(number))
        received.wait_for(lambda got: len(got.json("event")) == 40)
        refused = [line.split("refuses ")[1].split(":")[0] for line in node.said[1:]]
        ours = announcements("homeassistant", "eqedge/XX/EDGE").payloads
        assert refused == ["eqedge/XX/EDGE/info", *ours]
        assert node.sink.counts.connects == 1 and received.texts("status") == ["online"]


def test_a_refused_kind_does_not_hold_up_the_other(tmp_path):
    """Picks not allowed, more of them than may be on the way: each event still comes at once."""
    rules, port = tmp_path / "rules", free_port()
    rules.write_text("".join(f"topic write eqedge/XX/EDGE/{one}\n" for one in ("status", "event")))
    config = f"listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {rules}"
    settings = settings_for(port, retry_min_seconds=0.5, retry_max_seconds=600)
    with (
        Broker(tmp_path, config=config) as broker,
        broker.listen("eqedge/XX/EDGE/#") as received,
        running(replace(settings, drain_seconds=0), tmp_path / "spool.db") as node,
    ):
        wait_until(lambda: node.sink.counts.connected)
        for number in range(40):
            node.sink.write(event(number, picks=[{"phase": "P", "time": "t"}]))
        received.wait_for(lambda got: ids(got.json("event")) == list(range(40)))
        wait_until(lambda: len(node.spool) == 40)
        assert node.sink.counts.postponed and node.sink.counts.connects == 1
        rules.write_text("topic write eqedge/#\n")
        broker.signal(signal.SIGHUP)
        received.wait_for(lambda got: ids(got.json("pick")) == list(range(40)))


class Unanswering:
    """A broker that welcomes, answers every ping and acknowledges no message."""

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open = [self._server]
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        with suppress(OSError), connection:
            connection.recv(4096)
            connection.sendall(CONNACK)
            while data := connection.recv(4096):
                if data.endswith(b"\xc0\x00"):
                    connection.sendall(b"\xd0\x00")

    def __enter__(self):
        """It listens already."""
        return self

    def __exit__(self, *_):
        """Break all connections, take no more."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def owed_seconds(node):
    """For how long the broker has owed an answer."""
    return time.monotonic() - node.sink.answered_time


def test_a_broker_that_acknowledges_nothing_is_left(tmp_path, monkeypatch):
    """Pings answered, messages not: it is left and told, which shows until it answers or goes."""
    monkeypatch.setattr("eqedge.edge.delivery.mqtt.ANSWER_SECONDS", 0.5)
    with Unanswering() as broker:
        node = Node(settings_for(broker, keepalive_seconds=1))
        node.sink.write(event(1))
        wait_until(lambda: node.sink.counts.connects >= 2)
        assert node.heard("acknowledges nothing within 2 s; events are kept")
        assert node.sink.counts.failures == 1 and len(node.spool) == 1
        assert owed_seconds(node) > 2 > time.monotonic() - node.sink.progress_time
    wait_until(lambda: owed_seconds(node) < 1, "a broker that is away owes nothing")
    with Broker(tmp_path, port=node.port):
        wait_until(lambda: len(node.spool) == 0)
        node.sink.close()


def test_a_message_too_long_is_left_out_and_the_rest_goes_on(tmp_path):
    """Beyond our limit or the broker's, a message is counted and told, and blocks nothing."""
    port = free_port()
    config = f"max_packet_size 3000\nlistener {port} 127.0.0.1\nallow_anonymous true"
    with (
        Broker(tmp_path, config=config) as broker,
        broker.listen("eqedge/XX/EDGE/#") as received,
        running(settings_for(port, max_payload_bytes=5000)) as node,
    ):
        node.sink.write(event(1, text="x" * 6000))
        node.sink.write(event(2, text="x" * 4000))
        node.sink.write(event(3))
        received.wait_for(lambda got: ids(got.json("event")) == [3])
        assert node.sink.counts.oversized == 1 and node.sink.counts.refused == 1
        assert node.heard("too long") and node.heard("longer than the broker allows")
        wait_until(lambda: len(node.spool) == 0)
        assert node.sink.counts.connects == 1


CONNACK = b"\x20\x03\x00\x00\x00"
HOSTILE = {
    "a packet of 256 MB": b"\x30\xff\xff\xff\x7f\x00\x01a" + b"x" * 30_000_000,
    "a length without end": b"\x30\xff\xff\xff\xff\xff\xff",
    "a command nobody asked for": b"\x31\x1a\x00\x11eqedge/XX/EDGE/cmd\x00reboot!",
    "a topic that is not text": b"\x30\x08\x00\x03\xff\xfe\xfd\x00hi",
    "acknowledgements of nothing": b"\x40\x02\xff\xfe\x40\x02\x00\x00\x40\x00\x40\x01\x01",
    "a second welcome": CONNACK + CONNACK,
    "a packet type of zero": b"\x00\x00\xf0\x00",
    "half a packet, then silence": b"\x40\x04\x00",
    "properties that lie about their length": b"\x20\x05\x00\x00\xff\xff\x7f",
    "noise": random.Random(7).randbytes(5000),
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_broker_costs_nothing_but_the_connection(tmp_path, payload):
    """Whatever it sends, the node stays small and alive, obeys nothing, and delivers elsewhere."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        server.settimeout(120)
        with running(settings_for(port, keepalive_seconds=1)) as node:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            connection, _ = server.accept()
            with connection:
                connection.settimeout(120)
                connection.recv(1000)
                connection.sendall(CONNACK)
                wait_until(lambda: node.sink.counts.connects == 1)
                node.sink.write(event(1))
                with suppress(OSError):
                    connection.sendall(payload)
                    connection.settimeout(0.1)
                    while connection.recv(4096):
                        pass
            wait_until(lambda: node.sink.counts.failures)
            server.close()
            assert len(node.spool) == 1
            grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert grown_kb < 20_000
            with Broker(tmp_path, port=port) as broker:
                wait_until(lambda: len(node.spool) == 0)
                assert "SUBSCRIBE" not in broker.log()


def test_retained_commands_are_not_even_heard(tmp_path):
    """The node subscribes to nothing: what waits on its topics does not reach it."""
    with Broker(tmp_path) as broker:
        broker.publish("eqedge/XX/EDGE/cmd/reboot", b"x" * 1_000_000, retain=True)
        with running(settings_for(broker)) as node:
            node.sink.write(event(1))
            wait_until(lambda: node.sink.counts.delivered == 1)
            assert "Received SUBSCRIBE" not in broker.log()
            assert node.sink.counts.failures == 0


# Home Assistant.


def test_home_assistant_finds_the_node(tmp_path):
    """With the prefix set, retained discovery messages appear, and again when it starts."""
    settings = {"home_assistant_prefix": "homeassistant"}
    with (
        Broker(tmp_path) as broker,
        broker.listen("homeassistant/+/+/+/config") as received,
        running(settings_for(broker, **settings)) as node,
    ):
        received.wait_for(lambda got: len(got.messages) == 2)
        topic, _, text = received.messages[0]
        assert topic == "homeassistant/binary_sensor/eqedge_XX_EDGE/event/config"
        config = json.loads(text)
        assert config["state_topic"] == "eqedge/XX/EDGE/event"
        assert config["availability_topic"] == "eqedge/XX/EDGE/status"
        assert config["unique_id"] and config["device"]["identifiers"]
        wait_until(lambda: "Received SUBSCRIBE" in broker.log())
        broker.publish("homeassistant/status", b"online")
        received.wait_for(lambda got: len(got.messages) == 4)
        broker.publish("homeassistant/status", b"x" * 60_000)
        node.sink.write(event(1))
        wait_until(lambda: len(node.spool) == 0)
        assert len(received.messages) == 4 and node.sink.counts.failures == 0


def test_home_assistant_is_off_by_default():
    """Without the setting nothing is announced or listened to."""
    assert announcements(MqttSettings("host").home_assistant_prefix, "a/XX/EDGE").payloads == {}


# Picks, and settings.


def test_the_memory_of_picks_is_bounded():
    """Events that never end are forgotten in time; an end forgets at once."""
    log = PickLog()
    pick = {"phase": "P", "time": "t1"}
    for number in range(1000):
        assert len(log.news(event(number, picks=[pick]))) == 1
    assert len(log._times) == 64
    log.news(event(999, "end", 1, picks=[pick]))
    assert len(log._times) == 63


def test_two_picks_of_one_phase_are_two():
    """A second P in one event has an id of its own."""
    picks = [{"phase": "P", "time": "t1"}, {"phase": "P", "time": "t9"}]
    told = PickLog().news(event(1, picks=picks))
    assert [pick["pick_id"][-2:] for pick in told] == ["P1", "P2"]


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
    """What an address says, and what it leaves to the defaults."""
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
    """Each is refused when the settings are made, not when the broker is met."""
    with pytest.raises(SettingsError):
        MqttSettings(**{"host": "broker", **wrong})


@pytest.mark.parametrize("code", ["", "../x", "A/B", "#", "+", "abc", "TOOLONGCODE"])
def test_codes_that_would_leave_the_topic_are_refused(code):
    """A station code is no way to another topic."""
    with pytest.raises(SettingsError):
        Mqtt(
            settings_for(1883),
            network="XX",
            station=code,
            info={},
            spool=Spool(None),
            on_state=print,
        )
