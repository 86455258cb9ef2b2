"""`eqedge bench`."""

import json

import pytest
from eqedge.edge.operation.bench import measure


def test_a_report_adds_up(model):
    """Shares sum to one, rivals are named, and it is plain JSON."""
    report = measure(model, [model], repeats=5)
    assert sum(cost.share for cost in report.stages) == pytest.approx(1)
    assert sum(cost.median_ms for cost in report.stages) == pytest.approx(report.hop_ms)
    assert report.real_time_factor == pytest.approx(1000 / report.hop_ms)
    assert report.other_models[model.name] > 0
    assert json.loads(json.dumps(report.to_json()))["model"] == model.name
    assert "times real time" in "\n".join(report.lines())
