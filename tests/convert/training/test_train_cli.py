"""What `eqedge train` says of data and options before it learns anything, and of a run unscored."""

import json

import h5py
import pytest
from click.testing import CliRunner
from eqedge.convert.train_cli import train
from eqedge.convert.training.card import Run, write_card
from eqedge.convert.training.dataset import DataFiles, index_files
from eqedge.convert.training.records import DataError, held_out

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
    return CliRunner().invoke(train, [str(word) for word in (*given, *more)])


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


def test_a_run_without_held_out_earthquakes_has_no_scores(stead_file, tmp_path):
    """It says so, and neither card nor history shows figures of nothing."""
    output = tmp_path / "out"
    result = call(all_of_one(stead_file, TRAINED), output)
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert "no earthquake is held out, so there will be no scores" in result.stderr
    card = json.loads((output / "leqnet_gru.training.json").read_text())
    assert card["scores_on_held_out_stations"] is None
    assert card["split"]["held_out_stations"] == []
    assert "score" not in (output / "history.jsonl").read_text()


def test_a_card_tells_of_events_held_out(stead_file, tmp_path):
    """With --split event the records of one station are on both sides, and the card says how."""
    names = [f"e{k}" for k in range(99)]
    wanted = [next(e for e in names if held_out(e, "event") is side) for side in (True, False)]
    all_of_one(stead_file, TRAINED, source_id=lambda number: wanted[number % 2])
    index = index_files(DataFiles((stead_file,), label_folder=tmp_path, split="event"))
    weights = tmp_path / "x.weights.h5"
    weights.touch()
    write_card(
        tmp_path / "x.json", weights, index, Run("LEQNet-GRU", (), 0, 1, 1.0, {}, (), 3, {}, None)
    )
    card = json.loads((tmp_path / "x.json").read_text())
    assert card["split"]["by"] == "event" and "'event:' + source_id" in card["split"]["rule"]
    assert card["split"]["held_out_events"] == 1 and "held_out_stations" not in card["split"]
    assert card["scores_on_held_out_events"] == {}
    sides = {row["side"] for row in card["data"] if row["kind"] == "event"}
    assert sides == {"held out", "trained on"}
    assert {row["side"] for row in card["data"] if row["kind"] == "noise"} == {"trained on"}
