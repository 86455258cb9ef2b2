"""`event.schema.json` only grows: from one release to the next nobody's reader breaks.

Two promises. A line that was valid stays valid, so no field becomes required. And what a
reader relies on stays: each field, its type and limits, and which of them are always there; so none
of these changes either. What is left is to add a field that may be absent, where the released
schema allows others. Descriptions may change. `tests/vectors/event.schema.json` was released.
"""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from tests.support.golden import GOLDEN, read_lines

TESTS = Path(__file__).resolve().parents[1]
RELEASED = json.loads((TESTS / "vectors" / "event.schema.json").read_text())
CURRENT = json.loads((TESTS.parent / "edge" / "event.schema.json").read_text())
ABOUT = {"description", "title", "$defs"}


def resolved(schema, root):
    """Return a schema with what it refers to in its place."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return {**root["$defs"][name], **schema} if name else schema


def breaks(old, new, old_root, new_root, where="message"):
    """Yield what a new schema has changed that it must not, a line for each."""
    old, new = (
        {**root["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
        if "$ref" in schema
        else schema
        for schema, root in ((old, old_root), (new, new_root))
    )
    own = ("properties", "items", "required", "$ref", *ABOUT)
    for key in sorted((old.keys() | new.keys()).difference(own)):
        if old.get(key) != new.get(key):
            yield f"{where}: {key} was {old.get(key)}, is {new.get(key)}"
    if set(old.get("required", [])) != set(new.get("required", [])):
        apart = set(old.get("required", [])) ^ set(new.get("required", []))
        yield f"{where}: required has changed by {sorted(apart)}"
    fields, new_fields = old.get("properties", {}), new.get("properties", {})
    for name in sorted(fields.keys() - new_fields.keys()):
        yield f"{where}: {name} is gone"
    if old.get("additionalProperties") is False and new_fields.keys() - fields.keys():
        yield f"{where}: {sorted(new_fields.keys() - fields.keys())} added, which was excluded"
    for name in sorted(fields.keys() & new_fields.keys()):
        yield from breaks(fields[name], new_fields[name], old_root, new_root, f"{where}.{name}")
    if "items" in old or "items" in new:
        items = (old.get("items", {}), new.get("items", {}))
        yield from breaks(*items, old_root, new_root, f"{where}[]")


def test_the_schema_only_grows():
    """Since the release that `tests/vectors/event.schema.json` is of."""
    jsonschema.Draft202012Validator.check_schema(CURRENT)
    assert list(breaks(RELEASED, CURRENT, RELEASED, CURRENT)) == []


@pytest.mark.parametrize("schema", [RELEASED, CURRENT], ids=["released", "current"])
def test_the_demo_is_valid_under_both(schema):
    """What a node writes today can be read by the reader of then, and what it wrote then today."""
    messages = read_lines(GOLDEN)
    for message in messages:
        jsonschema.Draft202012Validator(schema).validate(message)
    assert {message["type"] for message in messages} == {"new", "update", "end"}


def field(schema, *names):
    """Return the schema of a field."""
    for name in names:
        schema = schema["items"] if name == "[]" else schema["properties"][name]
    return schema


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s["properties"].pop("degraded"), "message: degraded is gone"),
        (lambda s: field(s, "picks", "[]")["properties"].pop("sample"), "picks[]: sample is gone"),
        (lambda s: s["required"].remove("clock"), "message: required has changed by ['clock']"),
        (lambda s: s["required"].append("redated_s"), "required has changed by ['redated_s']"),
        (lambda s: field(s, "sequence").update(type="number"), "sequence: type was integer"),
        (lambda s: field(s, "degraded").update(type="string"), "degraded: type was ['string'"),
        (lambda s: field(s, "type")["enum"].append("split"), "message.type: enum was"),
        (lambda s: field(s, "picks").update(maxItems=9), "message.picks: maxItems was 2"),
        (lambda s: s["$defs"]["probability"].update(maximum=100), "peak_value: maximum was 1"),
        (lambda s: s.update(additionalProperties=False), "message: additionalProperties was True"),
        (lambda s: field(s, "picks", "[]", "sim")["properties"].update(x={}), "which was excluded"),
    ],
)
def test_a_change_that_breaks_a_reader_is_named(change, text):
    """A field that vanishes, one more that is required, another type, an event of a new kind."""
    changed = copy.deepcopy(RELEASED)
    change(changed)
    found = list(breaks(RELEASED, changed, RELEASED, changed))
    assert found and any(text in line for line in found), found


def test_a_new_field_that_may_be_absent_breaks_nothing():
    """Also within a pick; nor does another description."""
    changed = copy.deepcopy(RELEASED)
    changed["properties"]["magnitude"] = {"type": "number"}
    field(changed, "picks", "[]")["properties"]["polarity"] = {"enum": ["up", "down"]}
    field(changed, "degraded")["description"] = "Other text."
    assert list(breaks(RELEASED, changed, RELEASED, changed)) == []
