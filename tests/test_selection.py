"""Fast tests stay fast: none of them needs TensorFlow, a firmware build or a broker."""

import re
import subprocess
import sys

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.slow  # each runs pytest

UNMARKED = """
import subprocess, sys
from tests.support.broker import Broker, free_port

def test_tensorflow():
    import tensorflow

def test_keras():
    import keras

def test_tensorflow_in_another_program():
    subprocess.run([sys.executable, "-c", "import tensorflow"], check=True)

def start(folder):
    return Broker(folder).start()

def test_broker(tmp_path):
    start(tmp_path)

def test_build(request):
    request.getfixturevalue("make_firmware")("host")

def test_neither():
    assert free_port()
"""
MARKED = """
import pytest
from tests.support.broker import Broker

def test_by_fixture(make_firmware):
    pass

def test_by_name(tmp_path):
    Broker(tmp_path)

@pytest.mark.slow
def test_by_mark():
    pass
"""


def fast(*arguments, importtime=False):
    """Run pytest as `make test-fast` does, in one process."""
    command = [sys.executable, *(["-X", "importtime"] if importtime else []), "-m", "pytest"]
    command += ["-m", "not slow", "-p", "no:cacheprovider", "--rootdir", ROOT, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_collecting_them_imports_no_tensorflow():
    """Of all modules of tests, those that need it are left out before it is imported."""
    found = fast("--collect-only", "-q", importtime=True)
    assert found.returncode == 0, found.stdout[-2000:]
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in found.stderr.splitlines()}
    assert "numpy" in imported and not imported & {"tensorflow", "keras"}
    count = re.search(r"(\d+)/\d+ tests collected", found.stdout)
    assert count and int(count[1]) > 1000
    folders = {line.split("/")[1] for line in found.stdout.splitlines() if "::" in line}
    assert folders >= {"edge", "convert", "models", "firmware_bridge"}
    assert not folders & {"soak", "smoke", "studies"}


def test_one_that_needs_something_slow_and_is_not_marked_fails(tmp_path):
    """Each by name, with what to do."""
    (tmp_path / "test_unmarked.py").write_text(UNMARKED)
    run = fast("-p", "tests.conftest", "-rfp", tmp_path)
    failed = set(re.findall(r"FAILED .*::test_(\w+)", run.stdout))
    wanted = {"tensorflow", "keras", "tensorflow_in_another_program", "broker", "build"}
    assert failed == wanted, run.stdout
    assert re.findall(r"PASSED .*::test_(\w+)", run.stdout) == ["neither"]
    assert "keras: mark the test with pytest.mark.slow" in run.stdout
    assert "needs a broker: mark it with pytest.mark.slow" in run.stdout
    assert "needs a firmware build: mark it with pytest.mark.slow" in run.stdout


def test_what_is_marked_or_known_to_be_slow_is_left_out(tmp_path):
    """By its fixtures, the names in its code, its own mark, or what its module imports."""
    (tmp_path / "test_marked.py").write_text(MARKED)
    (tmp_path / "test_module.py").write_text("import keras\n\ndef test_one():\n    pass\n")
    run = fast("-p", "tests.conftest", "-rs", tmp_path)
    assert "3 deselected" in run.stdout and "needs TensorFlow" in run.stdout, run.stdout
    assert "passed" not in run.stdout and "failed" not in run.stdout
