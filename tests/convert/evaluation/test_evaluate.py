import json
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from eqedge import EqedgeError
from eqedge.convert.data.picker import open_picker
from eqedge.convert.data.records import held_out
from eqedge.convert.evaluation.cli import evaluate
from eqedge.models.registry import DEFAULT_MODEL, weights_folder

from tests.support.cards import trained_by

pytestmark = pytest.mark.slow  # runs whole commands

MODEL = ("--weights", "leqnet_gru_int8")


def run(*arguments):
    """`eqedge evaluate`, its report and its log."""
    given = [str(argument) for argument in arguments]
    kept = Path(given[given.index("--data") + 1]).parent / "labels"
    result = CliRunner().invoke(evaluate, [*given, "--labels", str(kept)])
    if isinstance(result.exception, EqedgeError):
        raise result.exception
    assert result.exit_code == 0, result.output + repr(result.exception)
    return json.loads(result.stdout), result.stderr


@pytest.fixture(scope="module")
def report(played, tmp_path_factory):
    """Two networks and a run side by side."""
    data, triggers, _ = played
    document = tmp_path_factory.mktemp("report") / "scores.md"
    result, _ = run(
        *MODEL, "--weights", "leqnet_gru_float32", "--triggers", triggers, "--data", data,
        "--all-stations", "--threshold", "0.3", "--threshold", "0.5", "--markdown", document,
    )  # fmt: skip
    return result, document.read_text()


def test_networks_are_scored_side_by_side_on_the_same_windows(report):
    """Each at every threshold given, on as many windows."""
    models = report[0]["models"]
    assert list(models) == ["leqnet_gru_int8", "leqnet_gru_float32"]
    for model in models.values():
        assert {"P 0.3, S 0.3", "P 0.5, S 0.5"} <= set(model["scores"])
        assert set(model["presets"].values()) <= set(model["scores"])
        assert model["scores"]["P 0.3, S 0.3"]["events"] == 12
        assert model["scores"]["P 0.3, S 0.3"]["P"]["pooled"]["f1"] > 0.8
        assert model["sweep"]["threshold"] == sorted(model["sweep"]["threshold"])
        assert model["chosen"]["halves_by"] == "event"


def test_intervals_hold_the_scores(report):
    """Every F1 that has an interval lies in it."""
    scores = report[0]["models"]["leqnet_gru_float32"]["scores"]["P 0.3, S 0.3"]
    for phase in "PS":
        row = scores[phase]["pooled"]
        low, high = row["interval"]["f1"]
        assert low <= row["f1"] <= high


def test_facts_of_the_file_are_used(report):
    """SNR, distance and magnitude stand in the file; each event is in one bin of each."""
    by = report[0]["models"]["leqnet_gru_int8"]["scores"]["P 0.3, S 0.3"]["by"]
    assert set(by) == {"snr_db", "distance_km", "magnitude", "s_minus_p_s"}
    assert all(sum(row["windows"] for row in rows) == 12 for rows in by.values())


def test_the_run_is_scored_beside_them(report):
    """With the same tables, and the events as the run counts them."""
    (one,) = report[0]["runs"].values()
    assert one["models"] == [DEFAULT_MODEL]
    assert one["events"]["labelled"] == 4
    assert one["scores"]["as run"]["live_onset"]["events"] == 4


def test_markdown_has_the_same_figures(report):
    """Every network's F1 stands in the tables, and every table's rows are as wide as its head."""
    result, text = report
    for name, model in result["models"].items():
        f1 = model["scores"]["P 0.3, S 0.3"]["P"]["pooled"]["f1"]
        assert any(name in line and f"{f1:.3f} [" in line for line in text.splitlines())
    widths = [line.count("|") if line.startswith("|") else 0 for line in text.splitlines()]
    inside = [(a, b) for a, b in pairwise(widths) if a and b]
    assert inside and all(a == b for a, b in inside)


@pytest.mark.slow
def test_weights_answer_as_the_tflite_made_of_them(played):
    """Through Keras and through the node's detector the float network says the same."""
    with h5py.File(played[0]) as file:
        samples = [dataset[()] for dataset in list(file["data"].values())[:2]]
    weights = weights_folder() / "leqnet_gru.weights.h5"
    one, other = (open_picker(str(n)).answer(samples) for n in (weights, "leqnet_gru_float32"))
    assert one.shape == (2, 6000, 3)
    assert np.abs(one - other).max() < 0.02


def test_continuous_noise_is_searched_from_end_to_end(played, tmp_path):
    """Two more minutes of it, each pick false; the rate is of all the noise."""
    path = tmp_path / "quiet.hdf5"
    with h5py.File(path, "w") as file:
        file["A/B/C"] = np.random.default_rng(3).normal(size=(12_500, 3)).astype("f4")
        file["A/B/C"].attrs.update(network="XX", station="B", sampling_rate_hz=100.0)
    without, _ = run(*MODEL, "--data", played[0], "--all-stations")
    result, _ = run(*MODEL, "--data", played[0], "--noise", path, "--all-stations")
    windows = [
        one["models"]["leqnet_gru_int8"]["scores"]["P 0.3, S 0.3"]["noise"]["windows"]
        for one in (without, result)
    ]
    assert windows[1] == windows[0] + 2
    assert result["data"]["records"]["quiet"] == {"continuous": 1}


def test_a_stream_stands_in_scores_and_sweep(played, tmp_path):
    """Announcements an hour, and the unconfirmed of each threshold; none are more than all."""
    path = tmp_path / "stream.hdf5"
    with h5py.File(path, "w") as file:
        file["A/B/C"] = np.random.default_rng(3).normal(size=(9_000, 3)).astype("f4")
        file["A/B/C"].attrs.update(network="XX", station="SYN", sampling_rate_hz=100.0)
    arguments = (*MODEL, "--data", played[0], "--stream", path)
    result, _ = run(*arguments, "--all-stations", "--markdown", tmp_path / "scores.md")
    model = result["models"]["leqnet_gru_int8"]
    stream = model["scores"]["P 0.3, S 0.3"]["stream"]
    assert stream["hours"] == pytest.approx(0.006, abs=0.001)
    assert 0 <= stream["unconfirmed_p_per_hour"] <= stream["announced_p_per_hour"]
    assert len(model["sweep"]["unconfirmed_p_per_hour"]) == len(model["sweep"]["threshold"])
    assert "not confirmed 10 s later" in (tmp_path / "scores.md").read_text()


def damage(data, kind):
    """Spoil the first event of a file; returns the message that names it."""
    with h5py.File(data, "a") as file:
        name = next(n for n in file["data"] if n.endswith("_EV"))
        dataset = file["data"][name]
        attributes = dataset.attrs
        if kind == "outside":
            attributes["p_arrival_sample"] = 6001.0
            return "1: label outside the trace"
        if kind == "order":
            attributes["s_arrival_sample"] = attributes["p_arrival_sample"]
            return "1: S not after P"
        if kind == "rate":
            attributes["sampling_rate_hz"] = 10.0
            return "1: 10 Hz cannot be turned into the model's 100 Hz"
        if kind == "nan":
            dataset[5, 2] = np.nan
            return "1: NaN or infinite samples"
        samples, kept = dataset[()], dict(attributes)
        del file["data"][name]
        made = file["data"].create_dataset(
            name, data=samples, compression="gzip", chunks=(6000, 3), fletcher32=True
        )
        made.attrs.update(kept)
        place = made.id.get_chunk_info(0)
    with data.open("r+b") as raw:
        raw.seek(place.byte_offset + place.size // 2)
        raw.write(bytes(64))
    return f"skipped small.hdf5 data/{name}: unreadable ("


@pytest.mark.parametrize("kind", ["outside", "order", "rate", "nan", "chunk"])
def test_what_cannot_be_used_is_left_out_and_reported(data, kind):
    """The other events are scored; the reason is on standard error and in the report."""
    message = damage(data, kind)
    result, log = run(*MODEL, "--data", data, "--all-stations")
    assert message in log
    assert result["models"]["leqnet_gru_int8"]["scores"]["P 0.3, S 0.3"]["events"] == 9
    assert sum(result["data"]["skipped"].values()) == 1


def test_a_csv_selects_what_is_scored(data):
    """One row, one event; the log and the report state it."""
    with h5py.File(data) as file:
        first, *_ = (name for name in file["data"] if name.endswith("_EV"))
        p, s = (file["data"][first].attrs[f"{x}_arrival_sample"] for x in "ps")
    data.with_suffix(".csv").write_text(
        "trace_name,trace_category,p_arrival_sample,s_arrival_sample\n"
        f"{first},earthquake_local,{p},{s}\n"
    )
    result, log = run(*MODEL, "--data", data, "--all-stations")
    assert "small.csv selects 1 of 6 traces" in log
    assert "small.csv selects 1 of 6 traces" in result["data"]["remarks"][0]
    assert result["models"]["leqnet_gru_int8"]["scores"]["P 0.3, S 0.3"]["events"] == 3


@pytest.mark.parametrize("content", [b"", b"no HDF5"])
def test_a_file_that_is_no_hdf5_is_one_line(tmp_path, content):
    """Networks and runs alike."""
    data, triggers = tmp_path / "empty.hdf5", tmp_path / "run.jsonl"
    data.write_bytes(content)
    triggers.write_text("")
    for arguments in (MODEL, ("--triggers", triggers)):
        with pytest.raises(EqedgeError, match=r"empty\.hdf5") as caught:
            run(*arguments, "--data", data)
        assert caught.value.exit_code == 2


def test_a_run_without_triggers_missed_everything(played, tmp_path):
    """An empty file is a run that found nothing, and that is logged."""
    triggers = tmp_path / "none.jsonl"
    triggers.write_text("")
    result, log = run("--triggers", triggers, "--data", played[0])
    assert "none.jsonl: no triggers at all" in log
    assert result["runs"]["none.jsonl"]["events"]["missed"] == 4
    assert result["runs"]["none.jsonl"]["scores"]["as run"]["live_onset"]["median_s"] is None


def test_stations_that_training_may_have_seen_are_not_scored_unasked(played):
    """The sample's station is on the training side of the split."""
    assert not held_out("SYN.XX")
    with pytest.raises(EqedgeError, match="none is held out; give --all-stations"):
        run(*MODEL, "--data", played[0])


def test_events_held_out_are_scored(data, tmp_path):
    """Of a network split by event those records alone that it never saw, of one station."""
    mine = ("--weights", trained_by(tmp_path / "mine", "event"))
    sides = [
        next(f"e{k}" for k in range(99) if held_out(f"e{k}", "event") is s) for s in (True, False)
    ]
    with pytest.raises(EqedgeError, match="no earthquake of the data has a source_id"):
        run(*mine, "--data", data, "--split", "event")
    with h5py.File(data, "a") as file:
        for number, name in enumerate(n for n in file["data"] if n.endswith("_EV")):
            file["data"][name].attrs["source_id"] = sides[number % 2]
    for more in ((), ("--split", "event")):
        result, log = run(*mine, "--data", data, *more)
        assert result["data"]["records"] == {"small": {"event": 2}}
        assert result["data"]["stations"] == "events held out"
        assert result["models"]["mine"]["training"]["held_out_by"] == ["event"]
        assert "nothing is known" not in log
    with pytest.raises(EqedgeError, match=r"mine\.training\.json states .*--split event, so"):
        run(*mine, "--data", data, "--split", "station")


def test_a_limit_is_stated(played):
    """On standard error and in the report; progress is shown."""
    result, log = run(*MODEL, "--data", played[0], "--all-stations", "--limit", "3", "--seed", "4")
    assert result["data"]["limit"] == {"records": 3, "of": 6, "seed": 4}
    assert sum(result["data"]["records"]["small"].values()) == 3
    assert "scoring 3 of 6 records, drawn by seed 4" in log and "scoring: done" in log


def test_detection_is_scored_by_the_window(report):
    """Each window of an event is found or missed, those of noise can be false, and an hour of it.

    There is no row of unlabelled earthquakes without a teacher that could find them.
    """
    for model in report[0]["models"].values():
        scores = model["scores"]["P 0.3, S 0.3"]
        row = scores["detection"]["pooled"]
        assert row["found"] + row["missed"] == 12 and row["recall"] > 0.8
        assert scores["detection"]["threshold"] == 0.5
        assert row["false"] <= scores["noise"]["windows"]
        assert scores["noise"]["false_detections_per_hour"] >= 0
        assert len(model["sweep"]["detection"]["pooled"]["f1"]) == len(model["sweep"]["threshold"])
        assert "unlabelled_set_aside" not in scores["P"]
    (one,) = report[0]["runs"].values()
    events = one["events"]
    assert events["recall"] == events["found"] / 4
    assert events["precision"] == round(
        events["found"] / max(1, events["found"] + events["false"]), 4
    )
    assert "| detection |" in report[1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.h5", "no such file; name weights"),
        ("there.txt", "expected .tflite, .h5 or .keras"),
    ],
)
def test_a_network_that_is_none_is_named(played, tmp_path, name, message):
    """With what can be given instead."""
    path = tmp_path / name
    if name == "there.txt":
        path.write_text("x")
    with pytest.raises(EqedgeError, match=message):
        run("--weights", path, "--data", played[0])


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--triggers", "TRIGGERS", "--data", "DATA"),
        ("--weights", "x", "--threshold", "0"),
        ("--weights", "x", "--threshold", "nan"),
    ],
)
def test_options_that_do_not_go_together(played, arguments):
    """Nothing to score, a run of two files, a threshold that picks everything: usage, exit 2."""
    data, triggers, _ = played
    given = [{"TRIGGERS": str(triggers), "DATA": str(data)}.get(a, a) for a in arguments]
    result = CliRunner().invoke(evaluate, [*given, "--data", str(data)])
    assert result.exit_code == 2 and "Usage" in result.output


def test_a_document_that_cannot_be_written_is_named(played, tmp_path):
    """One line with the file's name."""
    with pytest.raises(EqedgeError, match=r"no/such/scores\.md: cannot be written"):
        run("--triggers", played[1], "--data", played[0], "--markdown", "no/such/scores.md")
