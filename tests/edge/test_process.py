"""What /proc states about a process is what the process did."""

import os
import subprocess
import sys
import time

import pytest
from eqedge.edge.process import cpu_seconds, resident_bytes

SIZE = 64 << 20


def test_memory_grows_by_what_is_held():
    """Pages count from when they are written to."""
    before = resident_bytes()
    held = bytearray(os.urandom(1)) * SIZE
    assert SIZE // 2 < resident_bytes(os.getpid()) - before < 2 * SIZE
    assert len(held) == SIZE


def test_processor_time_is_of_all_threads_to_a_clock_tick():
    """As the process itself counts it."""
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert cpu_seconds() == pytest.approx(time.process_time(), abs=0.05)


def test_a_process_that_ended_has_neither():
    """The caller decides what is missing then."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    for read in (resident_bytes, cpu_seconds):
        with pytest.raises(OSError):
            read(process.pid)
