"""One connection: protocol versions, and brokers that send what they should not."""

import random
import resource
import socket
import threading
from contextlib import closing, suppress

import pytest
from eqedge.edge.delivery.link import BrokerLink

from tests.support.broker import Broker, wait_until
from tests.support.delivery import CONNACK, event, running, settings_for


def test_the_older_protocol(tmp_path):
    """A broker of 2014 is served with MQTT 3.1.1."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        with running(settings_for(broker, protocol="3.1.1")) as node:
            node.sink.write(event(1))
        received.wait_for(lambda got: got.texts("status") == ["online", "stopped"])
        assert received.json("event") == [event(1)]
        assert "eqedge-XX-EDGE (p2" in broker.log()


HOSTILE = {
    "a packet of 256 MB": b"\x30\xff\xff\xff\x7f\x00\x01a" + b"x" * 30_000_000,
    "a length without end": b"\x30\xff\xff\xff\xff\xff\xff",
    "a command": b"\x31\x1a\x00\x11eqedge/XX/EDGE/cmd\x00reboot!",
    "a topic that is not text": b"\x30\x08\x00\x03\xff\xfe\xfd\x00hi",
    "acknowledgements of nothing": b"\x40\x02\xff\xfe\x40\x02\x00\x00\x40\x00\x40\x01\x01",
    "a second welcome": CONNACK + CONNACK,
    "a packet type of zero": b"\x00\x00\xf0\x00",
    "half a packet, then silence": b"\x40\x04\x00",
    "properties of a wrong length": b"\x20\x05\x00\x00\xff\xff\x7f",
    "messages at QoS 2, never released": b"".join(
        b"\x34\xe5\xd4\x03\x00\x01a" + number.to_bytes(2, "big") + b"\x00" + b"x" * 59_999
        for number in range(1, 600)
    ),
    "messages that demand an answer": b"\x32\x06\x00\x01a\x00\x01\x00" * 500_000,
    "noise": random.Random(7).randbytes(5000),
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_broker_costs_nothing_but_the_connection(tmp_path, payload):
    """Whatever it sends, the node stays small and alive, obeys nothing, and delivers afterwards."""
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


def test_retained_commands_do_not_arrive(tmp_path):
    """The node subscribes to nothing: messages retained on its topics do not reach it."""
    with Broker(tmp_path) as broker:
        broker.publish("eqedge/XX/EDGE/cmd/reboot", b"x" * 1_000_000, retain=True)
        with running(settings_for(broker)) as node:
            node.sink.write(event(1))
            wait_until(lambda: node.sink.counts.delivered == 1)
            assert "Received SUBSCRIBE" not in broker.log()
            assert node.sink.counts.failures == 0


def test_an_answer_to_a_ping_has_its_time_also_after_a_quiet_while():
    """QoS 0 on a line that was quiet almost as long as the keepalive: the answer may be late."""
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(socket.create_server(("127.0.0.1", 0))) as server:
        link = BrokerLink(settings_for(server.getsockname()[1]), "test", "a/status", ours)
        pinged, go_on = threading.Event(), threading.Event()

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(CONNACK)
                while b"\xc0\x00" not in connection.recv(1000):
                    pass
                pinged.set()
                go_on.wait(60)
                connection.sendall(b"\xd0\x00")
                connection.recv(1000)

        broker = threading.Thread(target=answer, daemon=True)
        broker.start()
        link.open(None, None, "")
        link._client._last_bytes_received -= link._client._keepalive - 0.1
        link.publish("a/b", b"x", qos=0)
        while not pinged.is_set():
            link.turn(0.2)
        for _ in range(3):
            link.turn(0.2)  # beyond the time since anything was received before the ping
        go_on.set()
        while not link.take_acknowledgements():
            link.turn(0.2)
        link.drop()
        broker.join(10)


def test_the_client_still_holds_what_the_link_reads_and_sets():
    """Paho's private buffer, ping and its time: there, and what a long message is dropped by."""
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(socket.create_server(("127.0.0.1", 0))) as server:
        settings = settings_for(server.getsockname()[1])
        link = BrokerLink(settings, "test", "a/status", ours)
        go_on = threading.Event()

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(CONNACK + b"\x30\x80\x80\x40" + b"\x00\x01a")
                go_on.wait(60)
                connection.sendall(b"x" * ((0x40 << 14) - 3))
                while b"\xc0\x00" not in connection.recv(1000):
                    pass
                connection.sendall(b"\xd0\x00")
                connection.recv(1000)

        broker = threading.Thread(target=answer, daemon=True)
        broker.start()
        link.open(None, None, "")
        while not link.incoming.is_dropping:
            link.turn(0.2)
        assert link._client._in_packet["to_process"] > 0
        go_on.set()
        while link.incoming.is_dropping:
            link.turn(0.2)
            assert len(link._client._in_packet["packet"]) < 2_000_000
        assert link.incoming.dropped == 1
        link.publish("a/b", b"x", qos=0)
        answers = []
        while not answers:
            link.turn(0.2)
            answers = link.take_acknowledgements()
        assert not answers[0][1].is_failure
        link.drop()
        broker.join(10)
