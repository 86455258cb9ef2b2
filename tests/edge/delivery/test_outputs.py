"""All outputs as one sink, against a real broker."""

import json
import time

import pytest
from eqedge.edge.delivery.errors import OutputFileError
from eqedge.edge.delivery.outputs import Delivery
from eqedge.edge.health.liveness import State, state_of
from eqedge.edge.health.metrics import metrics_of
from eqedge.edge.message import Node
from eqedge.edge.settings.delivery import FileSettings, MqttSettings
from eqedge.edge.settings.health import HealthSettings
from eqedge.edge.settings.node import Settings

from tests.support.broker import free_port, wait_until
from tests.support.delivery import Unanswering


def event(number, **more):
    """Return a message with the fields that the outputs read, as of the node of these tests."""
    codes = {"network": "XX", "station": "EDGE", "location": "00", "clock": {"source": "host"}}
    named = {"event_id": f"e{number}", "sequence": 0, "historical": False}
    return {"type": "new", **named, "picks": [], **codes, **more}


def metrics(delivery):
    """Return the metrics of the outputs by name."""
    return {one.name: one.value for one in metrics_of(delivery.counts)}


def deliver(model, tmp_path, broker, **more):
    """Open the outputs of a live node."""
    mqtt = MqttSettings("127.0.0.1", broker.port, retry_min_seconds=0.1, drain_seconds=1)
    settings = Settings(output=str(tmp_path / "o.jsonl"), mqtt=mqtt, **more)
    return Delivery(settings, Node(settings.station, model, "boot"), fresh=False)


def test_what_a_kill_left_between_file_and_spool_is_delivered(model, tmp_path, broker):
    """The lines that the spool never stored reach the broker, and only those, as historical."""
    with broker.listen("eqedge/#") as received:
        with deliver(model, tmp_path, broker) as before:
            before.write(event(1))
        with (tmp_path / "o.jsonl").open("a") as file:
            file.write(json.dumps(event(2)) + "\n" + '{"type": "ne')
        delivery = deliver(model, tmp_path, broker)
        received.wait_for(lambda got: len(got.json("event")) == 2)
        delivery.close()
        deliver(model, tmp_path, broker).close()
        received.wait_for(lambda got: got.texts("status") == ["online", "stopped"] * 3)
    arrived = [(m["event_id"], m["historical"]) for m in received.json("event")]
    assert arrived == [("e1", False), ("e2", True)]


def test_a_kill_right_after_a_rotation_is_caught_up_too(model, tmp_path, broker):
    """The newest line is then in FILE.1."""
    (tmp_path / "o.jsonl.1").write_text(json.dumps(event(7)) + "\n")
    with broker.listen("eqedge/#") as received:
        delivery = deliver(model, tmp_path, broker)
        received.wait_for(lambda got: [m["event_id"] for m in got.json("event")] == ["e7"])
        delivery.close()


OTHERS = [{"clock": {"source": "sim"}}, {"station": "HILL"}, {"network": "YY"}, {"location": "10"}]


@pytest.mark.parametrize("others", OTHERS)
def test_only_the_nodes_own_live_events_are_caught_up(model, tmp_path, broker, others):
    """A replay's earthquake, or another station's, in the same file is never published."""
    lines = "".join(json.dumps(line) + "\n" for line in (event(1), event(2, **others)))
    (tmp_path / "o.jsonl").write_text(lines)
    with broker.listen("eqedge/#") as received:
        delivery = deliver(model, tmp_path, broker)
        received.wait_for(lambda got: got.json("event"))
        delivery.close()
        received.wait_for(lambda got: got.texts("status") == ["online", "stopped"])
    assert [message["event_id"] for message in received.json("event")] == ["e1"]


def test_a_replay_does_not_overwrite_live_events(model, tmp_path):
    """They are kept and named; a replay's own file is written anew."""
    path = tmp_path / "o.jsonl"
    settings = Settings(output=str(path))
    node = Node(settings.station, model, "boot")
    path.write_text(json.dumps(event(1)) + "\n")
    with pytest.raises(OutputFileError, match=r"o\.jsonl: holds events of a live sensor.*another"):
        Delivery(settings, node, fresh=True)
    assert json.loads(path.read_text())["event_id"] == "e1"
    path.rename(tmp_path / "o.jsonl.1")  # a replay leaves that alone
    path.write_text(json.dumps(event(1, clock={"source": "sim"})) + "\n")
    Delivery(settings, node, fresh=True).close()
    assert (tmp_path / "o.jsonl.1").stat().st_size > 0
    assert path.read_text() == ""


def test_a_damaged_spool_costs_no_backlog(model, tmp_path, broker, logged):
    """What waited in it and is still in the file reaches the broker, in order, as historical."""
    deaf = MqttSettings("127.0.0.1", free_port(), drain_seconds=0)
    settings = Settings(output=str(tmp_path / "o.jsonl"), mqtt=deaf)
    node = Node(settings.station, model, "boot")
    with Delivery(settings, node, fresh=False) as before:
        for number in range(30):
            before.write(event(number, picks=[{"phase": "P", "time": f"t{number}"}]))
    with (tmp_path / "o.jsonl.spool").open("r+b") as file:
        file.write(b"\0" * 4096)
    with broker.listen("eqedge/#") as received:
        delivery = deliver(model, tmp_path, broker)
        received.wait_for(lambda got: len(got.json("event")) == len(got.json("pick")) == 30)
        damaged = metrics(delivery)["spool_damaged_total"]
        delivery.close()
        deliver(model, tmp_path, broker).close()
        received.wait_for(lambda got: got.texts("status") == ["online", "stopped"] * 2)
    expected = [(f"e{number}", True) for number in range(30)]
    assert [(m["event_id"], m["historical"]) for m in received.json("event")] == expected
    assert damaged == 1
    assert logged("30 lines of ")


@pytest.mark.parametrize(
    ("output", "fresh", "warned"),
    [(None, False, True), ("o.jsonl", False, False), (None, True, False), ("o.jsonl", True, False)],
)
def test_a_live_node_whose_spool_is_in_memory_warns(model, tmp_path, output, fresh, warned, logged):
    """Once, at the start, with the remedy; a simulation has no spool and no warning."""
    mqtt = MqttSettings("127.0.0.1", free_port(), drain_seconds=0)
    settings = Settings(output=str(tmp_path / output) if output else None, mqtt=mqtt)
    node = Node(settings.station, model, "boot")
    Delivery(settings, node, fresh=fresh).close()
    expected = "without an output file, messages wait for the broker in memory only"
    lines = [line for line in logged() if "broker mqtt" not in line]
    assert [expected in line for line in lines] == [True] * warned


def test_the_file_is_rotated_by_the_settings(model, tmp_path, broker):
    """Bounded in number and size; what goes to the broker is not touched by it."""
    small = FileSettings(rotate_bytes=65_536, keep_files=2)
    delivery = deliver(model, tmp_path, broker, file=small)
    for number in range(40):
        delivery.write(event(number, padding="x" * 10_000))
    delivery.close()
    assert sorted(p.name for p in tmp_path.glob("o.jsonl*") if "spool" not in p.name) == [
        "o.jsonl",
        "o.jsonl.1",
        "o.jsonl.2",
    ]


def test_the_metrics_of_the_outputs(model, tmp_path, broker):
    """What waits, what was delivered, and that all is connected."""
    delivery = deliver(model, tmp_path, broker)
    delivery.write(event(1))

    def delivered():
        found = metrics(delivery)
        return found["mqtt_delivered_total"] == 1 and found["spool_messages"] == 0

    wait_until(delivered, "the broker acknowledges")
    found = metrics(delivery)
    assert found["mqtt_connected"] is True
    assert found["output_errors_total"] == 0 and found["disk_free_bytes"] > 0
    assert delivery.proved_alive(1e12) < 1e12
    delivery.close()


@pytest.mark.slow
def test_a_broker_that_acknowledges_nothing_is_an_alarm_and_no_restart(model, tmp_path):
    """The output is alarmed, and stays so; with a broker that is away it is healthy."""
    health = HealthSettings(output_silence_seconds=1, retry_seconds=1)

    def state():
        now = time.monotonic()
        return state_of(now - delivery.proved_alive(now), 1, health)

    with Unanswering() as deaf:
        delivery = deliver(model, tmp_path, deaf, health=health)
        delivery.write(event(1))
        assert state() is State.HEALTHY
        wait_until(lambda: state() is State.ALARMED)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert state() is State.ALARMED
            time.sleep(0.02)
    wait_until(lambda: state() is State.HEALTHY, "away")
    delivery.close()
