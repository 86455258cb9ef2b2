"""Valid and invalid specs of a card."""

import json
import math
from dataclasses import asdict

import pytest
from eqedge.models.spec import HEADS, ModelSpec, SpecError, Thresholds

SPEC = ModelSpec("some", "leqnet-gru")


def test_a_card_comes_back_as_it_went():
    """Through JSON nothing changes."""
    assert ModelSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("sampling_rate_hz", value) for value in (0, -100.0, math.nan, math.inf, "100", True)),
        *(("window_samples", value) for value in (0, -1, "6000", 6000.0)),
        *(("component_order", value) for value in (5, "ABC", "EEN", "EN", "")),
        ("thresholds", {}),
        ("thresholds", 3),
        ("preparation", {"filter": None, "norm": "foo"}),
        ("preparation", {"filter": {"low": 9}}),
    ],
)
def test_a_damaged_card_is_named(name, value):
    """A field of another kind or out of range is one line, not a crash later on."""
    with pytest.raises(SpecError):
        ModelSpec.from_json(SPEC.to_json() | {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("P_threshold", value) for value in (0.0, 5, -0.1, math.nan, "0.3", None)),
        *(("detection_threshold", value) for value in (1.5, math.inf)),
        *(("min_duration_seconds", value) for value in (-1.0, math.nan)),
        *(("confirm_seconds", value) for value in (-1.0, math.inf)),
        *(("confirm_windows", value) for value in (0, 1.5, "2")),
    ],
)
def test_a_damaged_preset_is_named_by_its_field(name, value):
    """The line names the field."""
    plain = SPEC.to_json()
    plain["thresholds"] = {"default": asdict(Thresholds()) | {name: value}}
    with pytest.raises(SpecError, match=name):
        ModelSpec.from_json(plain)


def test_thresholds_by_head_are_in_the_order_of_the_outputs():
    """Each head has its own threshold, not another's."""
    limits = Thresholds(detection_threshold=0.1, P_threshold=0.2, S_threshold=0.3).by_head
    assert tuple(limits) == HEADS
    assert list(limits.values()) == [0.1, 0.2, 0.3]
