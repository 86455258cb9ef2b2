"""The whole conversion: files written, refused, or left alone."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from eqedge import EqedgeError
from eqedge.convert.cli import PRECISIONS as OFFERED
from eqedge.convert.cli import convert as command
from eqedge.convert.conversion import AUTO, ConvertSettings
from eqedge.convert.data.calibration import CalibrationError
from eqedge.convert.graph.origin import describe_weights
from eqedge.convert.graph.stored import WeightsError
from eqedge.convert.output import OutputError, write_all
from eqedge.convert.pipeline import Disagreement, convert
from eqedge.convert.quantization.request import PRECISIONS, QuantizeError
from eqedge.edge.detector import Detector
from eqedge.models.registry import open_model, weights_folder
from eqedge.models.spec import ModelSpec, Thresholds

from .conftest import write_records


@pytest.fixture(scope="module")
def weights(built, tmp_path_factory):
    """Return weights whose training card names thresholds that no pick of theirs reaches."""
    path = tmp_path_factory.mktemp("weights") / "tiny.weights.h5"
    built("leqnet-gru").network.save_weights(path)
    spec = ModelSpec("tiny", "leqnet-gru", thresholds={"default": Thresholds(0.5, 0.999, 0.999)})
    training = {"spec": spec.to_json(), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (path.parent / "tiny.training.json").write_text(json.dumps(training))
    return path


@pytest.fixture(scope="module")
def forced(weights, records, tmp_path_factory):
    """Convert once with --force: no picks, so nothing that could agree."""
    output = tmp_path_factory.mktemp("converted")
    settings = ConvertSettings(
        weights, (records,), output, precisions=("float32", "int8"), tuning_steps=20, force=True
    )
    return output, convert(settings)


@pytest.mark.timeout(3600)
def test_model_card_and_report_are_written(forced):
    """Each precision has its three files; the training card that they name goes with them."""
    output, _ = forced
    files = [f"tiny_{p}.{s}" for p in ("float32", "int8") for s in ("json", "md", "tflite")]
    names = ["tiny.training.json", *files]
    assert sorted(path.name for path in output.iterdir()) == names


def test_the_card_belongs_to_the_bytes(forced, weights):
    """The node opens the model by its card, with the thresholds the training found."""
    output, report = forced
    model = open_model(output / "tiny_int8.tflite")
    assert model.spec.thresholds["default"].P_threshold == 0.999
    assert model.spec.name == "tiny"
    card = model.card
    assert card["size_bytes"] == len(model.data)
    assert card["origin"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    training = output / card["origin"]["training"]["file"]
    assert hashlib.sha256(training.read_bytes()).hexdigest() == card["origin"]["training"]["sha256"]
    assert json.loads(training.read_text())["spec"]["name"] == "tiny"
    assert card["agreement"]["refused"] and card["agreement"]["graph_max_error"] < 1e-4
    assert (card["precision"], card["float_stages"], card["kept_float"]) == ("int8", {}, [])
    assert card["verified_on"] == "every third trace"
    assert min(card["stage_snr_db"].values()) < 30 < max(card["stage_snr_db"].values())
    assert set(card["stage_snr_db"]) >= {"encoder_0", "bilstm_0", "recurrence", "decoder_P"}
    assert card["agreement"]["heads"]["detection"]["labels"] > 0
    assert report.graph_error < 1e-4
    Detector(model)(np.zeros((6000, 3), np.float32))


def test_float32_agrees_with_itself(forced):
    """The reference compared with itself loses nothing."""
    _, report = forced
    float32 = report.converted[0]
    assert all(head.max_error == 0 for head in float32.agreement.heads.values())
    assert all(head.f1_lost_points == 0 for head in float32.agreement.heads.values())
    assert set(float32.stage_errors.values()) == {None}


def test_the_report_names_what_was_missed(forced):
    """A forced model's report has that in its first lines, and lists operations and errors."""
    text = (forced[0] / "tiny_int8.md").read_text()
    assert "misses the agreement limit" in text.split("\n")[2]
    assert "## F1 by the labels" in text and "## Error behind each stage" in text
    assert "CONV_2D" in text and "Activations left in float32, by stage: none." in text


@pytest.fixture(scope="module")
def searched(records, tmp_path_factory):
    """Convert the shipped weights with the search for the stages that stay in float."""
    settings = ConvertSettings(
        weights_folder() / "leqnet_gru.weights.h5",
        (records,),
        tmp_path_factory.mktemp("searched"),
        precisions=("mixed",),
        float_stages=(AUTO,),
        tuning_steps=10,
        force=True,
    )
    return settings.output, convert(settings).converted[0]


@pytest.mark.timeout(3600)
def test_the_search_keeps_nothing_in_float_where_int8_agrees(searched):
    """All in int8 is tried first; the file then has no float activation, the report states it."""
    output, found = searched
    (step,) = found.search
    assert (step.kept, step.verdict.refusal) == ((), None) and found.kept_float == ()
    assert found.refusal is None and found.contents.float_tensors == {}
    assert json.loads((output / f"{found.name}.json").read_text())["kept_float"] == []
    report = (output / f"{found.name}.md").read_text()
    assert "Stages kept in float32: none." in report
    assert f"| none | {step.verdict.error:.5f} | - |" in report


def files_under(folder):
    """Return every file under a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def test_disagreement_writes_nothing(weights, records, tmp_path):
    """Below the limit nothing is written, and the exit code is 1."""
    settings = ConvertSettings(weights, (records,), tmp_path / "out", precisions=("float16",))
    with pytest.raises(Disagreement, match=r"not agree.*nothing was written") as raised:
        convert(settings)
    assert raised.value.exit_code == 1
    assert files_under(tmp_path) == []


def test_published_weights_are_prepared_as_published(shared, tmp_path):
    """A published file gets the preparation it was trained on; nothing else can be known of it."""
    from eqedge.convert.graph.weights import load_network

    path = shared / "teachers" / "leqnet_lstm_reference.h5"
    origin = describe_weights(path, load_network(path))
    steps = origin.spec.preparation
    assert (steps.detrend, steps.norm) == ("linear", "std")
    assert (origin.summary["layout"], origin.training_card) == ("published", None)
    assert steps.filter is not None and (steps.filter.freqmin, steps.filter.freqmax) == (1, 45)


def test_a_training_card_of_other_weights_is_refused(built, records, tmp_path):
    """Weights trained anew beside an old card are not given the old card's thresholds."""
    path = tmp_path / "old.weights.h5"
    built("leqnet-gru").network.save_weights(path)
    (tmp_path / "old.training.json").write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(EqedgeError, match=r"old.training.json: of other weights"):
        convert(ConvertSettings(path, (records,), tmp_path / "out"))


def test_an_output_that_cannot_be_written_is_an_error_first(weights, records, tmp_path):
    """Before minutes of work, not after them."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match=r"file/out: .*name a folder"):
        convert(ConvertSettings(weights, (records,), blocked / "out"))


def test_a_full_disk_leaves_nothing(forced, tmp_path):
    """When the last card cannot be written, the models that were are taken away."""
    _, report = forced
    (tmp_path / ".tiny_int8.json.part").symlink_to("/dev/full")
    elsewhere = replace(report, settings=replace(report.settings, output=tmp_path))
    with pytest.raises(OutputError, match="No space left on device; free space"):
        write_all(elsewhere)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_waits_until_the_set_is_whole(forced, tmp_path, monkeypatch):
    """Ctrl-C between two renames is obeyed after the last of them."""
    _, report = forced
    rename = os.replace

    def interrupted(*paths):
        signal.raise_signal(signal.SIGINT)
        rename(*paths)

    monkeypatch.setattr(os, "replace", interrupted)
    elsewhere = replace(report, settings=replace(report.settings, output=tmp_path))
    with pytest.raises(KeyboardInterrupt):
        write_all(elsewhere)
    assert len(list(tmp_path.glob("tiny_*"))) == 6 and len(list(tmp_path.iterdir())) == 7


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"weights": "none.h5"}, WeightsError),
        ({"calibration": "few.hdf5"}, CalibrationError),
        ({"arch": "eqtransformer"}, WeightsError),
    ],
)
def test_bad_inputs_write_nothing(weights, records, tmp_path, arguments, error):
    """Whatever cannot be used is an error, and the output stays empty or is not made."""
    write_records(tmp_path / "few.hdf5", 2, 0)
    named = {"weights": weights, "calibration": records, "arch": None}
    named |= {k: tmp_path / v if k != "arch" else v for k, v in arguments.items()}
    with pytest.raises(error):
        convert(
            ConvertSettings(
                named["weights"], (named["calibration"],), tmp_path / "out", arch=named["arch"]
            )
        )
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"precisions": ("mixed",), "float_stages": ("foo",)}, "--float-stage foo: .*encoder"),
        ({"name": "a/../b"}, "--name 'a/../b'"),
    ],
)
def test_what_does_not_exist_is_named_before_the_long_work(
    weights, records, tmp_path, arguments, reason
):
    """Not after minutes of tuning, which would need more than these records hold."""
    stages = []
    settings = ConvertSettings(weights, (records,), tmp_path / "out", **arguments)
    with pytest.raises(QuantizeError, match=reason):
        convert(settings, lambda what, *_: stages.append(what))
    assert "tuning" not in stages
    assert not list((tmp_path / "out").glob("*"))


def test_the_command_offers_every_precision():
    """The command line lists them without importing TensorFlow."""
    assert OFFERED == PRECISIONS
    text = CliRunner().invoke(command, ["--help"]).output
    assert all(option in text for option in ("--weights", "--calibration", "--force", "mixed"))


@pytest.mark.parametrize(("name", "successor"), [("int16x8", "mixed"), ("dynamic", "float16")])
def test_a_precision_of_before_names_its_successor(tmp_path, name, successor):
    """Exit 2 and one line, before anything is read."""
    arguments = ["--weights", "w.h5", "--calibration", "c.hdf5", "--output", str(tmp_path)]
    result = CliRunner().invoke(command, [*arguments, "--precision", name])
    assert result.exit_code == 2
    assert f"{name} is no longer made; use {successor}" in result.output


def test_help_does_not_import_tensorflow():
    """A node's `eqedge --help` must not wait for TensorFlow, which it has not."""
    code = "import sys; import eqedge.convert.cli; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.timeout(3600)
def test_the_command_as_a_process(weights, records, tmp_path, eqedge):
    """Forced, it writes and prints what it wrote; its progress goes to standard error."""
    done = eqedge(
        "convert", "--weights", weights, "--arch", "leqnet-gru", "--calibration", records,
        "--output", tmp_path / "out", "--precision", "float32", "--name", "mine", "--force",
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mine_float32.tflite" in done.stdout and "verifying: done" in done.stderr
    assert (tmp_path / "out" / "mine_float32.json").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX exit codes")
def test_errors_are_one_line_and_exit_2(weights, tmp_path, eqedge):
    """A missing calibration file is one line on standard error."""
    done = eqedge("convert", "--weights", weights, "--calibration", tmp_path / "none.hdf5",
                  "--output", tmp_path / "out")  # fmt: skip
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("eqedge: ")] == [
        done.stderr.splitlines()[-1]
    ]
    assert "none.hdf5: no such file" in done.stderr
