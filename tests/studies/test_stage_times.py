"""A model's stages timed one by one."""

import sys
from pathlib import Path

import numpy as np
import pytest
from eqedge.convert.console import run_with_one_line_errors
from eqedge.models.registry import open_model

from studies.stage_times import WHOLE, cut, main, profile, side_by_side


@pytest.fixture(scope="module")
def model():
    """Return the shipped int8 model."""
    return open_model("leqnet_gru_int8")


def test_every_operation_belongs_to_one_stage(model):
    """The stages' operations add up to the whole's, and each stage takes some time."""
    whole, *stages = profile(Path("int8"), model.data, rounds=1)
    assert whole.stage == WHOLE and whole.operations == sum(s.operations for s in stages)
    assert {"encoder_0", "bilstm_0", "decoder_S"} <= {s.stage for s in stages}
    assert all(s.microseconds > 0 for s in stages)


def test_a_part_computes_what_it_does_in_the_whole(model):
    """The first operations alone take the window, and give what the whole model makes there."""
    from eqedge.edge.runtime import find_runtime

    interpreter = find_runtime().interpreter(model_content=cut(model.data, {0, 1}))
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert tuple(entry["shape"]) == (1, 6000, 3)
    interpreter.set_tensor(entry["index"], np.full((1, 6000, 3), 5, np.int8))
    interpreter.invoke()
    assert np.ptp(interpreter.get_tensor(result["index"])[0, 0, 100:200], axis=0).max() == 0


def test_of_several_files_the_first_is_the_measure(model):
    """A ratio for each, its spread around it; the first's is one."""
    other = open_model("leqnet_gru_float32")
    files = [(Path("int8"), model.data), (Path("float32"), other.data)]
    first, second = side_by_side(files, rounds=5)
    assert (first.ratio_p5, first.ratio, first.ratio_p95) == (1.0, 1.0, 1.0)
    assert 0 < second.ratio_p5 <= second.ratio <= second.ratio_p95
    assert second.microseconds > 0


def run(monkeypatch, *arguments):
    """Run the command line in this process; its exit code, 0 where it just ends."""
    monkeypatch.setattr(sys, "argv", ["profile", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run_with_one_line_errors(main, "profile")
    return ended.value.code


def test_the_command_prints_a_line_a_stage(model, tmp_path, monkeypatch, capsys):
    """A file in, a table out; no card is needed."""
    path = tmp_path / "beginning.tflite"
    path.write_bytes(cut(model.data, set(range(6))))
    assert not run(monkeypatch, path, "--rounds", "1")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines] == [
        ["whole", "6"], ["encoder_0", "4"], ["encoder_1", "2"]
    ]  # fmt: skip


def test_the_command_prints_a_line_a_file(model, tmp_path, monkeypatch, capsys):
    """Shipped models by name, files by path, in the order they were named."""
    path = tmp_path / "other.tflite"
    path.write_bytes(model.data)
    assert not run(monkeypatch, "leqnet_gru_int8", path, "--rounds", "1")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("leqnet_gru_int8 ") and first.endswith(" us   1.00 (1.00 to 1.00)")
    assert second.startswith("other ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "some.tflite: No such file or directory; name a .tflite"),
        (b"\x89HDF no model at all", "some.tflite: not a TensorFlow Lite file"),
        (b"\x1c\0\0\0TFL3" + bytes(range(256)), "some.tflite: ai-edge-litert"),
    ],
)
@pytest.mark.parametrize("before", [[], ["leqnet_gru_int8"]])
def test_bad_input_is_one_line(tmp_path, monkeypatch, capfd, content, message, before):
    """The thing and the remedy, exit 2, whether it is the only file or the second."""
    path = tmp_path / "some.tflite"
    if content is not None:
        path.write_bytes(content)
    assert run(monkeypatch, *before, path) == 2
    captured = capfd.readouterr()
    assert not captured.out and len(captured.err.splitlines()) == 1
    assert captured.err.startswith("eqedge: ") and message in captured.err
