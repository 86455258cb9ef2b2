"""`--deterministic`: an interrupted run ends in the very weights of one that was not."""

import json
import os
import subprocess
import sys

import pytest
from eqedge.convert.training.devices import DeterminismError, Device


@pytest.mark.timeout(3600)
def test_a_run_taken_up_ends_in_the_same_bits(tmp_path, request):
    """Weights, average and optimizer, by new objects; without the optimizer's state they differ."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.convert.training.deterministic", tmp_path],
        cwd=request.config.rootpath,
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "device": "tensorflow on CPU, float32, one thread",
        "steps": 11,
        "taken up": True,
        "spoilt": False,
    }


def test_a_gpu_is_refused():
    """Nobody has seen it compute the same bits twice; without the option it is welcome."""
    with pytest.raises(DeterminismError, match="CUDA_VISIBLE_DEVICES=-1"):
        Device(is_gpu=True, deterministic=True).check_deterministic()
    Device(is_gpu=True).check_deterministic()
    Device(deterministic=True).check_deterministic()
