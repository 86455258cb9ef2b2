"""Real inputs of every figure: the demo sample, triggers on it, scores, a training's history."""

import json

import pytest
from eqedge.convert.data.files import DataFiles
from eqedge.convert.evaluation.evaluate import EvaluationRequest, evaluate
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.edge.replay.stead import SteadFile


@pytest.fixture(scope="session")
def triggers(tmp_path_factory):
    """Triggers on the demo: each event's P 0.1 s late and its S missed, the first 2 s late."""
    path = tmp_path_factory.mktemp("triggers") / "run.jsonl"
    lines = []
    with SteadFile(DEMO_FILE) as file:
        events = [t for t in map(file.read, file.names) if t.p_arrival_sample is not None]
    for number, trace in enumerate(events):
        sample = round(trace.p_arrival_sample) + (10 if number else 200)
        place = {"trace_name": trace.name, "sample": sample}
        pick = {"phase": "P", "time_ns": 0, "sim": place}
        message = {"event_id": trace.name, "picks": [pick], "latency_ms": {"data": 900.0}}
        lines.append(json.dumps(message))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def scores(tmp_path_factory, triggers):
    """What `eqedge evaluate` says of the demo: two networks and a run."""
    path = tmp_path_factory.mktemp("scores") / "scores.json"
    report = evaluate(
        EvaluationRequest(
            DataFiles((DEMO_FILE,), label_folder=path.parent / "labels"),
            ("leqnet_gru_int8", "leqnet_gru_float32"),
            (triggers,),
            thresholds=(0.3, 0.5),
            all_stations=True,
        )
    )
    path.write_text(json.dumps(report))
    return path


@pytest.fixture
def training(tmp_path):
    """A training's folder with three notes."""
    folder = tmp_path / "run"
    folder.mkdir()
    notes = []
    for k in range(3):
        rows = {"found": 5, "f1": 0.5 + 0.1 * k}
        phase = {"pooled": rows, "manually_picked": rows}
        score = {
            "P": phase,
            "S": phase,
            "noise": {"false_p_per_hour": 9.0 - k, "false_s_per_hour": 5.0},
            "announced_by_s": {"0.5": 0.4, "1": 0.6 + 0.1 * k, "3": 0.8},
        }
        notes.append({"steps": 1000 * (k + 1), "score": score})
    (folder / "history.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    return folder
