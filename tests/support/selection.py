"""Which tests are slow.

`make test-fast` runs what is not slow. A test is slow if it needs TensorFlow, a firmware build or
a broker, or takes more than a few seconds. What can be known from its folder and fixtures is marked
here; the rest carries `@pytest.mark.slow`. One that is not marked and needs one of these fails, in
`make test` too where it is a broker or a build.
"""

import os
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType

import pytest

TESTS = Path(__file__).resolve().parents[1]
SLOW_FOLDERS = ("soak", "smoke", "studies")
SLOW_FIXTURES = {"broker", "make_firmware", "built", "whole", "played"}
SLOW_NAMES = {"Broker", "find"}
"""A test whose own code uses one of these needs a broker."""
TENSORFLOW = ("tensorflow", "keras")

_running: list[pytest.Item] = []


def is_fast(config):
    """Return whether only what is not slow is to run."""
    return config.getoption("markexpr") == "not slow"


def started(item):
    """Note which test runs now."""
    _running[:] = [item]


def require_slow(what):
    """Fail the running test if it is not marked as slow, but needs something slow."""
    if _running and not _running[0].get_closest_marker("slow"):
        pytest.fail(f"needs {what}: mark it with pytest.mark.slow")


class _Forbidden(MetaPathFinder):
    """Skips a module of tests that needs TensorFlow; fails a test that does."""

    def find_spec(self, name, path=None, target=None):
        """Refuse TensorFlow; leave the rest to others."""
        if name.partition(".")[0] in TENSORFLOW:
            if not _running:
                pytest.skip("needs TensorFlow", allow_module_level=True)
            raise ModuleNotFoundError(f"{name}: mark the test with pytest.mark.slow")


def forbid_tensorflow():
    """Let nothing import TensorFlow, in this process or in those that it starts."""
    for name in TENSORFLOW:
        sys.modules.pop(name, None)  # a worker was started with None in its place
    sys.meta_path.insert(0, _Forbidden())
    path = [str(TESTS / "support" / "without_tensorflow"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))


def mark_slow(items):
    """Mark what is slow by its folder, its fixtures or the names in its code."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0] if TESTS in item.path.parents else ""
        code = getattr(getattr(item, "function", None), "__code__", None)
        names = set(code.co_names) if isinstance(code, CodeType) else set()
        fixtures = set(getattr(item, "fixturenames", ()))
        if folder in SLOW_FOLDERS or fixtures & SLOW_FIXTURES or names & SLOW_NAMES:
            item.add_marker(pytest.mark.slow)


def put_long_files_first(items):
    """Begin with the files that have a test with a time limit of its own: those take longest."""
    long = {item.path for item in items if item.get_closest_marker("timeout")}
    items.sort(key=lambda item: item.path not in long)
