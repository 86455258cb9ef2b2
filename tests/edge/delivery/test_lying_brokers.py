"""Brokers that lie: nothing raises out of the sender, nothing is lost, and it is named."""

import random
import threading
import time

import pytest

from tests.support.broker import wait_until
from tests.support.delivery import event, ids, running, settings_for
from tests.support.scripted_broker import (
    CONNECT,
    MAXIMUM_PACKET,
    PINGREQ,
    PUBLISH,
    RECEIVE_MAXIMUM,
    ScriptedBroker,
    frame,
    honest,
)

EVENTS = 12


def acknowledges_others(peer, packet):
    """Acknowledge numbers that were never sent, before the right one."""
    if packet.kind == PUBLISH:
        for number in (0, 40_000, 65_535):
            peer.send(frame(0x40, number.to_bytes(2, "big")))
    honest(peer, packet)


def acknowledges_twice(peer, packet):
    """Acknowledge each message twice."""
    honest(peer, packet)
    if packet.kind == PUBLISH and packet.qos:
        peer.send(frame(0x40, packet.number.to_bytes(2, "big")))


def rejects_at_first(reason):
    """Return a script that rejects each event three times, with this reason code."""
    rejections = {}

    def script(peer, packet):
        if packet.kind == PUBLISH and packet.topic.endswith("/event"):
            rejections[packet.payload] = rejections.get(packet.payload, 0) + 1
            if rejections[packet.payload] <= 3:
                peer.acknowledge(packet, reason)
                return
        honest(peer, packet)

    return script


def ends_after_each_message(peer, packet):
    """Close after each message, once it is acknowledged."""
    honest(peer, packet)
    if packet.kind == PUBLISH:
        peer.close()


def ends_before_each_acknowledgement(peer, packet):
    """Close at each message, for the first ten connections."""
    if packet.kind == PUBLISH and peer.number < 10:
        peer.close()
    else:
        honest(peer, packet)


def welcomes_with(data):
    """Return a script whose first four answers to CONNECT are these bytes."""

    def script(peer, packet):
        if packet.kind == CONNECT and peer.number < 4:
            peer.send(data)
        else:
            honest(peer, packet)

    return script


def answers_slowly(peer, packet):
    """Send each answer in single bytes."""
    slow = type(peer)(peer.broker, peer.number, peer.connection, peer.five)
    slow.send = lambda data: [peer.send(bytes([one])) or time.sleep(0.002) for one in data]
    honest(slow, packet)


def mixes_garbage(seed):
    """Return a script that sends noise before some answers."""
    generator = random.Random(seed)

    def script(peer, packet):
        if generator.random() < 0.15:
            peer.send(generator.randbytes(generator.randrange(1, 300)))
        honest(peer, packet)

    return script


def states(properties):
    """Return a script whose first three connections state these properties."""

    def script(peer, packet):
        if packet.kind == CONNECT and peer.number < 3:
            peer.welcome(properties)
        elif packet.kind == PINGREQ and peer.number < 3:
            peer.close()
        else:
            honest(peer, packet)

    return script


LIES = {
    "acknowledges numbers never sent": acknowledges_others,
    "acknowledges twice": acknowledges_twice,
    **{
        f"rejects with {code:#x}": rejects_at_first(code)
        for code in (0x80, 0x83, 0x87, 0x90, 0x91, 0x95, 0x97, 0x99)
    },
    "rejects with a code that MQTT does not have": rejects_at_first(0xC7),
    "ends after each message": ends_after_each_message,
    "ends before each acknowledgement": ends_before_each_acknowledgement,
    "welcomes with a property that does not exist": welcomes_with(b"\x20\x05\x00\x00\x02\x7f\x01"),
    "welcomes with a property cut short": welcomes_with(b"\x20\x05\x00\x00\x02\x27\x00"),
    "welcomes with properties too long": welcomes_with(b"\x20\x06\x00\x00\x7f\x27\x00\x00"),
    "welcomes with a property twice": welcomes_with(b"\x20\x07\x00\x00\x04\x24\x01\x24\x01"),
    "welcomes with an unknown code": welcomes_with(b"\x20\x03\x00\xee\x00"),
    "welcomes with one byte": welcomes_with(b"\x20\x01\x00"),
    "welcomes with HTTP": welcomes_with(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "answers slowly": answers_slowly,
    "sends garbage": mixes_garbage(5),
    "sends other garbage": mixes_garbage(6),
    "takes no message at a time": states(bytes([RECEIVE_MAXIMUM, 0, 0])),
    "takes packets of no byte": states(bytes([MAXIMUM_PACKET, 0, 0, 0, 0])),
    "takes packets of five bytes": states(bytes([MAXIMUM_PACKET, 0, 0, 0, 5])),
}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_every_event_arrives_whatever_the_broker_lies(tmp_path, lie, protocol):
    """All events arrive in the end; the thread that sends them lives, and no memory is kept."""
    with ScriptedBroker(lie) as broker:
        settings = settings_for(broker, protocol=protocol, keepalive_seconds=1)
        with running(settings, tmp_path / "spool.db") as node:
            for number in range(EVENTS):
                node.sink.write(event(number))
            wait_until(lambda: set(ids(broker.events())) == set(range(EVENTS)))
            wait_until(lambda: len(node.spool) == 0)
            assert any(thread.name == "mqtt" for thread in threading.enumerate())
            wait_until(lambda: node.sink.counts.delivered == EVENTS)
