"""Delivery to a mosquitto that is absent, stopped, killed, frozen or silent."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from eqedge.edge.delivery.spool import Spool

from tests.support.broker import Broker, free_port, wait_until
from tests.support.delivery import INFO, Node, Unanswering, event, ids, once, running, settings_for


def test_broker_absent_at_the_start(tmp_path, logged):
    """The run goes on, logs it once, and delivers in order when the broker comes."""
    broker = Broker(tmp_path).reserve("eqedge/#")
    with running(settings_for(broker)) as node:
        wait_until(lambda: node.sink.counts.failures >= 3)
        for number in range(50):
            node.sink.write(event(number))
        assert len(logged("refused")) == 1, logged()
        assert len(node.spool) == 50
        with broker, broker.collect() as received:
            received.wait_for(lambda got: len(got.json("event")) == 50)
            assert ids(received.json("event")) == list(range(50))
            wait_until(lambda: len(node.spool) == 0)
        assert logged(": connected")


def test_unknown_host_is_retried(logged):
    """A name that DNS does not know is logged once and tried again."""
    settings = replace(settings_for(1883), host="broker.invalid")
    with running(replace(settings, drain_seconds=0)) as node:
        node.sink.write(event(1))
        wait_until(lambda: node.sink.counts.failures >= 2)
        assert len(logged("broker.invalid")) == 1
        assert len(node.spool) == 1


def test_nothing_lost_when_the_broker_is_killed_midway(tmp_path):
    """Killed and started again while events flow: each arrives, under its id, in order.

    A killed broker may lose the newest messages that it had acknowledged and not passed on, which
    the node cannot know; it loses no others.
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
from eqedge.edge.settings.delivery import MqttSettings
from eqedge.edge.delivery.spool import Spool
port, path, first = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
spool = Spool(path)
settings = MqttSettings("127.0.0.1", port, retry_min_seconds=0.05, retry_max_seconds=0.1)
sink = Mqtt(settings, network="XX", station="EDGE", info={}, spool=spool)
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


def test_last_will_is_offline_when_the_node_is_killed(tmp_path):
    """SIGKILL leaves `offline`, retained, on the status topic."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/XX/EDGE/status") as received:
        with writer(broker.port, tmp_path / "spool.db", 0):
            received.wait_for(lambda got: got.texts("status") == ["online"])
        received.wait_for(lambda got: got.texts("status") == ["online", "offline"])
        with broker.listen("eqedge/XX/EDGE/status") as late:
            late.wait_for(lambda got: got.messages == [("eqedge/XX/EDGE/status", True, "offline")])


def test_nothing_lost_when_the_node_is_killed_again_and_again(tmp_path):
    """Kill -9 while it writes and delivers: what `write` stored arrives, in order.

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
    """A broker that keeps the connection but answers nothing is disconnected, later reconnected."""
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
    """A broker that closes each connection is tried ever more rarely, one at a time."""
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


def test_the_end_is_bounded_without_a_broker(tmp_path, logged):
    """Closing with the broker down lasts the drain time and logs where the events are."""
    times = []
    for number in range(3):  # the quickest counts: others may be held up by a busy machine
        path = tmp_path / f"spool{number}.db"
        node = Node(settings_for(free_port(), drain_seconds=0.3), path)
        node.sink.write(event(1))
        begin = time.monotonic()
        node.sink.close()
        times.append(time.monotonic() - begin)
        assert len([line for line in logged("1 message kept in") if path.name in line]) == 1
        again = Spool(path)
        assert len(again) == 1
        again.close()
    assert 0.2 < min(times) < 2


def test_the_thread_proves_alive_with_and_without_a_broker(tmp_path):
    """The time of progress advances while connected, and while not."""
    with running(settings_for(free_port(), drain_seconds=0)) as node:
        before = node.sink.progress_time
        wait_until(lambda: node.sink.progress_time > before + 0.2)
    with Broker(tmp_path) as broker, running(settings_for(broker)) as node:
        wait_until(lambda: node.sink.counts.connected)
        before = node.sink.progress_time
        wait_until(lambda: node.sink.progress_time > before + 0.9)


def owed_seconds(node):
    """For how long the broker has owed an answer."""
    return time.monotonic() - node.sink.answered_time


def test_a_broker_that_acknowledges_nothing_is_left(tmp_path, monkeypatch, logged):
    """Pings answered, messages not: disconnected, logged, and counted as owed until it answers."""
    monkeypatch.setattr("eqedge.edge.delivery.connection.ANSWER_SECONDS", 0.5)
    with Unanswering() as broker:
        node = Node(settings_for(broker, keepalive_seconds=1))
        node.sink.write(event(1))
        wait_until(lambda: node.sink.counts.connects >= 2)
        assert logged("acknowledges nothing within 2 s; events are kept")
        assert node.sink.counts.failures >= 1 and len(node.spool) == 1
        assert owed_seconds(node) > 2
        wait_until(lambda: time.monotonic() - node.sink.progress_time < 2)
    wait_until(lambda: owed_seconds(node) < 1, "a broker that is away owes nothing")
    with Broker(tmp_path, port=node.port):
        wait_until(lambda: len(node.spool) == 0)
        node.sink.close()
