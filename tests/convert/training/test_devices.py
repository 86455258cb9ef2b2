"""The device that a training computes on, and mixed precision."""

import keras
import numpy as np
from eqedge.convert.training import devices
from eqedge.convert.training.student import Student, StudentSettings


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


def test_the_card_names_the_device():
    """Backend, precision, order of sums, and GPUs that are left unused."""
    assert devices.find().description == "tensorflow on CPU, float32"
    alone = devices.Device(True, "mixed_bfloat16", idle=3)
    assert alone.description == "tensorflow on GPU, mixed_bfloat16; 3 more idle"
    assert devices.Device(deterministic=True).description.endswith("float32, one thread")
