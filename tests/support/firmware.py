"""The reference firmware, built once a session whatever the number of workers."""

import fcntl
import os
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from .selection import require_slow

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware_bridge" / "firmware"


def session_folder(tmp_path_factory, name):
    """Return a folder that all workers of a session share, and that no other session has."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / name
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def locked(path):
    """Within, no other worker is in a block with this path."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def make_firmware(tmp_path_factory):
    """Return a function that runs targets of the firmware's Makefile; it returns their folder.

    A worker waits while another makes the same target, and then finds it made.
    """
    out = session_folder(tmp_path_factory, "firmware")

    def make(*targets):
        require_slow("a firmware build")
        command = ["make", "-C", FIRMWARE, f"OUT={out}", *targets]
        with ExitStack() as locks:
            for target in sorted(target for target in targets if "=" not in target):
                locks.enter_context(locked(out / f"{target}.lock"))
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return out

    return make
