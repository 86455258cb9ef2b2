import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from eqedge.convert.data.records import held_out
from eqedge.convert.graph.networks import Variant, build_network
from eqedge.convert.graph.stored import WeightsError
from eqedge.convert.graph.weights import load_network
from eqedge.convert.training import loop
from eqedge.convert.training.cli import train
from eqedge.convert.training.folder import TrainingFolderError
from eqedge.convert.training.loop import (
    CheckpointError,
    DivergedError,
    LoopSettings,
    learning_rate,
)
from eqedge.convert.training.student import Student
from eqedge.models.registry import weights_folder

from .steps import BROKEN_AT, IDENTITY, SETTINGS, STEPS, stream


@pytest.fixture(scope="module")
def resumed(whole, tmp_path_factory):
    """The broken-off run taken up by a new student to its end, and its folder."""
    folder = tmp_path_factory.mktemp("resumed")
    student = Student(SETTINGS, seed=77)
    loop.resume(whole.broken, student, IDENTITY)
    assert student.steps == BROKEN_AT
    settings = LoopSettings(steps=STEPS, checkpoint_seconds=3600)
    assert loop.train(student, 4e-3, stream, settings, folder, IDENTITY)
    return student, folder


def test_a_run_notes_its_loss(resumed):
    """The mean over the steps since the line before, the last one's rate, and the speed."""
    _, folder = resumed
    (line,) = map(json.loads, (folder / "history.jsonl").read_text().splitlines())
    assert line["steps"] == STEPS
    assert 0.01 < line["loss"] < 1.0
    last = learning_rate(4e-3, (STEPS - 1) / STEPS)
    assert line["learning_rate"] == pytest.approx(last, rel=0.01)
    assert line["windows_per_s"] > 0


def test_a_loss_that_is_no_number_ends_the_run(resumed):
    """One line with the remedy; the checkpoint stays that of before."""
    student, folder = resumed
    before = (folder / "checkpoint.npz").read_bytes()
    windows, targets = next(stream(0))
    settings = LoopSettings(steps=STEPS + 1, checkpoint_seconds=0)
    batches = iter([(windows * np.nan, targets)])
    with pytest.raises(DivergedError, match=r"step 21 is nan; lower --learning-rate"):
        loop.train(student, 4e-3, lambda first: batches, settings, folder, IDENTITY)
    assert (folder / "checkpoint.npz").read_bytes() == before


def test_training_changes_weights_and_average_lags(whole):
    """Twenty steps move the network; the average moves less."""
    start, student = whole.start, whole.student
    moved = sum(
        np.abs(a - b).sum() for a, b in zip(start, student.network.get_weights(), strict=True)
    )
    averaged = sum(np.abs(a - b).sum() for a, b in zip(start, student.average, strict=True))
    assert moved > 0
    assert 0 < averaged < moved


def test_random_start_depends_on_the_seed_alone(whole):
    """Initialisation is random, and the same for the same seed."""
    start = whole.start
    same, other = Student(SETTINGS, seed=1), Student(SETTINGS, seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(start, same.network.get_weights(), strict=True))
    assert not all(
        np.array_equal(a, b) for a, b in zip(start, other.network.get_weights(), strict=True)
    )


def test_saved_weights_are_the_average_in_the_plain_network(whole, tmp_path):
    """The shipped file loads into LEQNet-GRU of 38,720 parameters and nothing else."""
    network = whole.student.averaged()
    path = tmp_path / "x.weights.h5"
    network.save_weights(path)
    fresh = Student(SETTINGS, seed=5)
    fresh.start_from(load_network(path).network)
    assert fresh.network.count_params() == 38_720
    assert all(
        np.array_equal(a, b)
        for a, b in zip(whole.student.average, fresh.network.get_weights(), strict=True)
    )


def test_checkpoint_of_another_run_is_refused(whole):
    """Going on with other settings names the setting and both values."""
    with pytest.raises(CheckpointError, match="seed 1, now 2"):
        loop.resume(whole.folder, whole.student, {"seed": 2})


def test_damaged_checkpoint_is_one_clear_line(tmp_path, whole):
    """A truncated checkpoint is named, and so is one that is absent."""
    content = (whole.folder / "checkpoint.npz").read_bytes()
    (tmp_path / "checkpoint.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        loop.resume(tmp_path, whole.student, IDENTITY)
    with pytest.raises(CheckpointError, match="--resume"):
        loop.resume(tmp_path / "none", whole.student, IDENTITY)


def test_schedule_rises_and_falls():
    """Warm-up to the peak, then down to a hundredth."""
    rates = [learning_rate(1.0, k / 100) for k in range(101)]
    assert max(rates) == pytest.approx(1.0)
    assert rates[0] < 0.05 and rates[-1] == pytest.approx(0.01)


def arguments(data, output, *more):
    """Command line of a small training in one process."""
    return ["--data", str(data), "--output", str(output), "--batch", "2", "--workers", "0", *more]


def test_command_wants_a_length(stead_file, tmp_path):
    """None or two of the three is a usage error, so is a deterministic clock."""
    for more in (
        [],
        ["--steps", "1", "--minutes", "1"],
        ["--epochs", "1", "--minutes", "1"],
        ["--minutes", "1", "--deterministic"],
    ):
        result = CliRunner().invoke(train, arguments(stead_file, tmp_path, *more))
        assert result.exit_code == 2 and "--minutes" in result.output


def test_output_that_cannot_be_written_is_named(stead_file, tmp_path):
    """An output below a file is refused before anything is read."""
    result = CliRunner().invoke(train, arguments(stead_file, stead_file / "x", "--steps", "1"))
    assert isinstance(result.exception, TrainingFolderError)


def test_a_training_is_not_lost_to_a_second_one(stead_file, whole, tmp_path):
    """Without --resume a folder with a checkpoint is refused, and nothing in it is touched."""
    output = tmp_path / "out"
    output.mkdir()
    shutil.copy(whole.folder / "checkpoint.npz", output)
    (output / "history.jsonl").write_text('{"steps": 20, "loss": 0.1}\n')
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    result = CliRunner().invoke(train, arguments(stead_file, output, "--steps", "1"))
    assert isinstance(result.exception, TrainingFolderError) and result.exception.exit_code == 2
    assert "give --resume to go on with it, or another --output" in str(result.exception)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


@pytest.mark.parametrize("option", ["--initial", "--hard-negatives"])
@pytest.mark.parametrize(
    ("weights", "arch", "message"),
    [
        ("text.weights.h5", "leqnet-gru", "not readable as"),
        ("own.weights.h5", "leqnet", "this file holds LEQNet-GRU; use --arch leqnet-gru"),
        ("shallow.keras", "leqnet-gru", "cnn_blocks=3, lstm_blocks=2; eqedge train builds cnn_bl"),
    ],
)
def test_weights_to_begin_with_are_of_the_network(
    stead_file, tmp_path, option, weights, arch, message
):
    """Damaged weights, those of another network or depth: one line that names the file."""
    path = tmp_path / weights
    if weights.startswith("text"):
        path.write_text("no weights")
    elif weights.startswith("own"):
        shutil.copy(weights_folder() / "leqnet_gru.weights.h5", path)
    else:
        build_network("leqnet-gru", Variant(cnn_blocks=3)).save(path)
    more = ("--steps", "1", "--arch", arch, option, str(path))
    result = CliRunner().invoke(train, arguments(stead_file, tmp_path / "out", *more))
    assert isinstance(result.exception, WeightsError) and result.exception.exit_code == 2
    assert message in str(result.exception) and weights in str(result.exception)
    assert not (tmp_path / "out" / "labels").exists()


@pytest.mark.timeout(3600)
def test_interrupted_command_goes_on_to_weights_and_card(stead_file, tmp_path):
    """SIGINT: 1. a checkpoint is written, 2. exit 0; --resume: 3. on from there, 4. to a card.

    Whatever the run says on the way is its own, and none of TensorFlow's.
    """
    with h5py.File(stead_file, "a") as file:
        next(iter(file["data"].values())).attrs["p_arrival_sample"] = 9000.0
        held = next(name for name in file["data"] if held_out(f"{name[:3]}.XX"))
        file["data"][held][...] = np.nan
    output, teacher = tmp_path / "out", weights_folder() / "leqnet_gru_int8.tflite"
    command = [
        sys.executable,
        "-c",
        "from eqedge.convert.training.cli import train; train()",
        *arguments(stead_file, output, "--deterministic", "--teacher", str(teacher), "--steps"),
    ]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    plain["CUDA_VISIBLE_DEVICES"] = "-1"
    plain["KERAS_BACKEND"] = "torch"  # of another program; ours computes with TensorFlow
    process = subprocess.Popen([*command, "100000"], stderr=subprocess.PIPE, text=True, env=plain)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("step "):
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=600)
    assert process.returncode == 0
    noise = re.compile(r"[IWEF]\d{4} \d\d:|WARNING|INFO|.*rebuild TensorFlow")
    assert [line for line in [*lines, *rest.splitlines()] if noise.match(line)] == []
    assert "skipped 1: label outside the trace\n" in lines
    assert f"skipped small.hdf5 data/{held}: NaN or infinite samples\n" in lines
    with np.load(output / "checkpoint.npz") as checkpoint:
        reached = int(checkpoint["steps"])
    assert reached >= 1

    notes = [json.loads(line) for line in (output / "history.jsonl").read_text().splitlines()]
    assert next(note["steps"] for note in notes if "loss" in note) == 1
    assert (output / "learning.svg").exists() == (reached > 1)

    more = [str(reached + 2), "--resume"]
    result = subprocess.run([*command, *more], capture_output=True, text=True, env=plain)
    assert result.returncode == 0 and "finished" in result.stdout, result.stderr
    card = json.loads((output / "leqnet_gru.training.json").read_text())
    assert card["windows_seen"] == 2 * (reached + 2)
    assert card["skipped"] == {"label outside the trace": 1, "NaN or infinite samples": 1}
    assert str(tmp_path) not in json.dumps(card)
    sha256 = hashlib.sha256(teacher.read_bytes()).hexdigest()
    assert card["teachers"] == [{"file": teacher.name, "sha256": sha256, "licence": "not stated"}]
    assert card["devices"] == "tensorflow on CPU, float32, one thread"
    assert (output / "leqnet_gru.weights.h5").exists()
    assert not list(output.glob("*.part*"))
    notes = [json.loads(line) for line in (output / "history.jsonl").read_text().splitlines()]
    for what in ("loss", "score"):
        noted = [note["steps"] for note in notes if what in note]
        assert noted == sorted(noted) and {reached, reached + 2} <= {*noted}, what
    assert (output / "learning.svg").read_text().startswith("<?xml")
