"""Delivery to a real mosquitto that is absent, stopped, killed, frozen, refusing or hostile."""

import itertools
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from eqedge.edge.mqtt import Mqtt
from eqedge.edge.settings import MqttSettings
from eqedge.edge.spool import Spool

from ..broker import Broker, free_port, wait_until

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

    def __init__(self, settings, path=None, environ=None, monotonic=None):
        self.said = []
        self.port = settings.port
        clock = {"monotonic": monotonic} if monotonic else {}
        self.spool = Spool(path, on_state=self.said.append, **clock)
        self.sink = Mqtt(
            settings,
            network="XX",
            station="EDGE",
            info=INFO,
            spool=self.spool,
            on_state=self.said.append,
            environ=environ or {},
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
    """Killed and started again while events flow: each arrives, under its id, in order."""
    broker = Broker(tmp_path).reserve("eqedge/XX/EDGE/event")
    seen = []
    with running(settings_for(broker), tmp_path / "spool.db") as node:
        for turn in range(4):
            with broker, broker.collect() as received:
                wait_until(lambda: node.sink.counts.connected)
                for number in range(turn * 100, turn * 100 + 100):
                    node.sink.write(event(number))
                    if number == turn * 100 + 60:
                        broker.kill()
                wait_until(lambda: not node.sink.counts.connected)
            seen += ids(received.json("event"))
        with broker, broker.collect() as received:
            wait_until(lambda: len(node.spool) == 0)
            received.wait_for(lambda got: 399 in ids(got.json("event")))
        seen += ids(received.json("event"))
    assert once(seen) == list(range(400))
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
from eqedge.edge.mqtt import Mqtt
from eqedge.edge.settings import MqttSettings
from eqedge.edge.spool import Spool
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
        process.wait(10)


def test_last_will_says_offline_when_the_node_is_killed(tmp_path):
    """SIGKILL leaves `offline`, retained, on the status topic."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/XX/EDGE/status") as received:
        with writer(broker.port, tmp_path / "spool.db", 0):
            received.wait_for(lambda got: got.texts("status") == ["online"])
        received.wait_for(lambda got: got.texts("status") == ["online", "offline"])
        with broker.listen("eqedge/XX/EDGE/status") as late:
            late.wait_for(lambda got: got.messages == [("eqedge/XX/EDGE/status", True, "offline")])


def test_nothing_lost_when_the_node_is_killed_again_and_again(tmp_path):
    """Ten times kill -9 while it writes and delivers: what `write` took arrives, in order."""
    accepted, first = [], 0
    with Broker(tmp_path) as broker, broker.listen("eqedge/XX/EDGE/event") as received:
        for turn in range(10):
            with writer(broker.port, tmp_path / "spool.db", first) as process:
                for _ in range(20 + 7 * turn):
                    accepted.append(int(process.stdout.readline()))
            accepted += [int(line) for line in process.stdout.read().splitlines()]
            first = accepted[-1] + 1000
        with running(settings_for(broker), tmp_path / "spool.db") as node:
            wait_until(lambda: node.sink.counts.connected and len(node.spool) == 0)
        received.wait_for(lambda got: accepted[-1] in ids(got.json("event")))
        arrived = ids(received.json("event"))
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
                server.settimeout(10)
                connection.close()
            assert node.sink.counts.failures >= 5
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert waits[-1] > 0.4 > waits[0], waits
    assert max(waits) < 1.5
