"""A broker that rejects some of the messages."""

import signal
from dataclasses import replace

from eqedge.edge.delivery.home_assistant import discovery_messages

from tests.support.broker import Broker, free_port, wait_until
from tests.support.delivery import event, ids, running, settings_for


def test_a_broker_that_refuses_messages_gets_them_later(tmp_path, logged):
    """Not allowed to publish: logged, kept, tried again; MQTT 3.1.1 would have lost them."""
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
        assert logged("rejects") == [
            f"broker mqtt://127.0.0.1:{port}: it rejects eqedge/XX/EDGE/event: Not authorized; "
            "allow the node's user to connect and to write to eqedge/XX/EDGE/# in the broker's "
            "access list; messages are kept and tried again"
        ]
        assert len(node.spool) == 1 and node.sink.counts.refused == 0
        rules.write_text("topic write eqedge/#\n")
        broker.signal(signal.SIGHUP)
        received.wait_for(lambda got: got.json("event") == [event(1)])
        wait_until(lambda: len(node.spool) == 0)
        wait_until(lambda: logged("event is accepted again"))
        assert node.sink.counts.connects == 1


def test_a_refused_topic_of_the_node_itself_costs_nothing(tmp_path, logged):
    """Rules without `info` or Home Assistant's topics: logged once by name, the link stays."""
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
        refused = [line.split("rejects ")[1].split(":")[0] for line in logged()[1:]]
        ours = discovery_messages("homeassistant", "eqedge/XX/EDGE").payloads
        assert refused == ["eqedge/XX/EDGE/info", *ours]
        assert node.sink.counts.connects == 1 and received.texts("status") == ["online"]


def test_a_refused_kind_does_not_hold_up_the_other(tmp_path):
    """Picks not allowed, more of them than may be in flight: each event still comes at once."""
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


def test_a_message_too_long_is_left_out_and_the_rest_goes_on(tmp_path, logged):
    """Beyond our limit or the broker's, a message is counted and logged, and blocks nothing.

    One beyond the broker's limit waits until the broker's operator has raised that.
    """
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
        assert logged("too long") and logged("longer than the broker allows")
        wait_until(lambda: len(node.spool) == 1)
        assert node.sink.counts.connects == 1
        broker.kill()
        broker.configure(config.replace("3000", "30000"))
        broker.start()
        wait_until(lambda: len(node.spool) == 0)
        assert node.sink.counts.delivered == 2 and node.sink.counts.refused == 1
