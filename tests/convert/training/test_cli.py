"""What `eqedge train` says of data and options before it learns anything, and of a run unscored."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from eqedge.convert.data.files import DataFiles, index_files
from eqedge.convert.data.records import DataError, held_out
from eqedge.convert.training.card import TrainingRun, write_weights
from eqedge.convert.training.cli import train
from eqedge.convert.training.options import AugmentOptions, LabelOptions, SceneOptions, changed

HELD, TRAINED = (
    next(f"S{k:03d}" for k in range(999) if held_out(f"S{k:03d}.XX") is side)
    for side in (True, False)
)


def all_of_one(path, station, **attributes):
    """Give all records of a file one station, and further attributes."""
    with h5py.File(path, "a") as file:
        for number, dataset in enumerate(file["data"].values()):
            dataset.attrs["receiver_code"] = station
            dataset.attrs.update({k: value(number) for k, value in attributes.items()})
    return path


def call(data, output, *more):
    """`eqedge train` of a step in one process unless more says otherwise."""
    given = ["--data", data, "--output", output, "--steps", "1", "--batch", "1", "--workers", "0"]
    return CliRunner().invoke(train, [str(part) for part in (*given, *more)])


@pytest.mark.slow
@pytest.mark.parametrize(("ids", "remedy"), [(False, "stations$"), (True, "or give --split event")])
def test_data_that_are_all_held_out_are_refused(stead_file, tmp_path, ids, remedy):
    """Before any process is begun: the stations, and how else the file could be split."""
    attributes = {"source_id": lambda number: f"event {number}"} if ids else {}
    data = all_of_one(stead_file, HELD, **attributes)
    result = call(data, tmp_path / "out", "--workers", "1")
    assert isinstance(result.exception, DataError) and result.exception.exit_code == 2
    with pytest.raises(DataError, match=remedy) as caught:
        raise result.exception
    assert f"all 6 earthquakes are of stations that are held out of training ({HELD}.XX)" in str(
        caught.value
    )


@pytest.mark.slow
def test_continuous_records_without_a_teacher_are_reported(stead_file, tmp_path):
    """They are left out of what the run says it trains on, not silently of the training."""
    data = all_of_one(stead_file, HELD)
    continuous = tmp_path / "long.hdf5"
    with h5py.File(continuous, "w") as file:
        for name in ("a", "b"):
            file[name] = np.random.default_rng(0).normal(size=(7000, 3))
            file[name].attrs.update(network="XX", station=TRAINED)
    result = call(data, tmp_path / "out", "--continuous", continuous)
    assert "skipped 2: continuous and labelled by no teacher (--teacher)\n" in result.stderr
    assert "0 records to train on, 9 held out" in result.stderr
    assert isinstance(result.exception, DataError)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--seed", "-1", "0<=x<=4294967295"),
        ("--learning-rate", "-1", "x>0"),
        ("--learning-rate", "nan", "nan is not a finite number"),
        ("--minutes", "inf", "inf is not a finite number"),
        ("--augment", "add_event_r=1.5", "add_event_r '1.5'; use 0 to 1"),
        ("--augment", "clip_r=nan", "clip_r 'nan'; use 0 to 1"),
        ("--augment", "sparkle_r=1", "is not NAME=VALUE of shift_event_r, late_p_r, add_event_r"),
        ("--augment", "rotate_r", "is not NAME=VALUE of"),
        ("--label", "label_type=box", "use gaussian or triangle"),
        ("--scene", "event_share=-0.1", "event_share '-0.1'; use 0 to 1"),
        ("--scene", "noise_share=0.5", "synthetic_event_share is 1.18; use 1 or less"),
        ("--scene", "moon_share=0.5", "is not NAME=VALUE of event_share, continuous_share"),
        ("--patience", "0", "x>=1"),
        ("--epochs", "0", "x>=1"),
        ("--label", "p_width_samples=0", "p_width_samples '0'; use 1 to 200"),
    ],
)
def test_values_out_of_range_are_one_line(stead_file, tmp_path, option, value, message):
    """Before anything is read: the option, its value and what it may be; exit 2."""
    result = call(stead_file, tmp_path / "out", option, value)
    assert result.exit_code == 2 and f"Invalid value for '{option}'" in result.stderr
    assert message in " ".join(result.stderr.split()) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [AugmentOptions(), LabelOptions()])
def test_every_option_can_be_given_by_its_name(options):
    """Each field alone is changed by its text; the last of equals counts; help names them all."""
    for field in fields(options):
        value = {"label_type": "triangle"}.get(field.name, 1.0)
        made = changed(options, [f"{field.name}=1" if value == 1 else f"{field.name}={value}"])
        assert made == replace(options, **{field.name: value})
    text = " ".join(CliRunner().invoke(train, ["--help"]).stdout.split())
    assert all(f"{f.name} ({getattr(options, f.name)})" in text for f in fields(options))


def test_every_share_of_the_scenes_can_be_given():
    """Each alone, by its name; the help names them and their values."""
    for field in fields(SceneOptions()):
        assert changed(SceneOptions(), [f"{field.name}=0"]) == replace(
            SceneOptions(), **{field.name: 0.0}
        )
    text = " ".join(CliRunner().invoke(train, ["--help"]).stdout.split())
    shares = fields(SceneOptions())
    assert all(f"{f.name} ({getattr(SceneOptions(), f.name)})" in text for f in shares)


@pytest.mark.slow
def test_epochs_and_validations(stead_file, tmp_path):
    """Two epochs are two validations of each head; the card has the lowest, and the scenes.

    An epoch has as many windows as there are records of a minute to train on.
    """
    output = tmp_path / "out"
    given = ["--data", stead_file, "--output", output, "--epochs", "2", "--batch", "3"]
    more = ["--workers", "0", "--scene", "synthetic_event_share=0.1"]
    result = CliRunner().invoke(train, [str(part) for part in (*given, *more)])
    assert result.exit_code == 0, result.output + repr(result.exception)
    index = index_files(DataFiles((stead_file,), label_folder=tmp_path))
    steps = 2 * -(-len(index.training()) // 3)
    assert f"2 epochs are {steps} steps" in result.stderr
    notes = [json.loads(line) for line in (output / "history.jsonl").read_text().splitlines()]
    found = {note["steps"]: note["validation"] for note in notes if "validation" in note}
    assert list(found) == [steps // 2, steps]
    for losses in found.values():
        heads = 0.15 * losses["detection"] + losses["P"] + losses["S"]
        assert losses["loss"] == pytest.approx(heads, abs=1e-5)
    card = json.loads((output / "leqnet_gru.training.json").read_text())
    lowest = min(found, key=lambda step: found[step]["loss"])
    assert card["validation"] == {"loss": found[lowest]["loss"], "steps": lowest}
    assert card["settings"]["mixture"]["synthetic_event_share"] == 0.1
    assert f"weights of step {lowest}" in result.stderr


@pytest.mark.slow
def test_patience_needs_held_out_earthquakes(stead_file, tmp_path):
    """Without them there is no validation loss: refused before anything is learned."""
    result = call(all_of_one(stead_file, TRAINED), tmp_path / "out", "--patience", "3")
    assert isinstance(result.exception, DataError)
    assert "--patience: no earthquake is held out" in str(result.exception)


@pytest.mark.slow
def test_a_run_without_held_out_earthquakes_has_no_scores(stead_file, tmp_path):
    """It says so, and neither card nor history shows figures of nothing."""
    output = tmp_path / "out"
    changes = ("--augment", "add_event_r=0", "--augment", "add_event_r=0.3")
    shapes = ("--label", "label_type=triangle", "--label", "p_width_samples=20")
    result = call(all_of_one(stead_file, TRAINED), output, *changes, *shapes)
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert "no earthquake is held out, so there will be no scores" in result.stderr
    card = json.loads((output / "leqnet_gru.training.json").read_text())
    assert card["scores_on_held_out_stations"] is None
    assert card["split"]["held_out_stations"] == []
    mixture = card["settings"]["mixture"]
    assert mixture["augment"] == asdict(AugmentOptions(add_event_r=0.3))
    assert mixture["labels"] == asdict(LabelOptions(label_type="triangle", p_width_samples=20))
    assert "score" not in (output / "history.jsonl").read_text()


def test_a_card_tells_of_events_held_out(stead_file, tmp_path):
    """With --split event the records of one station are on both sides, and the card says how."""
    names = [f"e{k}" for k in range(99)]
    wanted = [next(e for e in names if held_out(e, "event") is side) for side in (True, False)]
    all_of_one(stead_file, TRAINED, source_id=lambda number: wanted[number % 2])
    index = index_files(DataFiles((stead_file,), label_folder=tmp_path, split="event"))
    weights = tmp_path / "x.weights.h5"
    write_weights(
        weights,
        Path.touch,
        index,
        TrainingRun("LEQNet-GRU", (), 0, 1, 1.0, {}, (), 3, {}, None),
    )
    card = json.loads((tmp_path / "x.training.json").read_text())
    assert card["split"]["by"] == "event" and "'event:' + source_id" in card["split"]["rule"]
    assert card["split"]["held_out_events"] == 1 and "held_out_stations" not in card["split"]
    assert card["scores_on_held_out_events"] == {}
    sides = {row["side"] for row in card["data"] if row["kind"] == "event"}
    assert sides == {"held out", "trained on"}
    assert {row["side"] for row in card["data"] if row["kind"] == "noise"} == {"trained on"}
