"""`eqedge` as a program in the background."""

import subprocess
import sys

import pytest


@pytest.fixture
def background():
    """Start `eqedge` with these arguments and options of `Popen`; killed at the end."""
    running = []

    def start(*arguments, **options):
        command = [sys.executable, "-m", "eqedge", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, **{**pipes, **options})
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
