"""Messages, picks, status and health as a broker receives them."""

import pytest
from eqedge.edge.delivery.catch_up import Line
from eqedge.edge.delivery.mqtt import Mqtt
from eqedge.edge.delivery.spool import Spool
from eqedge.edge.settings.validation import SettingsError

from tests.support.broker import Broker, wait_until
from tests.support.delivery import INFO, event, ids, running, settings_for


def test_event_status_and_info_arrive(tmp_path):
    """A reachable broker receives online, info, the event as written, and at the end stopped."""
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
    """A later subscriber receives status and info, not an earthquake that is over."""
    with Broker(tmp_path) as broker, running(settings_for(broker)) as node:
        node.sink.write(event(1))
        wait_until(lambda: node.sink.counts.delivered == 1)
        with broker.listen("eqedge/#") as late:
            late.wait_for(lambda got: len(got.messages) == 2)
            assert {(topic, kept) for topic, kept, _ in late.messages} == {
                ("eqedge/XX/EDGE/status", True),
                ("eqedge/XX/EDGE/info", True),
            }


def test_backlog_is_marked_historical(tmp_path):
    """A message that waited longer than the limit is marked; a fresh one is not."""
    now = [1000.0]
    broker = Broker(tmp_path).reserve("eqedge/#")
    with running(settings_for(broker), monotonic=lambda: now[0]) as node:
        node.sink.write(event(1))
        now[0] += 61
        node.sink.write(event(2))
        with broker, broker.collect() as received:
            received.wait_for(lambda got: len(got.json("event")) == 2)
            assert [m["historical"] for m in received.json("event")] == [True, False]


def test_what_was_dated_without_utc_is_redated_once_utc_is_known(tmp_path):
    """Made in 1970, delivered before and after the clock was set: the latter with its own time."""
    utc, good = [50.0], []
    pick = {"phase": "P", "time": "1970-01-01T00:00:45.000000Z", "time_ns": 45_000_000_000}
    made = event(1, picks=[pick], clock={"source": "host", "synced": False})
    clocks = {"monotonic": lambda: utc[0] % 1e9, "utc": lambda: utc[0]}
    broker = Broker(tmp_path).reserve("eqedge/#")
    with running(settings_for(broker), synchronised=lambda: bool(good), **clocks) as node:
        with broker, broker.collect() as received:
            node.sink.write(made)
            received.wait_for(lambda got: got.json("event") == [made] and got.json("pick"))
            wait_until(lambda: len(node.spool) == 0)
        node.sink.write({**made, "sequence": 1, "type": "end"})
        utc[0] += 1e9
        with broker, broker.collect() as received:
            received.wait_for(lambda got: got.json("event"))
            wait_until(lambda: len(node.spool) == 0)
            assert received.json("event")[0]["picks"] == [pick], "set, but not known to be right"
        node.sink.write({**made, "event_id": "XX.EDGE.00-000002"})
        utc[0] += 1e9
        good.append("NTP")
        with broker, broker.collect() as received:
            received.wait_for(lambda got: got.json("event") and got.json("pick"))
    late = received.json("event")[0]
    moved = {"time": "2001-09-09T01:47:25.000000Z", "time_ns": 1_000_000_045_000_000_000}
    assert late["redated_s"] == 1e9 and late["picks"] == [{**pick, **moved}]
    assert late["event_id"] == "XX.EDGE.00-000002"
    assert received.json("pick")[0]["time"] == moved["time"]


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
        picks = [(m["pick_id"][-2:], m["type"], m["time"]) for m in received.json("pick")]
        assert picks == [("P1", "new", "t1"), ("S1", "new", "t5"), ("P1", "update", "t2")]
        assert received.json("pick")[0]["event_id"] == event(1)["event_id"]
        assert received.json("pick")[0]["station"] == "EDGE"


def test_a_short_run_still_delivers(tmp_path):
    """A run that ends before the connection is made waits for it at the end."""
    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        with running(settings_for(broker)) as node:
            for number in range(200):
                node.sink.write(event(number))
        received.wait_for(lambda got: got.texts("status")[-1:] == ["stopped"])
        assert ids(received.json("event")) == list(range(200))


def test_lines_that_the_spool_lost_come_as_historical_with_their_picks(tmp_path):
    """Once published, and then found in the output again: the picks come again too."""
    message = event(1, picks=[{"phase": "P", "time": "t1"}])
    with Broker(tmp_path) as broker, broker.listen("eqedge/#") as received:
        with running(settings_for(broker), tmp_path / "spool.db") as node:
            node.sink.write(message)
            node.sink.catch_up([Line(message, 7)], again=True)
            assert 7 in node.spool.known_lines()
            wait_until(lambda: len(node.spool) == 0)
        received.wait_for(lambda got: len(got.json("pick")) == 2)
        assert [m["historical"] for m in received.json("event")] == [False, True]


def test_health_is_published_but_not_kept(tmp_path):
    """A health record is published while connected, and not stored while not."""
    broker = Broker(tmp_path).reserve("eqedge/#")
    with running(settings_for(broker)) as node:
        node.sink.publish_health({"old": True})
        assert len(node.spool) == 0
        with broker, broker.collect() as received:
            wait_until(lambda: node.sink.counts.connected)
            node.sink.publish_health({"new": True})
            received.wait_for(lambda got: {"new": True} in got.json("health"))


@pytest.mark.parametrize("code", ["", "../x", "A/B", "#", "+", "abc", "TOOLONGCODE"])
def test_codes_that_would_leave_the_topic_are_refused(code):
    """A station code that would lead to another topic is a settings error."""
    with pytest.raises(SettingsError):
        Mqtt(
            settings_for(1883),
            network="XX",
            station=code,
            info={},
            spool=Spool(None),
        )
