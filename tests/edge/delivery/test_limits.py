"""Brokers that can do less: what they cannot do is left out and named, and all else arrives."""

import threading

import pytest
from eqedge.edge.delivery import abilities
from eqedge.edge.delivery.mqtt import Mqtt
from eqedge.edge.delivery.reasons import QOS_NOT_SUPPORTED, RETAIN_NOT_SUPPORTED

from tests.support.broker import Broker, wait_until
from tests.support.delivery import event, ids, running, settings_for
from tests.support.scripted_broker import (
    CONNECT,
    DISCONNECT,
    KEEP_ALIVE,
    MAXIMUM_PACKET,
    PINGREQ,
    PUBLISH,
    RECEIVE_MAXIMUM,
    SERVER_REFERENCE,
    ScriptedBroker,
    frame,
    honest,
    text,
)

PROTOCOLS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])
HEALTH = {"type": "health", "text": "x" * 1300}


def deliver(node, received, numbers):
    """Write events and wait until they arrive."""
    for number in numbers:
        node.sink.write(event(number))
    received.wait_for(lambda got: set(numbers) <= set(ids(got.json("event"))))


@PROTOCOLS
@pytest.mark.parametrize(
    ("config", "limit", "tries"),
    [
        ("retain_available false", "it takes no retained messages", 4),
        ("max_qos 0", "it takes QoS 0 only: delivery is not confirmed", 5),
        ("max_qos 0\nretain_available false", "it takes QoS 0 only", 6),
    ],
)
def test_without_retain_or_qos_all_events_arrive(tmp_path, logged, config, limit, tries, protocol):
    """Connected after a few attempts, and not again; named once in the log, and in the health."""
    with Broker(tmp_path, config=config) as broker, broker.listen("eqedge/#") as received:
        with running(settings_for(broker, protocol=protocol)) as node:
            deliver(node, received, range(40))
            wait_until(lambda: len(node.spool) == 0)
            assert limit in node.sink.counts.limits and len(logged(limit)) == 1
            assert node.sink.counts.connects == 1 and node.sink.counts.failures <= tries
            wait_until(lambda: node.sink.counts.delivered == 40)
            wait_until(lambda: node.sink.counts.unconfirmed == (40 if "qos" in config else 0))
            assert node.sink.counts.trouble is None
        received.wait_for(lambda got: got.texts("status") == ["online", "stopped"])
    assert ids(received.json("event")) == list(range(40))


@PROTOCOLS
@pytest.mark.parametrize("closed", [{0, 1}, {0, 2}, {0, 1, 3}, {0, 1, 2, 4}], ids=str)
def test_a_broker_that_was_away_for_a_moment_gets_all_features(closed, protocol):
    """Connections closed at first prove nothing: messages are acknowledged, and status retained."""

    def script(peer, packet):
        if packet.kind == CONNECT and peer.number in closed:
            peer.close()
        else:
            honest(peer, packet)

    with ScriptedBroker(script) as broker, running(settings_for(broker, protocol=protocol)) as node:
        node.sink.write(event(1))
        wait_until(lambda: broker.events() and len(node.spool) == 0)
        published = [packet for packet in broker.packets if packet.kind == PUBLISH]
        assert {packet.qos for packet in published} == {1}
        assert published[0].retain and node.sink.counts.limits is None


def test_a_message_at_qos_0_leaves_the_spool_when_a_later_ping_is_answered(tmp_path):
    """Without an acknowledgement, the answer to a ping shows that the broker has read it."""
    answering = []

    def script(peer, packet):
        if packet.kind == PINGREQ and not answering:
            return
        if packet.kind == CONNECT:
            peer.welcome(bytes([0x24, 0]))
        else:
            honest(peer, packet)

    with ScriptedBroker(script) as broker, running(settings_for(broker)) as node:
        node.sink.write(event(1))
        wait_until(broker.events)
        wait_until(lambda: any(packet.kind == PINGREQ for packet in broker.packets))
        assert len(node.spool) == 1
        answering.append(True)
        broker.peers[-1].send(b"\xd0\x00")
        wait_until(lambda: len(node.spool) == 0)


@PROTOCOLS
@pytest.mark.parametrize("longest", [300, 1200])
def test_a_broker_with_small_packets_gets_what_fits(tmp_path, logged, longest, protocol):
    """Nothing longer is sent, or after a few tries no longer; events come, connections stay."""
    config = f"max_packet_size {longest}"
    settings = {"home_assistant_prefix": "homeassistant" if protocol == "5" else ""}
    left_out = "eqedge/XX/EDGE/health is left out"
    with Broker(tmp_path, config=config) as broker, broker.listen("eqedge/#") as received:
        with running(
            settings_for(broker, retry_max_seconds=20.0, protocol=protocol, **settings)
        ) as node:

            def publish_health_in_vain():
                failures = node.sink.counts.failures
                node.sink.publish_health(HEALTH)
                wait_until(
                    lambda: logged(left_out) or node.sink.counts.failures > failures,
                    "left out, or the connection ended at it",
                )
                return bool(logged(left_out))

            deliver(node, received, [0])
            wait_until(publish_health_in_vain)
            assert protocol != "5" or node.sink.counts.failures == 0
            assert node.sink.counts.failures < 15
            deliver(node, received, range(100, 140))
            wait_until(lambda: len(node.spool) == 0)
            before = node.sink.counts.left_out
            node.sink.publish_health(HEALTH)
            wait_until(lambda: node.sink.counts.left_out > before)
            assert len(logged(left_out)) == 1 and node.sink.counts.connected
        assert "online" in received.texts("status") and not received.json("health")


@PROTOCOLS
@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_a_long_message_on_the_one_topic_that_is_subscribed_to_costs_nothing(
    tmp_path, logged, size, protocol
):
    """Retained where Home Assistant's status is: not asked for, or read and dropped."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        broker.publish("homeassistant/status", b"x" * size, retain=True)
        settings = settings_for(broker, home_assistant_prefix="homeassistant", protocol=protocol)
        with running(settings) as node:
            deliver(node, received, range(20))
            if protocol != "5":
                wait_until(lambda: node.sink.counts.dropped == 1)
                assert logged("it sends a message of more than 65536 bytes, which is dropped")
            broker.publish("homeassistant/status", b"y" * size)
            deliver(node, received, range(20, 40))
            wait_until(lambda: len(node.spool) == 0)
            assert node.sink.counts.failures == 0 and node.sink.counts.connects == 1


def test_a_long_message_that_never_ends_ends_the_subscription():
    """Where the line breaks in the middle of it, the node no longer subscribes."""

    def script(peer, packet):
        if packet.kind == 8:
            peer.send(b"\x30\xff\xff\xff\x7f\x00\x01a" + b"x" * 200_000)
            peer.close()
        else:
            honest(peer, packet)

    with (
        ScriptedBroker(script) as broker,
        running(settings_for(broker, home_assistant_prefix="homeassistant")) as node,
    ):
        node.sink.write(event(1))
        wait_until(lambda: len(node.spool) == 0)
        wait_until(lambda: not any(packet.kind == 8 for packet in broker.peers[-1].taken))
        wait_until(lambda: node.sink.counts.connected)
        assert broker.connections < 6


def test_one_message_at_a_time_where_the_broker_demands_it():
    """Receive Maximum 1: each message, of the node's own too, waits for the one before."""
    pending, most = [], []

    def script(peer, packet):
        if packet.kind == CONNECT:
            peer.welcome(bytes([RECEIVE_MAXIMUM, 0, 1, KEEP_ALIVE, 0, 0]))
        elif packet.kind == PUBLISH and packet.qos:
            pending.append(packet)
            most.append(len(pending))
        elif packet.kind == PINGREQ:
            honest(peer, packet)
        if pending:
            # Whatever else was sent meanwhile is read before the answer goes out.
            peer.connection.settimeout(0.05)
            peer.acknowledge(pending.pop(0))

    settings = {"home_assistant_prefix": "homeassistant"}
    with ScriptedBroker(script) as broker, running(settings_for(broker, **settings)) as node:
        for number in range(10):
            node.sink.write(event(number))
        wait_until(lambda: ids(broker.events()) == list(range(10)))
        assert set(most) == {1}


@PROTOCOLS
def test_two_nodes_with_one_identity_are_named_by_both(tmp_path, logged, protocol):
    """Taken over again and again: each names it in log and health, ever more rarely."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        settings = settings_for(broker, retry_max_seconds=3.0, protocol=protocol)
        with running(settings) as one, running(settings) as other:
            nodes = (one, other)
            for number, node in enumerate(nodes):
                node.sink.write(event(number))
            wait_until(lambda: all(node.sink.counts.takeovers >= 2 for node in nodes))
            for node in nodes:
                assert "two nodes with this network and station code" in node.sink.counts.trouble
            assert sum(node.sink.counts.connects for node in nodes) < 40
            received.wait_for(lambda got: {0, 1} <= set(ids(got.json("event"))))
        named = logged("probably another client has the client id eqedge-XX-EDGE")
        assert 2 <= len(named) <= 4


def test_a_takeover_with_a_reason_is_named_at_once(logged):
    """DISCONNECT with "session taken over": the first one counts, and the wait is long."""

    def script(peer, packet):
        honest(peer, packet)
        if packet.topic.endswith("/info") and peer.number < 2:
            peer.send(frame(DISCONNECT << 4, bytes([0x8E, 0])))
            peer.close()

    with ScriptedBroker(script) as broker, running(settings_for(broker)) as node:
        wait_until(lambda: broker.connections == 3)
        assert node.sink.counts.takeovers == 2
        assert "another client has the client id eqedge-XX-EDGE" in node.sink.counts.trouble
        assert len(logged("another client has the client id eqedge-XX-EDGE")) == 1
        wait_until(lambda: node.sink.counts.connected)
        assert node.sink.counts.trouble


REFUSALS = {
    0x86: "Bad user name or password; check credentials_file",
    0x87: "Not authorized; allow the node's user",
    0x88: "Server unavailable",
    0x89: "Server busy; the broker has too many clients",
    0x8A: "Banned; the broker's operator",
    0x95: "Packet too large; raise the broker's maximum packet size",
    0x97: "Quota exceeded; raise the broker's quota",
    0x9C: "Use another server; set the address to elsewhere:1883",
    0x9F: "Connection rate exceeded; raise",
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_named_with_its_remedy(logged, code):
    """CONNACK's reason code, in words, with what an operator can do; then it is tried again."""
    accepts = threading.Event()

    def script(peer, packet):
        if packet.kind == CONNECT and not accepts.is_set():
            elsewhere = bytes([SERVER_REFERENCE]) + text("elsewhere:1883")
            peer.welcome(elsewhere if code == 0x9C else b"", reason=code)
        else:
            honest(peer, packet)

    with ScriptedBroker(script) as broker, running(settings_for(broker)) as node:
        wait_until(lambda: node.sink.counts.failures >= 3)
        wait_until(lambda: REFUSALS[code] in (node.sink.counts.trouble or ""))
        accepts.set()
        node.sink.write(event(1))
        wait_until(lambda: len(node.spool) == 0)
        assert len(logged(REFUSALS[code])) == 1
        assert node.sink.counts.trouble is None


@pytest.mark.parametrize("code", [0x81, 0x82, 0x87, 0x8D, 0x8E, 0x93, 0x95, 0x97, 0x98, 0x9A, 0x9B])
def test_a_disconnect_with_a_reason_is_named_and_nothing_is_lost(logged, code):
    """DISCONNECT after the first messages, three times; then all arrives."""

    def script(peer, packet):
        if packet.kind == PUBLISH and peer.number < 3:
            peer.send(frame(DISCONNECT << 4, bytes([code, 0])))
            peer.close()
        else:
            honest(peer, packet)

    with ScriptedBroker(script) as broker, running(settings_for(broker)) as node:
        for number in range(5):
            node.sink.write(event(number))
        wait_until(lambda: len(node.spool) == 0)
        assert logged("the broker ended the connection")
        assert set(ids(broker.events())) == set(range(5))


def test_another_version_or_client_id_is_tried_where_the_broker_refuses_the_usual(logged):
    """A broker with MQTT 3.1.1 only, and letters and digits only in client ids, is served."""

    def script(peer, packet):
        if packet.kind != CONNECT:
            honest(peer, packet)
        elif peer.five:
            peer.send(b"\x20\x02\x00\x01")
        elif b"eqedge-XX" in packet.body:
            peer.welcome(reason=2)
        else:
            honest(peer, packet)

    with ScriptedBroker(script) as broker, running(settings_for(broker)) as node:
        node.sink.write(event(1))
        wait_until(lambda: len(node.spool) == 0)
        assert broker.connections == 3
        assert logged("it has MQTT 3.1.1 only")


def test_one_refusal_of_qos_1_proves_nothing():
    """A broker that refuses it once, at the start or later, is served with QoS 1 all the same."""

    def script(peer, packet):
        if packet.kind == CONNECT and peer.number == 0:
            peer.welcome(reason=0x9B)
        elif peer.number in (1, 2) and b"-000001" in packet.payload:
            peer.send(frame(DISCONNECT << 4, bytes([0x9B, 0])))
            peer.close()
            broker.script = honest
        else:
            honest(peer, packet)

    with ScriptedBroker(script) as broker, running(settings_for(broker)) as node:
        node.sink.write(event(0))
        wait_until(lambda: len(node.spool) == 0)
        node.sink.write(event(1))
        wait_until(lambda: len(node.spool) == 0)
        assert {packet.qos for packet in broker.packets if packet.kind == PUBLISH} == {1}


def test_a_broker_that_flaps_is_logged_once_and_stays_in_the_health_record(logged):
    """It ends each connection with a reason after one event: few lines, and the trouble is kept."""

    def script(peer, packet):
        honest(peer, packet)
        if packet.topic.endswith("/event"):
            peer.send(frame(DISCONNECT << 4, bytes([0x97, 0])))
            peer.close()

    with ScriptedBroker(script) as broker, running(settings_for(broker)) as node:
        for number in range(40):
            node.sink.write(event(number))
        wait_until(lambda: len(node.spool) == 0)
        wait_until(lambda: node.sink.counts.connected)
        assert broker.connections > 5
        assert len(logged("Quota exceeded")) <= 2 and len(logged(": connected")) <= 2
        assert "Quota exceeded; raise the broker's quota" in node.sink.counts.trouble


def test_a_message_that_ends_the_connection_does_not_hold_up_the_others():
    """MQTT 3.1.1, and one event at which the broker closes: it waits, all others arrive."""

    def script(peer, packet):
        if packet.kind == PUBLISH and b"-000003" in packet.payload:
            peer.close()
        else:
            honest(peer, packet)

    with ScriptedBroker(script) as broker:
        settings = settings_for(broker, protocol="3.1.1", drain_seconds=0)
        with running(settings) as node:
            for number in range(20):
                node.sink.write(event(number))
            wait_until(lambda: len(node.spool) == 1)
            assert set(ids(broker.events())) == set(range(20)) - {3}
            broker.script = honest
            wait_until(lambda: len(node.spool) == 0)


def test_connect_announces_the_longest_packet_that_the_node_takes():
    """MQTT 5's Maximum Packet Size, so that a broker need not send what is dropped anyway."""
    with ScriptedBroker() as broker, running(settings_for(broker)) as node:
        wait_until(lambda: node.sink.counts.connected)
        assert bytes([MAXIMUM_PACKET]) + (65_536).to_bytes(4, "big") in broker.packets[0].body
    assert isinstance(node.sink, Mqtt)


def test_messages_beyond_the_size_limit_are_kept_and_the_connection_stays(tmp_path, logged):
    """Mosquitto answers them with a reason that MQTT has for other packets only."""
    with (
        Broker(tmp_path, config="message_size_limit 400") as broker,
        broker.listen("eqedge/#") as received,
        running(settings_for(broker)) as node,
    ):
        for number in range(20):
            node.sink.write(event(number, text="x" * 400 if number % 3 == 0 else ""))
        short = {number for number in range(20) if number % 3}
        received.wait_for(lambda got: short <= set(ids(got.json("event"))))
        wait_until(lambda: len(node.spool) == 20 - len(short))
        wait_until(lambda: node.sink.counts.refused >= 20 - len(short))
        assert node.sink.counts.connects == 1 and node.sink.counts.failures == 0
        remedy = "Packet too large; raise the broker's maximum packet size"
        assert len(logged(f"a message is rejected ({remedy})")) == 1


@PROTOCOLS
@pytest.mark.parametrize("needs", ["short keep alive", "other client id", "both"])
def test_a_client_id_or_keep_alive_that_the_broker_rejects_is_left_out(needs, protocol):
    """Refused with "identifier rejected" for either: what the broker takes is found."""

    def script(peer, packet):
        is_long = packet.kind == CONNECT and int.from_bytes(packet.body[8:10], "big") > 10
        if packet.kind == CONNECT and (
            (b"eqedge-XX" in packet.body and needs != "short keep alive")
            or (is_long and needs != "other client id" and not peer.five)
        ):
            peer.welcome(reason=0x85 if peer.five else 2)
        else:
            honest(peer, packet)

    settings = {"protocol": protocol, "keepalive_seconds": 60}
    with ScriptedBroker(script) as broker, running(settings_for(broker, **settings)) as node:
        node.sink.write(event(1))
        wait_until(lambda: len(node.spool) == 0)
        assert broker.connections <= 4
        limits = node.sink.counts.limits or ""
        assert ("no hyphens in client ids" in limits) == (needs != "short keep alive")
        is_short = needs != "other client id" and protocol != "5"
        assert ("a keep alive of 10 s" in limits) == is_short


def test_what_was_found_out_is_found_out_anew_after_its_time(monkeypatch):
    """One refusal of QoS 1 is no proof, also after two of an hour ago."""
    monkeypatch.setattr(abilities, "REMEMBERED_SECONDS", 3600.0)
    known = abilities.Abilities(settings_for(1883))
    for _ in range(2):
        known.refused(QOS_NOT_SUPPORTED)
    known.refused(RETAIN_NOT_SUPPORTED)
    known.stop_subscribing()
    known.connecting()
    assert (known.qos, known.retain, known.subscribes) == (0, False, False)
    monkeypatch.setattr(abilities, "REMEMBERED_SECONDS", 0.0)
    known.connecting()
    assert (known.qos, known.retain, known.subscribes) == (1, True, True)
    known.refused(QOS_NOT_SUPPORTED)
    assert known.qos == 1
