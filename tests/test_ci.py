"""CI, the classifiers and the Makefile name the same Pythons and the same commands."""

import json
import os
import re
import subprocess
import sys
import tomllib

from .conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOW = (ROOT / ".github/workflows/test.yml").read_text()


def make(*arguments):
    """Return the commands that make would run."""
    command = ["make", "--no-print-directory", "--dry-run", "--always-make", *arguments]
    environment = {"PATH": os.environ["PATH"]}  # without what a make around the tests was given
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_matrix_is_the_classifiers():
    """Each version that the package names, from the lowest it installs on, without a gap."""
    command = [sys.executable, ROOT / ".ci/pythons"]
    named = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    ends = [c.rpartition(" :: ")[2] for c in PROJECT["classifiers"]]
    assert named == [end for end in ends if re.fullmatch(r"3\.\d+", end)]
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert named == [f"3.{minor}" for minor in range(11, 11 + len(named))] and len(named) > 2


def test_the_workflow_runs_make_test_with_each_of_them():
    """The matrix comes from `.ci/pythons`; the file names no version of its own."""
    assert 'run: echo "named=$(.ci/pythons)" >> "$GITHUB_OUTPUT"' in WORKFLOW
    assert "python: ${{ fromJSON(needs.pythons.outputs.named) }}" in WORKFLOW
    assert "run: make test PYTHON=python${{ matrix.python }}" in WORKFLOW
    assert not re.findall(r"\b3\.\d+", WORKFLOW)


def test_each_python_has_environments_of_its_own():
    """The default one keeps `.venv`; another reuses nothing of it."""
    assert ".venv/bin/python -m pytest" in make("test", "APT=")
    other = make("test", "demo", "APT=", "PYTHON=/opt/bin/python3.12")
    assert "/opt/bin/python3.12 -m venv .venv-python3.12\n" in other
    assert ".venv-python3.12/bin/python -m pytest" in other
    assert "/opt/bin/python3.12 -m venv .venv-node-python3.12\n" in other
    assert not re.findall(r"\.venv(-node)?(/|\s)", other)


def test_a_commit_is_checked_as_make_checks():
    """The hooks run the same programs from the same environment, and keep large files out."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    for line in make("check").splitlines():
        program = line.partition(" ")[0]
        if program.endswith(("/ruff", "/mypy")):
            assert f"entry: {program}" in hooks
    assert "entry: .venv/bin/ruff format --force-exclude\n" in hooks
    assert "entry: check-added-large-files" in hooks
