"""The wheel, installed outside the checkout with nothing but a node's packages, runs the demo."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from .conftest import ROOT
from .support.golden import GOLDEN, differences, read_lines

pytest.importorskip("setuptools", minversion="77")
pytestmark = pytest.mark.slow  # builds and installs

FOLDERS = ("edge", "convert", "firmware_bridge", "models")
LEFTOVERS = (
    "firmware_bridge/firmware/build/sensor",
    "edge/__pycache__/old.cpython-311.pyc",
    "tests/kept.py",
    "studies/kept.py",
)
"""What a checkout in which somebody has worked may hold."""
HERE = {"extra": ""}


def run(*command, **options):
    """Run a program; return what it wrote."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the checkout, with leftovers in it."""
    copy, out = tmp_path_factory.mktemp("copy") / "eqedge", tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "runs")
    shutil.copytree(ROOT, copy, ignore=unwanted)
    for name in LEFTOVERS:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("left over")
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", *offline, "--wheel-dir", out, copy)
    (path,) = out.glob("*.whl")
    return path


def needed(name):
    """Return a distribution and all that it needs here, optional ones aside, by name."""
    found, waiting = {}, [name]
    while waiting:
        one = distribution(waiting.pop())
        if one.name not in found:
            found[one.name] = one
            wanted = map(Requirement, one.requires or [])
            waiting += [w.name for w in wanted if w.marker is None or w.marker.evaluate(HERE)]
    return found


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """An environment with the wheel and what it says it needs, borrowed by links, and no more."""
    folder = tmp_path_factory.mktemp("bare")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    (site,) = folder.glob("lib/python3*/site-packages")
    for name, found in needed("eqedge").items():
        for top in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
            if name != "eqedge" and not (site / top).exists():
                (site / top).symlink_to(found.locate_file(top))
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", "--no-cache-dir", "--no-compile", wheel)
    return folder


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    """Each module and data file of the four folders; no tests, studies, or what was built once."""
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"
    assert {name.split("/")[0] for name in names} == {"eqedge", metadata}
    own = {name.removeprefix("eqedge/") for name in names if name.startswith("eqedge/")}
    at_top = {name for name in own if "/" not in name}
    assert at_top == {"__init__.py", "__main__.py", "py.typed"}
    assert {name.split("/")[0] for name in own - at_top} == {*FOLDERS}
    assert not own & set(LEFTOVERS)
    assert [name for name in own if "__pycache__" in name or "/build/" in name] == []
    tracked = run("git", "-C", ROOT, "ls-files", "--", *FOLDERS).splitlines()
    modules = {name for name in tracked if name.endswith(".py") and (ROOT / name).exists()}
    assert len(modules) > 100 and modules <= own
    assert own >= {"edge/event.schema.json", "edge/replay/samples/demo.hdf5"}
    assert own >= {name for name in tracked if name.startswith("models/weights/")}


def test_it_runs_the_demo_outside_the_checkout(bare, tmp_path):
    """As docs/release.md checks a release: the same events as the checkout's, within tolerances."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    here = {"cwd": tmp_path, "env": environment}
    eqedge = bare / "bin" / "eqedge"
    where = run(bare / "bin/python", "-c", "import eqedge, sys; print(eqedge.__file__)", **here)
    assert Path(where.strip()).is_relative_to(bare)
    heavy = "import importlib.util as u; print([n for n in ('tensorflow', 'scipy', 'matplotlib', "
    heavy += "'obspy', 'pytest') if u.find_spec(n)])"
    assert run(bare / "bin/python", "-c", heavy, **here) == "[]\n"
    assert "ai-edge-litert" in run(eqedge, "--version", "-v", **here)
    demo = bare / where.strip().rpartition("/")[0] / "edge" / "replay" / "samples" / "demo.hdf5"
    log = run(eqedge, "run", "--sim", demo, "--speed", "max", "--output", "o.jsonl", **here)
    assert "of 10 found" in log and "Traceback" not in log
    assert differences(read_lines(tmp_path / "o.jsonl"), read_lines(GOLDEN)) == []
