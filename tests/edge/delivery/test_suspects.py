"""Messages at which a broker ends connections: they wait, all others arrive, none is lost."""

import socket

import pytest
from eqedge.edge.delivery import connection

from tests.support.broker import wait_until
from tests.support.delivery import event, ids, running, settings_for
from tests.support.scripted_broker import (
    CONNECT,
    PUBLISH,
    RECEIVE_MAXIMUM,
    ScriptedBroker,
    honest,
)

PROTOCOLS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


def settings(broker, protocol, **more):
    """Return settings of a node that waits for nothing at its end."""
    return settings_for(broker, protocol=protocol, drain_seconds=0, **more)


def at_events(numbers, answer):
    """Return a script that answers these events by a function, all else honestly."""

    def script(peer, packet):
        is_one = packet.kind == PUBLISH and packet.topic.endswith("/event")
        if is_one and int(packet.payload.split(b'"event_id":"XX.EDGE.00-')[1][:6]) in numbers:
            answer(peer)
        else:
            honest(peer, packet)

    return script


def close(peer):
    """End the connection."""
    peer.close()


def send_garbage(peer):
    """Answer with a packet that MQTT does not have."""
    peer.send(b"\xf0\x00")


@PROTOCOLS
@pytest.mark.parametrize("answer", [close, send_garbage])
@pytest.mark.parametrize("poison", [{0}, {7}, {0, 1, 2, 3}, {3, 9, 10, 17}])
def test_messages_at_which_connections_end_hold_up_no_other(poison, answer, protocol):
    """Also the first of all, when no event was accepted before; then they leave too."""
    with ScriptedBroker(at_events(poison, answer)) as broker:
        with running(settings(broker, protocol)) as node:
            for number in range(20):
                node.sink.write(event(number))
            wait_until(lambda: len(node.spool) == len(poison))
            assert set(ids(broker.events())) == set(range(20)) - poison
            broker.script = honest
            wait_until(lambda: len(node.spool) == 0)
        assert set(ids(broker.events())) == set(range(20))


@PROTOCOLS
def test_a_new_event_does_not_wait_behind_many_that_end_connections(protocol):
    """Thirty in front of it, each tried alone: the new one is tried before they are."""
    script = at_events(range(30), close)
    with ScriptedBroker(script) as broker, running(settings(broker, protocol)) as node:
        for number in range(30):
            node.sink.write(event(number))
        wait_until(lambda: broker.connections > 5)
        node.sink.write(event(100))
        wait_until(lambda: 100 in ids(broker.events()))
        assert broker.connections < 40


@PROTOCOLS
def test_the_shortest_suspect_is_tried_first(protocol):
    """Where a limit on the length is the reason, short messages behind long ones soon leave."""

    def script(peer, packet):
        if packet.kind == PUBLISH and len(packet.payload) > 1000:
            peer.close()
        else:
            honest(peer, packet)

    with ScriptedBroker(script) as broker, running(settings(broker, protocol)) as node:
        for number in range(20):
            node.sink.write(event(number, text="x" * 2000 if number < 14 else ""))
        wait_until(lambda: set(ids(broker.events())) == set(range(14, 20)))
        assert broker.connections < 25


@PROTOCOLS
def test_a_message_that_is_never_answered_holds_up_no_other(monkeypatch, protocol):
    """One message at a time, and one event that the broker ignores: others arrive."""
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.1)
    ignored = at_events({3}, lambda peer: None)

    def script(peer, packet):
        if packet.kind == CONNECT:
            peer.welcome(bytes([RECEIVE_MAXIMUM, 0, 1]) if peer.five else b"")
        else:
            ignored(peer, packet)

    with (
        ScriptedBroker(script) as broker,
        running(settings(broker, protocol, keepalive_seconds=1)) as node,
    ):
        for number in range(20):
            node.sink.write(event(number))
        wait_until(lambda: len(node.spool) == 1)
        assert set(ids(broker.events())) == set(range(20)) - {3}


@PROTOCOLS
def test_a_kind_at_which_connections_always_end_is_left_out_and_the_connection_stays(protocol):
    """In the health record; a new event is tried again soon, and then all leave."""
    with ScriptedBroker(at_events(range(100), close)) as broker:
        with running(settings(broker, protocol, retry_max_seconds=5.0)) as node:
            for number in range(10):
                node.sink.write(event(number))
            wait_until(lambda: "at each event" in (node.sink.counts.limits or ""))
            node.sink.publish_health({"type": "health"})
            wait_until(lambda: any(packet.topic.endswith("health") for packet in broker.arrived))
            broker.script = honest
            node.sink.write(event(10))
            wait_until(lambda: len(node.spool) == 0)
            wait_until(lambda: node.sink.counts.limits is None)
        assert set(ids(broker.events())) == set(range(11))


@PROTOCOLS
@pytest.mark.parametrize("times", [2, 3, 6, 10])
def test_the_status_is_retained_in_the_end_though_connections_ended_at_it(times, protocol):
    """A broker that was in trouble does not keep `offline` while the node is online."""

    def script(peer, packet):
        if packet.kind == PUBLISH and peer.number < times:
            peer.close()
        else:
            honest(peer, packet)

    with ScriptedBroker(script) as broker, running(settings(broker, protocol)):
        wait_until(
            lambda: (
                {("status", True), ("info", True)}
                <= {(packet.topic.rsplit("/", 1)[1], packet.retain) for packet in broker.arrived}
            )
        )


@PROTOCOLS
def test_where_retained_messages_end_connections_they_are_published_without(protocol):
    """Status and info arrive not retained; events are not held up while that is tried again."""

    def script(peer, packet):
        if packet.kind == PUBLISH and packet.retain:
            peer.close()
        else:
            honest(peer, packet)

    with ScriptedBroker(script) as broker, running(settings(broker, protocol)) as node:
        for number in range(20):
            node.sink.write(event(number))
        wait_until(lambda: len(node.spool) == 0)
        wait_until(lambda: any(packet.topic.endswith("/info") for packet in broker.arrived))
        assert set(ids(broker.events())) == set(range(20))


@PROTOCOLS
def test_acknowledgements_that_come_together_with_the_end_count(protocol):
    """Four of five messages are acknowledged in the packet that ends the connection."""
    taken = []

    def script(peer, packet):
        if peer.number or not packet.topic.endswith("/event"):
            honest(peer, packet)
            return
        taken.append(packet)
        if len(taken) == 5:
            peer.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            for one in taken[:4]:
                peer.acknowledge(one)
            peer.close()

    with ScriptedBroker(script) as broker, running(settings(broker, protocol)) as node:
        for number in range(5):
            node.sink.write(event(number))
        wait_until(lambda: len(node.spool) == 0)
        assert ids(broker.events()) == list(range(5))
