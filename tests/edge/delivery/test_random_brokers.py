"""Brokers that behave at random for some connections, then well: every event arrives."""

import random
import threading
import time

import pytest

from tests.support.broker import wait_until
from tests.support.delivery import event, ids, running, settings_for
from tests.support.scripted_broker import (
    CONNECT,
    DISCONNECT,
    MAXIMUM_QOS,
    PINGREQ,
    PUBACK,
    PUBLISH,
    ScriptedBroker,
    frame,
    honest,
    text,
)

EVENTS = 30
CONNECTIONS = 4
"""So many behave at random."""
BYTES, TEXT, PAIR = range(3)
PROPERTIES = {
    **{key: 1 for key in (0x01, 0x24, 0x25, 0x28, 0x29, 0x2A)},
    **{key: 2 for key in (0x13, 0x21, 0x22)},
    **{key: 4 for key in (0x11, 0x27)},
}
"""Length of the properties of MQTT 5 that are numbers."""
REASONS = (*range(0x80, 0xA3), 0x00, 0x01, 0x04, 0x10, 0xC7, 0xEE)


class Random:
    """A script: each connection has a mood and an end; after some of them, all is honest.

    Args:
        seed: Of all that is random, but for the order in which threads run.
        confirms: The broker has QoS 1.
    """

    def __init__(self, seed, *, confirms):
        self._random = random.Random(seed)
        self._confirms = confirms
        self._moods = {}

    def __call__(self, peer, packet):
        """Answer a packet."""
        if peer.number >= CONNECTIONS:
            self._welcome(peer) if packet.kind == CONNECT else honest(peer, packet)
            return
        if peer.number not in self._moods:
            self._moods[peer.number] = self._random.choice(["fair", "rude", "picky", "refusing"])
            peer.ends = self._random.randrange(2, 60)
        if packet.kind == CONNECT:
            self._answer_connect(peer)
        elif len(peer.taken) > peer.ends or packet.kind == PINGREQ:
            peer.close()  # an idle node pings: it has nothing more to send to this broker
        elif self._moods[peer.number] == "picky" and packet.kind == PUBLISH and packet.qos:
            # An acknowledgement of MQTT 3.1.1 has no reason.
            peer.acknowledge(packet, self._random.choice([0, *REASONS]) if peer.five else 0)
        elif self._random.random() < (0.5 if self._moods[peer.number] == "rude" else 0.1):
            self._misbehave(peer, packet)
        else:
            honest(peer, packet)

    def _welcome(self, peer, more=b""):
        peer.welcome((b"" if self._confirms else bytes([MAXIMUM_QOS, 0])) + more)

    def _answer_connect(self, peer):
        if self._moods[peer.number] != "refusing":
            self._welcome(peer, self._properties() if self._random.random() < 0.3 else b"")
            return
        how = self._random.randrange(4)
        if how == 0:
            peer.close()
        elif how == 1:
            peer.welcome(self._properties(), self._random.choice(REASONS))
        elif how == 2:
            peer.send(self._random.randbytes(self._random.randrange(1, 200)))
            peer.close()
        else:
            peer.send(b"\x20\x03\x00")

    def _properties(self):
        made = b""
        for _ in range(self._random.randrange(1, 4)):
            key = self._random.choice([*PROPERTIES, 0x12, 0x15, 0x1C, 0x1F, 0x26, 0x7F])
            length = PROPERTIES.get(key)
            if length is None:
                value = text(self._random.choice(["", "x", "elsewhere:1883", "\x01" * 3]))
            else:
                one = self._random.choice([0, 1, 200, self._random.randrange(256**length)])
                value = (one % 256**length).to_bytes(length, "big")
            made += bytes([key]) + value
        return made

    def _misbehave(self, peer, packet):
        number = packet.number.to_bytes(2, "big")
        topic = text("homeassistant/status") + (b"\x00" if peer.five else b"")
        how = self._random.randrange(12)
        if how == 0:
            peer.close()
        elif how == 1:
            peer.send(frame(DISCONNECT << 4, bytes([self._random.choice(REASONS), 0])))
            peer.close()
        elif how == 2:
            peer.send(self._random.randbytes(self._random.randrange(1, 300)))
        elif how == 3:
            peer.send(frame(PUBACK << 4, b"\x00"))
        elif how == 4:
            honest(peer, packet)
            peer.close()
        elif how == 5 and self._confirms:
            pass  # a broker that reads a message at QoS 0 and forgets it cannot be noticed
        elif how == 6:
            peer.send(frame(PUBACK << 4, number)[: self._random.randrange(1, 4)])
            peer.close()
        elif how == 7:
            peer.send(b"\x30\xff\xff\x7f" + self._random.randbytes(1000))
            peer.close()
        else:
            if how == 8:
                time.sleep(self._random.random() * 0.1)
            elif how == 9:
                size = self._random.choice([0, 1, 70_000, 300_000])
                peer.send(frame(0x30, topic + b"x" * size))
            elif how == 10:
                first = self._random.choice([0x32, 0x34, 0x3B])
                peer.send(frame(first, text("homeassistant/status") + b"\x00\x07\x00online"))
            elif self._confirms:
                # a number that the node never comes to
                other = self._random.randrange(0x8000, 0x10000).to_bytes(2, "big")
                peer.send(frame(PUBACK << 4, other) + b"\xc0\x00\xd0\x00")
            honest(peer, packet)


@pytest.mark.parametrize("seed", range(7))
@pytest.mark.parametrize(
    ("protocol", "confirms"), [("5", True), ("5", False), ("3.1.1", True)], ids=str
)
def test_every_event_arrives_after_whatever_a_random_broker_did(seed, protocol, confirms):
    """Exactly those that were written, the spool is empty, and the status is published."""
    with ScriptedBroker(Random(seed, confirms=confirms)) as broker:
        settings = settings_for(
            broker,
            protocol=protocol,
            keepalive_seconds=1,
            connect_timeout_seconds=0.5,
            home_assistant_prefix="homeassistant" if seed % 2 else "",
            drain_seconds=0,
        )
        with running(settings) as node:
            for number in range(EVENTS):
                node.sink.write(event(number, text="x" * (number % 4) * 300))
            wait_until(lambda: len(node.spool) == 0)
            assert set(ids(broker.events())) == set(range(EVENTS))
            broker.script = honest
            wait_until(lambda: any(p.payload == b"online" for p in broker.arrived))
            assert any(thread.name == "mqtt" for thread in threading.enumerate())
