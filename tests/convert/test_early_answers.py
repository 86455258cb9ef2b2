"""What is wrong with paths and options is answered before TensorFlow is loaded."""

import subprocess
import sys

import pytest
from eqedge.models.registry import weights_folder

from tests.support.cards import trained_by

RUN = """
import sys
from eqedge.__main__ import main
try:
    main()
finally:
    heavy = [m for m in ("tensorflow", "keras", "matplotlib") if m in sys.modules]
    print("loaded:", *heavy)
"""
pytestmark = pytest.mark.slow  # a process for each

WEIGHTS = str(weights_folder() / "leqnet_gru.weights.h5")


def outcome(folder, *arguments):
    """Exit code, last line of standard error, and which large packages were loaded."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr.splitlines()[-1], done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("convert --weights nope.h5 --calibration DATA --output out", "nope.h5: no such file"),
        ("convert --weights DATA --calibration DATA --output out", "small.hdf5"),
        ("convert --weights WEIGHTS --calibration nope.hdf5 --output out", "nope.hdf5"),
        ("convert --weights WEIGHTS --calibration DATA --output DATA/out", "name a folder"),
        (
            "convert --weights WEIGHTS --calibration DATA --output out --float-stage encoder",
            "belongs to --precision mixed",
        ),
        (
            "convert --weights WEIGHTS --calibration DATA --output out --target tflm --precision "
            "float32", "microcontrollers get int8",
        ),
        ("evaluate --weights WEIGHTS --weights nope.h5 --data DATA", "nope.h5: no such file"),
        ("evaluate --weights WEIGHTS --data nope.hdf5", "nope.hdf5' does not exist"),
        ("evaluate --weights WEIGHTS --data DATA --teacher DATA", "expected .tflite, .h5"),
        ("evaluate --weights WEIGHTS --data DATA --split event", "states that it was trained with"),
        ("evaluate --weights WEIGHTS --data DATA --markdown no/x.md", "no/x.md: cannot be written"),
        ("compare WEIGHTS nope.h5 --data DATA", "nope.h5: no such file"),
        ("compare WEIGHTS --data nope.hdf5", "data nope.hdf5: no such file"),
        ("compare WEIGHTS --data DATA --continuous nope.hdf5", "data nope.hdf5: no such file"),
        ("compare WEIGHTS --data DATA --table no/x.csv", "table no/x.csv: no such folder"),
        ("compare WEIGHTS --data DATA --chart x.bmp", "name it .png"),
        ("compare WEIGHTS --data DATA --split event", "states that it was trained with"),
        ("train --data DATA --output DATA/out --steps 1", "cannot be written"),
        ("train --data DATA --output out --steps 1 --resume", "no checkpoint; leave out --resume"),
        ("train --data DATA --output out --steps 1 --initial DATA", "small.hdf5"),
        ("train --data DATA --output out --steps 1 --teacher DATA", "expected .tflite"),
        ("train --data DATA --output out --steps 1 --initial WEIGHTS --split event",
         "leqnet_gru.training.json states that it was trained with --split station"),
        ("plot residuals nope.json", "nope.json' does not exist"),
        ("plot trace nope.hdf5", "nope.hdf5' does not exist"),
        ("plot trace DATA --output x.unknown", "x.unknown: cannot write .unknown; name it .png"),
        ("plot trace DATA --output no/x.png", "no/x.png: there is no folder no; make it"),
    ],
)  # fmt: skip
def test_no_large_package_is_loaded_for_what_is_wrong_with_a_path(stead_file, arguments, message):
    """One line, exit 2, and neither TensorFlow nor matplotlib in the process."""
    names = {"DATA": str(stead_file), "WEIGHTS": WEIGHTS, "DATA/out": f"{stead_file}/out"}
    given = [names.get(word, word) for word in arguments.split()]
    code, last, loaded = outcome(stead_file.parent, *given)
    assert (code, loaded) == (2, "loaded:"), last
    assert message in last


def test_a_missing_interpreter_of_microcontrollers_is_named_first(stead_file, tmp_path):
    """Before TensorFlow is loaded, which takes ten times as long."""
    (tmp_path / "tflite_micro.py").write_text("raise ImportError('not here')")
    code, last, loaded = outcome(
        tmp_path, "convert", "--weights", WEIGHTS, "--calibration", stead_file, "--output", "out",
        "--target", "tflm",
    )  # fmt: skip
    assert (code, loaded) == (2, "loaded:"), last
    assert "--target tflm is proved with tflite-micro, which is not there (not here)" in last


def test_without_a_fault_tensorflow_is_loaded(stead_file, tmp_path):
    """The check above can fail: without a fault weights do load TensorFlow."""
    code, _, loaded = outcome(
        tmp_path, "evaluate", "--weights", WEIGHTS, "--data", stead_file, "--all-stations",
        "--weights", trained_by(tmp_path / "mine", "event"), "--limit", "1",
    )  # fmt: skip
    assert code == 0 and "tensorflow" in loaded
