"""`docs/messages.md`: its examples are what a node writes, and its tables have every field."""

import json
import re

import jsonschema
import pytest
from eqedge.edge.assemble import layout_for
from eqedge.edge.components import KINDS
from eqedge.edge.delivery.pick_log import PickLog
from eqedge.edge.health.liveness import Liveness, State
from eqedge.edge.health.metrics import health_record, metrics_of
from eqedge.edge.message import Node
from eqedge.edge.settings.node import Settings, StationSettings
from eqedge.firmware_bridge.packets import Hello
from eqedge.models.registry import DEFAULT_MODEL, open_model

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
SCHEMA = json.loads((ROOT / "edge" / "event.schema.json").read_text(encoding="utf-8"))
CHAPTERS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
NODE = Node(StationSettings(), open_model(DEFAULT_MODEL), "564edb3e")


def examples(chapter):
    """Return the messages that a chapter shows."""
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", CHAPTERS[chapter], re.S)]


def fields(chapter):
    """Return the fields in the first column of a chapter's table."""
    rows = re.findall(r"^\| (`[^|]+) \|", CHAPTERS[chapter], re.M)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def names(schema, prefix=""):
    """Yield the field names of a schema as the page writes them."""
    for name, inner in schema["properties"].items():
        full = f"{prefix}{name}"
        if "items" in inner and "properties" in inner["items"]:
            yield f"{full}[]"
            yield from names(inner["items"], f"{full}[].")
        elif "properties" in inner:
            yield from names(inner, f"{full}.")
        else:
            yield full


def test_the_events_are_valid():
    """One event from `new` to `end`, each message by the schema."""
    events = examples("Event")
    for event in events:
        jsonschema.Draft202012Validator(SCHEMA).validate(event)
        assert event["peak_value"] == event["detection_probability"]
    assert [event["type"] for event in events] == ["new", "update", "end"]
    assert [event["sequence"] for event in events] == [0, 1, 2]
    assert len({event["event_id"] for event in events}) == 1


def test_the_event_table_has_every_field():
    """Those of the schema, no others."""
    assert fields("Event") == set(names(SCHEMA))


def test_the_pick_is_that_of_the_first_event():
    """As a node publishes it; the table has its fields and those of a late one."""
    (pick,) = examples("Pick")
    assert [pick] == PickLog().changed_picks(examples("Event")[0])
    assert fields("Pick") == set(pick) | {"historical", "redated_s"}


def test_the_info_has_the_fields_of_today():
    """Also those within it; values may be of an earlier version."""
    (info,), today = examples("Info"), NODE.info(Settings())
    assert list(info) == list(today)
    assert fields("Info") == set(info)
    for name in ("model", "thresholds"):
        assert set(info[name]) == set(today[name])


def test_the_health_record_has_the_fields_of_today():
    """In their order."""
    (record,) = examples("Health")
    well = Liveness(State.HEALTHY, State.HEALTHY, State.HEALTHY, 0)
    assert list(record) == list(health_record(NODE.identity, "", metrics_of(()), well))


@pytest.mark.parametrize("channels", [("HHN", "HHZ"), ("HHE", "HHZ"), ("HHZ",)])
def test_page_and_schema_list_what_degraded_may_be(channels):
    """Each text that the assembler makes."""
    text = layout_for(Hello("s", "f", 100.0, channels), 100.0).degraded
    assert f"`{text}`" in CHAPTERS["Event"]
    assert f'"{text}"' in SCHEMA["properties"]["degraded"]["description"]


@pytest.mark.parametrize("kind", KINDS)
def test_page_and_schema_list_what_may_be_wrong_with_a_component(kind):
    """Each kind of fault that is found."""
    assert f" {kind}`" in CHAPTERS["Event"]
    assert f'"{kind}"' in SCHEMA["properties"]["degraded"]["description"]
