"""`eqedge bench`."""

import json

import pytest
from click.testing import CliRunner
from eqedge.edge.tools import bench_node
from eqedge.edge.tools.bench import measure
from eqedge.edge.tools.bench_cli import bench
from eqedge.edge.tools.bench_node import BenchError, measure_node, replay


def test_a_report_adds_up(model):
    """Shares sum to one, other models are named, and it is plain JSON."""
    report = measure(model, [model], repeats=5)
    assert sum(cost.share for cost in report.stages) == pytest.approx(1)
    assert sum(cost.median_ms for cost in report.stages) == pytest.approx(report.hop_ms)
    assert report.real_time_factor == pytest.approx(1000 / report.hop_ms)
    assert report.other_models[model.name] > 0
    assert json.loads(json.dumps(report.to_json()))["model"] == model.name
    assert "times real time" in "\n".join(report.lines())


@pytest.mark.slow
def test_a_node_is_measured_from_outside(model):
    """Within a minute and a half of data it is ready, scores, uses CPU time, and stays small."""
    cost = measure_node(model.name, 0.5, minutes=0.5)
    assert cost.hop_seconds == 0.5 and cost.data_seconds >= 30
    assert cost.ready_seconds > 0 and cost.first_window_ms > 0 and cost.cpu_percent > 0
    assert 20 < cost.rss_start_mb <= cost.rss_end_mb + 1 < 95


def test_a_node_that_ends_is_an_error(tmp_path):
    """The error has the last line of its log."""
    with pytest.raises(BenchError, match="the node ended: eqedge: model nothing: No such file"):
        measure_node("nothing", 1.0, minutes=1)


def test_a_replay_is_measured(model, monkeypatch):
    """Windows come a hop of a second apart; wall time is no less than CPU time on one thread."""
    monkeypatch.setattr(bench_node, "REPLAYED_TRACES", 3)
    cost = replay(model)
    assert cost.data_seconds > 3 * 60
    assert cost.windows_per_second < cost.times_real_time < 1.1 * cost.times_cpu_time


@pytest.mark.parametrize("minutes", ["nan", "-1", "inf"])
def test_a_length_that_cannot_be_measured_is_rejected(minutes):
    """Before anything is measured, with the range."""
    result = CliRunner().invoke(bench, ["--minutes", minutes])
    assert result.exit_code == 2 and "use 0 to 10000" in result.output
