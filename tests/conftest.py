"""What several folders' tests share: a seed, a writer of STEAD files, a runner of commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.support import selection
from tests.support.background import background  # noqa: F401  (fixture)
from tests.support.broker import broker  # noqa: F401  (fixture)
from tests.support.firmware import make_firmware  # noqa: F401  (fixture)
from tests.support.node import node  # noqa: F401  (fixture)
from tests.support.wire import (  # noqa: F401  (fixtures)
    hello,
    packet_from,
    root,
    vectors,
    waves,
)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has its processor
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def pytest_configure(config: pytest.Config) -> None:
    """Keep TensorFlow out of fast tests."""
    if selection.is_fast(config):
        selection.forbid_tensorflow()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow; begin with the files that take longest."""
    selection.mark_slow(items)
    selection.put_long_files_first(items)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than processors: many tests wait, for a broker, a sensor, a program."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let helpers know which test needs them."""
    selection.started(item)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed."""
    return np.random.default_rng(20220101)


@pytest.fixture
def write_stead(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of STEAD-layout files; it takes {name: (waveform, attributes)}."""

    def write(traces: dict, name: str = "traces.hdf5") -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            group = file.create_group("data")
            for trace_name, (waveform, attributes) in traces.items():
                dataset = group.create_dataset(trace_name, data=waveform)
                dataset.attrs.update(attributes)
        return path

    return write


@pytest.fixture
def eqedge() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a runner of the command line as a process of its own."""

    def run(*arguments: str | Path, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "eqedge", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
