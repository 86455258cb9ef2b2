"""Home Assistant discovers the node."""

import json

from eqedge.edge.delivery.home_assistant import discovery_messages
from eqedge.edge.settings.delivery import MqttSettings

from tests.support.broker import Broker, wait_until
from tests.support.delivery import event, running, settings_for


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
    assert (
        discovery_messages(MqttSettings("host").home_assistant_prefix, "a/XX/EDGE").payloads == {}
    )
