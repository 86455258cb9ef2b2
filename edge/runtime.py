"""Find the TensorFlow Lite runtime that is installed, and open a model in it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from .. import EqedgeError

CANDIDATES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
)
"""(distribution, module) in the order tried."""


class RuntimeMissing(EqedgeError):
    """No interpreter is installed."""


@dataclass(frozen=True)
class Runtime:
    """An importable interpreter.

    Attributes:
        name: Name of its distribution.
        version: Its version.
        interpreter: The `Interpreter` class.
    """

    name: str
    version: str
    interpreter: Any


@contextmanager
def stderr_silenced() -> Iterator[None]:
    """Suppress what a runtime's C++ code writes to standard error: it has no log level.

    What goes wrong inside still comes out, as an exception.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # built by hand, as on boards without a wheel
        return "of unknown version"


def find_runtime() -> Runtime:
    """Return the first runtime that imports.

    Raises:
        RuntimeMissing: None does; the message names both packages and the error of each.
    """
    reasons = []
    for distribution, module in CANDIDATES:
        try:
            interpreter = importlib.import_module(module).Interpreter
        except ImportError as error:
            reasons.append(f"{distribution}: {error}")
        else:
            return Runtime(distribution, _version(distribution), interpreter)
    raise RuntimeMissing(
        f"no TensorFlow Lite runtime ({'; '.join(reasons)}); pip install ai-edge-litert, or "
        "tflite-runtime where only that has a wheel"
    )


def open_interpreter(data: bytes, threads: int = 1, *, keep_tensors: bool = False) -> Any:
    """Load a model into the installed runtime, without its lines on standard error.

    Args:
        data: The flatbuffer.
        threads: Threads of the interpreter.
        keep_tensors: Whether every tensor can be read after a run, not only the outputs.

    Returns:
        The runtime's `Interpreter`, with its tensors allocated.

    Raises:
        RuntimeMissing: No interpreter is installed.
        ValueError: The data are not a model.
        RuntimeError: The runtime lacks an operation of the model.
    """
    interpreter_class = find_runtime().interpreter
    if not data:
        raise ValueError("the model is empty")
    extra = {"experimental_preserve_all_tensors": True} if keep_tensors else {}
    with stderr_silenced():
        interpreter = interpreter_class(model_content=data, num_threads=threads, **extra)
        interpreter.allocate_tensors()
    return interpreter
