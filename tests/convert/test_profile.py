"""A model's stages timed one by one."""

import numpy as np
import pytest
from click.testing import CliRunner
from eqedge.convert.profile import WHOLE, cut, main, profile
from eqedge.models.shelf import open_model


@pytest.fixture(scope="module")
def model():
    """Return the shipped int8 model."""
    return open_model("leqnet_gru_int8")


def test_every_operation_belongs_to_one_stage(model):
    """The stages' operations add up to the whole's, and each stage takes some time."""
    whole, *stages = profile(model.data, rounds=1)
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


def test_the_command_prints_a_line_a_stage(model, tmp_path):
    """A file in, a table out."""
    path = tmp_path / "some.tflite"
    path.write_bytes(model.data)
    result = CliRunner().invoke(main, [str(path), "--rounds", "1"])
    assert result.exit_code == 0 and "transformer_0" in result.output
