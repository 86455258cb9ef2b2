"""Completion in a shell, as docs/running.md sets it up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUNNING = Path(__file__).resolve().parent.parent / "docs" / "running.md"
SETUP = {
    "bash": 'eval "$(_EQEDGE_COMPLETE=bash_source eqedge)"',
    "zsh": 'eval "$(_EQEDGE_COMPLETE=zsh_source eqedge)"',
    "fish": "_EQEDGE_COMPLETE=fish_source eqedge | source",
}


@pytest.fixture
def environment(tmp_path):
    """Variables with an `eqedge` on the path."""
    program = tmp_path / "bin" / "eqedge"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m eqedge "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize("shell", SETUP)
def test_the_page_has_the_line_of_each_shell(shell, environment):
    """And the line makes the program print that shell's script."""
    assert SETUP[shell].replace("|", "\\|") in RUNNING.read_text()  # in a table
    variables = {**environment, "_EQEDGE_COMPLETE": f"{shell}_source"}
    done = subprocess.run(["eqedge"], env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "_eqedge_completion" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["eqedge", "do"], {"doctor"}),
        (["eqedge", "config", ""], {"check"}),
        (["eqedge", "sensor", "wa"], {"watch", "waveform"}),
        (["eqedge", "run", "--log-level", "wa"], {"warning"}),
        (["eqedge", "run", "--detection"], {"--detection-threshold"}),
    ],
)
def test_bash_completes(words, expected, environment):
    """Commands, options and choices."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    quoted = " ".join(f"'{word}'" for word in words)
    script = f"""{SETUP["bash"]}
complete -p eqedge >/dev/null || exit 3
COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}
_eqedge_completion eqedge
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        [bash, "--norc", "-c", script], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == expected
