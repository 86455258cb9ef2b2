"""A training that signals end: at once before it has learned, or with weights and their card."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from eqedge.edge.ending import SAME_WISH_SECONDS
from eqedge.edge.replay.sample import DEMO_FILE

from tests.support.broker import wait_until

PATIENCE_SECONDS = 600
HINT = "go on with --resume"


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a training in a process group of its own."""
    running = []

    def begin():
        command = [sys.executable, "-m", "eqedge", "train", "--data", str(DEMO_FILE)]
        rest = ["--output", str(tmp_path / "out"), "--steps", "100000", "--batch", "2"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        running.append(subprocess.Popen([*command, *rest], start_new_session=True, **pipes))
        return running[0]

    yield begin
    with suppress(ProcessLookupError):
        os.killpg(running[0].pid, signal.SIGKILL)
    running[0].communicate()


def lines_until(process, what):
    """Return what is printed up to the line that begins so."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(what):
            return lines
    raise AssertionError(f"no {what!r} in {lines}")


def end_of(process):
    """Return the exit code and the rest of what is printed; there is no traceback in it."""
    rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert "Traceback" not in rest and "Exception ignored" not in rest
    return process.returncode, rest


def assert_nothing_half_written(folder):
    """No temporary file is left, and weights have their card."""
    names = {path.name for path in folder.iterdir()}
    assert not any(".part" in name for name in names)
    assert ("leqnet_gru.weights.h5" in names) == ("leqnet_gru.training.json" in names)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_before_the_end_of_the_first_step(start, tmp_path, name):
    """The whole group gets the signal: there is nothing to save, and it ends at once."""
    process = start()
    lines_until(process, "training with")
    os.killpg(process.pid, signal.Signals[name])
    code, rest = end_of(process)
    assert code == 128 + signal.Signals[name]
    assert f"eqedge: stopped by {name}; no file is left unfinished" in rest.splitlines()
    assert not (tmp_path / "out" / "checkpoint.npz").exists() and HINT not in rest
    assert_nothing_half_written(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("after", ["eqedge: SIGINT: stopping after this step", "picker_P"])
def test_a_second_signal_leaves_the_checkpoint(start, tmp_path, after):
    """During the step, and while it scores: no weights are without a card."""
    process = start()
    lines_until(process, "step ")
    os.killpg(process.pid, signal.SIGINT)
    lines_until(process, "eqedge: SIGINT: stopping after this step")
    wait_until((tmp_path / "out" / "checkpoint.npz").exists, "the checkpoint is saved", 600)
    if after == "picker_P":
        lines_until(process, after)
    time.sleep(SAME_WISH_SECONDS)
    os.killpg(process.pid, signal.SIGINT)
    code, rest = end_of(process)
    assert_nothing_half_written(tmp_path / "out")
    if code:  # otherwise it was ready before the second came
        assert code == 128 + signal.SIGINT and HINT in rest
    with np.load(tmp_path / "out" / "checkpoint.npz") as checkpoint:
        assert int(checkpoint["steps"]) >= 1
