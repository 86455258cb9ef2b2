"""What a user can get wrong with `eqedge convert`: one line, exit 2, nothing written."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from eqedge.__main__ import main
from eqedge.convert.quantization.quantize import quantize
from eqedge.convert.quantization.request import QuantizationRequest, QuantizeError

from tests.support.limits import file_size_limit

from .conftest import write_records


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Return a runner of the command line in this process: exit code and standard error."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["eqedge", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not list(folder.iterdir()), "the temporary folder is left clean"
        return ended.value.code, capfd.readouterr().err

    return run


@pytest.fixture(scope="module")
def weights(built, tmp_path_factory):
    """Return a folder with good weights of LEQNet-GRU and of EQTransformer."""
    folder = tmp_path_factory.mktemp("weights")
    built("leqnet-gru").network.save_weights(folder / "good.weights.h5")
    built("leqnet-gru").network.save(folder / "good.keras")
    built("eqtransformer").network.save_weights(folder / "large.weights.h5")
    return folder


def with_custom_layer(folder, path):
    """Add a layer that neither network has."""
    shutil.copy(folder / "good.weights.h5", path)
    with h5py.File(path, "a") as file:
        held = file["layers"].create_group("wavelet").create_group("vars")
        held.attrs["name"] = "wavelet_3"
        held.create_dataset("0", data=np.zeros((5, 2), np.float32))


def of_keras(version):
    """Return a writer of a .keras that claims some version."""

    def write(folder, path):
        with zipfile.ZipFile(folder / "good.keras") as whole, zipfile.ZipFile(path, "w") as other:
            for name in whole.namelist():
                content = whole.read(name)
                if name == "metadata.json":
                    content = json.dumps(json.loads(content) | {"keras_version": version})
                other.writestr(name, content)

    return write


def cut_short(folder, path):
    """Lose the end of a file."""
    path.write_bytes((folder / "good.weights.h5").read_bytes()[:40_000])


def one_line(result, code=2):
    """Return the one line that the command ended with."""
    found, error = result
    lines = [line for line in error.splitlines() if line.startswith("eqedge: ")]
    assert (found, len(lines)) == (code, 1), error
    assert error.splitlines()[-1] == lines[0] and "Traceback" not in error
    return lines[0]


@pytest.mark.parametrize(
    ("name", "make", "arch", "message"),
    [
        ("c.weights.h5", with_custom_layer, None, "layer wavelet_3 (5,2) is of a kind"),
        ("k.keras", of_keras("2.15.0"), None, "a .keras of Keras 2.15.0; load it there and save"),
        ("k.keras", of_keras("4.0.0"), None, "a .keras of Keras 4.0.0; load it there and save"),
        ("s.weights.h5", cut_short, None, "is it complete? copy it again"),
        ("../large.weights.h5", None, "leqnet-gru", "holds EQTransformer"),
        ("none.h5", None, None, "none.h5: no such file"),
    ],
)
def test_weights_that_cannot_be_used(
    weights, records, tmp_path, command, name, make, arch, message
):
    """The file, what is wrong with it, and what to do."""
    path = tmp_path / name if make or arch is None else weights / "large.weights.h5"
    if make:
        make(weights, path)
    output = tmp_path / "out"
    result = command(
        "convert", "--weights", path, "--calibration", records, "--output", output,
        *(["--arch", arch] if arch else []),
    )  # fmt: skip
    assert message in one_line(result)
    assert not output.exists() or list(output.iterdir()) == []


@pytest.mark.parametrize(
    ("events", "quiet", "rate_hz", "message"),
    [
        (3, 1, None, "4 usable traces, at least 10 are needed"),
        (0, 12, None, "0 of 12 traces hold an earthquake, at least 5 are needed; add a file"),
        (12, 0, 3.0, "3 Hz cannot be turned into the model's 100 Hz"),
    ],
)
def test_records_that_calibrate_nothing(
    weights, tmp_path, command, events, quiet, rate_hz, message
):
    """Too few, only noise, a rate that cannot be resampled."""
    path = write_records(tmp_path / "records.hdf5", events, quiet, rate_hz)
    output = tmp_path / "out"
    result = command(
        "convert", "--weights", weights / "good.weights.h5", "--calibration", path,
        "--output", output,
    )  # fmt: skip
    assert message in one_line(result)
    assert not output.exists() or list(output.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "mixed"], "--float-stage auto"),
        (["--float-stage", "encoder"], "--float-stage belongs to --precision mixed"),
        (
            ["--precision", "mixed", "--float-stage", "auto", "--float-stage", "encoder"],
            "give auto alone",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_work(
    weights, records, tmp_path, command, options, message
):
    """Not after minutes of it: the output folder is not even made."""
    result = command(
        "convert", "--weights", weights / "good.weights.h5", "--calibration", records,
        "--output", tmp_path / "out", *options,
    )  # fmt: skip
    assert message in one_line(result)
    assert not (tmp_path / "out").exists()


def child_that(folder, script):
    """Write an executable that stands where Python is called, and runs a shell script."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(("name", "code"), [("INT", 130), ("TERM", 143)])
def test_an_interrupted_run(weights, records, tmp_path, monkeypatch, command, name, code):
    """Ctrl-C and SIGTERM while the converter works: it is ended too, and nothing stays."""
    script = f"echo $$ > {tmp_path}/pid; kill -{name} $PPID; exec sleep 60"
    monkeypatch.setattr(sys, "executable", child_that(tmp_path, script))
    output = tmp_path / "out"
    result = command(
        "convert", "--weights", weights / "good.weights.h5", "--calibration", records,
        "--output", output,
    )  # fmt: skip
    error = result[1].replace(f"eqedge: SIG{name}: stopping\n", "")  # the acknowledgement
    assert f"stopped by SIG{name}; no file is left unfinished" in one_line((result[0], error), code)
    assert not output.exists() or list(output.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_no_memory_for_the_converter(built, tmp_path, monkeypatch):
    """The real converter with less memory than TensorFlow needs reports that, and the remedy."""
    script = f'ulimit -v 600000; exec {sys.executable} "$@"'
    monkeypatch.setattr(sys, "executable", child_that(tmp_path, script))
    network = built("leqnet-gru")
    with pytest.raises(QuantizeError, match=r"out of memory; close other programs") as result:
        quantize(QuantizationRequest("leqnet-gru", network.variant, network.layers, "float32"))
    assert "\n" not in str(result.value)


@pytest.mark.parametrize("seed", ["-1", str(2**32)])
def test_a_seed_that_no_generator_takes(weights, records, tmp_path, command, seed):
    """Refused by its range before anything is read."""
    code, message = command(
        "convert", "--weights", weights / "good.weights.h5", "--calibration", records,
        "--output", tmp_path / "out", "--seed", seed,
    )  # fmt: skip
    assert code == 2 and "0<=x<=4294967295" in message and "Traceback" not in message


def test_a_temporary_folder_that_is_full(built, windows, tmp_path, monkeypatch):
    """The windows handed to the converter need room; a limit on files stands for a full disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    network = built("leqnet-gru")
    with (
        file_size_limit(100_000),
        pytest.raises(QuantizeError, match=rf"temporary folder {tmp_path}: .*set TMPDIR"),
    ):
        request = QuantizationRequest("leqnet-gru", network.variant, network.layers, "int8")
        quantize(request, windows=windows)
    assert list(tmp_path.iterdir()) == []


def test_a_workstation_without_tensorflow(weights, records, tmp_path):
    """On a node's install the command names the extra to install."""
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not here')\n")
    done = subprocess.run(
        [sys.executable, "-m", "eqedge", "convert", "--weights", weights / "good.weights.h5",
         "--calibration", records, "--output", tmp_path / "out"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert "pip install '.[convert]'" in one_line((done.returncode, done.stderr))
    assert not Path(tmp_path / "out").exists()
