"""Several devices take the step that one would have taken."""

import json
import subprocess
import sys

import numpy as np
import pytest
from eqedge.convert.training import loop
from eqedge.convert.training.devices import BatchError, Device
from eqedge.convert.training.student import Student

from .steps import IDENTITY, SETTINGS, STEPS, distance


@pytest.fixture(scope="module")
def two(whole, tmp_path_factory, request):
    """What two processors said, and where they left the state of a run that one had begun."""
    output = tmp_path_factory.mktemp("two")
    module = "tests.convert.training.mirrored"
    done = subprocess.run(
        [sys.executable, "-m", module, __file__, whole.broken, output],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), output


def test_each_device_gets_its_part(two):
    """Of six windows three each; on one device all six."""
    seen, _ = two
    assert seen["one"][2] == [[0, 6]]
    assert seen["two"][2] == [[0, 3], [1, 3]]


def test_a_shared_step_is_the_step_of_one(two):
    """Loss, weights and batch statistics agree, though the halves of a batch are unlike."""
    seen, _ = two
    (losses, weights, _), (shared_losses, shared_weights, _) = seen["one"], seen["two"]
    assert shared_losses == pytest.approx(losses, rel=1e-4)
    for one, other in zip(weights, shared_weights, strict=True):
        assert np.asarray(other) == pytest.approx(np.asarray(one), rel=1e-3, abs=1e-5)


def test_a_run_of_one_device_goes_on_on_two(two, whole):
    """Broken off on one, taken up on two: the state of an uninterrupted run, but for rounding."""
    seen, output = two
    assert seen["finished"]
    student = Student(SETTINGS, seed=5)
    loop.resume(output, student, IDENTITY)
    assert student.steps == STEPS
    with np.load(whole.broken / "checkpoint.npz") as stored:
        before = {key: stored[key] for key in stored if key != "about"}
    for kind in ("weight", "average", "optimizer"):
        apart = distance(student.state(), whole.end, kind)
        assert apart < 0.05 * distance(whole.end, before, kind), kind


def test_the_average_computes_on_one_device(two):
    """What is scored and shipped answers once a window."""
    seen, _ = two
    assert seen["averaged"] == [2, 6000, 1]


def test_a_batch_that_does_not_divide_is_refused(two):
    """Before anything is read, with what would do."""
    seen, _ = two
    assert (
        "BatchError('--batch 3: cannot be shared equally by 2 devices; give 2 or 4, or"
        in seen["refused"]
    )
    with pytest.raises(BatchError, match=r"--batch 2: .* by 4 devices; give 4, or fewer"):
        Device("tensorflow", True, names=("a", "b", "c", "d")).check_batch(2)
    with pytest.raises(BatchError, match="give 8 or 12, or fewer"):
        Device("tensorflow", True, names=("a", "b", "c", "d")).check_batch(9)


def test_the_card_tells_the_devices(two):
    """How many shared the batches, and which GPUs the backend left idle."""
    seen, _ = two
    assert seen["told"] == "tensorflow on 2 CPUs, float32"
    alone = Device("torch", True, "mixed_bfloat16", idle=3)
    assert alone.told == (
        "torch on GPU, mixed_bfloat16; 3 more idle, KERAS_BACKEND=tensorflow uses all"
    )
