"""Where a training computes: the other backend, and mixed precision."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from eqedge.convert.training import devices
from eqedge.convert.training.student import Student, StudentSettings

STEP = """
import numpy as np
from eqedge.convert.training import devices
from eqedge.convert.training.student import Student, StudentSettings
student = Student(StudentSettings(), seed=1)
window = np.random.default_rng(3).standard_normal((1, 6000, 3)).astype(np.float32)
assert 0 < student.learn(window, (window > 2.5).astype(np.float32), 1e-3) < 10
before = student.state()
student.restore(before)
print(devices.find().told)
"""


def test_bfloat16_learns_and_saves_float32():
    """A step in mixed precision moves the weights; the network that is saved is a float32 one."""
    window = np.random.default_rng(3).standard_normal((1, 6000, 3)).astype(np.float32)
    with devices.computing_in("mixed_bfloat16"):
        student = Student(StudentSettings(), seed=1)
        before = student.network.get_weights()
        loss = student.learn(window, (window > 2.5).astype(np.float32), 1e-3)
        assert 0 < loss < 10
        assert student.network.compute_dtype == "bfloat16"
        assert student.averaged().compute_dtype == "float32"
    after = student.network.get_weights()
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    assert keras.config.dtype_policy().name == "float32"


def test_torch_learns_too():
    """The same code on the other backend, where it is installed."""
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", STEP],
        env={**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "torch on CPU, float32"
