"""Silence, one-line errors and an orderly end: what long commands need of a terminal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from .. import EqedgeError, first_line, how_to_install
from ..edge import logs
from ..edge.runtime import stderr_silenced
from ..edge.signals import stopping_signals


class Stopped(EqedgeError):
    """The user, or the system, ended a conversion."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; no file is left unfinished")
        self.exit_code = 128 + number


class OutOfMemory(EqedgeError):
    """There is no memory left."""


def run_with_one_line_errors(command: click.Command, name: str) -> None:
    """Run a command line under a name; what a user can put right comes out as one line."""
    try:
        command(prog_name=name)
    except EqedgeError as error:
        logs.write_last(str(error))
        sys.exit(error.exit_code)


@contextmanager
def tidy_on_signals() -> Iterator[None]:
    """End on Ctrl-C and SIGTERM as on any other error: tidied up, with one line.

    Raises:
        Stopped: A signal came.
        OutOfMemory: This process has no memory left.
    """
    came: list[int] = []

    def stop(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    with stopping_signals(stop):
        try:
            yield
        except KeyboardInterrupt:
            raise Stopped(came[0] if came else signal.SIGINT) from None
        except MemoryError as error:
            raise OutOfMemory(
                "out of memory; close other programs, or give fewer calibration records"
            ) from error


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until what may not be left half done is done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread alone
        return
    came: list[int] = []
    with stopping_signals(lambda number, _: came.append(number)):
        yield
    if came:
        signal.raise_signal(came[0])


@contextmanager
def tensorflow_silenced(gpus: bool = False) -> Iterator[None]:
    """Suppress what TensorFlow's C++ code writes to standard error while it is imported.

    Args:
        gpus: Let TensorFlow see them.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever Keras is set to for other programs
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not gpus:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        with stderr_silenced():
            yield
    except ImportError as error:
        if "annot allocate memory" in str(error) or "failed to map segment" in str(error):
            raise OutOfMemory("out of memory while TensorFlow is loaded; close programs") from error
        raise EqedgeError(
            f"TensorFlow cannot be imported ({first_line(error)}); {how_to_install('convert')}"
        ) from error
