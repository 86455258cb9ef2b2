"""Silence and one-line errors: what long commands need of a terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click

from .. import EqedgeError, first_line, how_to_install, reason_of
from ..edge import logs
from ..edge.options import IMPOSSIBLE, check_paths
from ..edge.runtime import stderr_silenced
from ..edge.signals import keep_exit_status, stopped_by_signals


class OutOfMemory(EqedgeError):
    """There is no memory left."""


def run_with_one_line_errors(command: click.Command, name: str) -> None:
    """Run a command line under a name; what a user can put right comes out as one line."""
    try:
        command(prog_name=name)
    except EqedgeError as error:
        logs.write_last(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in IMPOSSIBLE:
            raise
        logs.write_last(f"{error.filename}: {reason_of(error)}; use another name")
        sys.exit(EqedgeError.exit_code)
    finally:
        keep_exit_status()


def report_line(line: str) -> None:
    """Print a line about the input on standard error, under the program's name."""
    click.echo(logs.as_line(line), err=True, nl=False)


def stopped_tidily(command: click.Command) -> click.Command:
    """Let a signal end a command, or each command of a group, with one line and no half file."""
    if isinstance(command, click.Group):
        for one in command.commands.values():
            stopped_tidily(one)
    elif command.callback is not None:
        body = command.callback

        @wraps(body)
        def stopped(*arguments: Any, **options: Any) -> Any:
            check_paths(options)
            with stopped_by_signals():
                return body(*arguments, **options)

        command.callback = stopped
    return command


@contextmanager
def memory_errors() -> Iterator[None]:
    """Let a lack of memory end a command in one line.

    Raises:
        OutOfMemory: This process has no memory left.
    """
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(
            "out of memory; close other programs, or give fewer calibration records"
        ) from error


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
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # nor warnings about retracing
    except ImportError as error:
        if "annot allocate memory" in str(error) or "failed to map segment" in str(error):
            raise OutOfMemory("out of memory while TensorFlow is loaded; close programs") from error
        raise EqedgeError(
            f"TensorFlow cannot be imported ({first_line(error)}); {how_to_install('convert')}"
        ) from error
