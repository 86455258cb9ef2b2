"""Let parts of a program choose how a signal ends them; standard streams are open meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from .. import EqedgeError
from .ending import STOPPING, Ending, Interrupted, Part, Stopped
from .files import remove_unfinished

_current: Ending | None = None


def is_script(name: str) -> bool:
    """Return whether this process was started as a script, and not as the child of one."""
    return Path(sys.argv[0]).name == name and "__mp_main__" not in sys.modules


def handle_from_here() -> None:
    """Handle signals until the program ends; before a part begins they are kept for it.

    Standard streams that are closed lead to nowhere: a file that is opened must not get their
    number, under which libraries write.
    """
    global _current
    _open_standard_streams()
    if _current is None:
        _current = Ending()
        _current.install()


def keep_exit_status() -> None:
    """Ignore further signals where one has come: the end of the interpreter is not handled."""
    if _current is not None and _current.has_come:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def _handled() -> Iterator[Ending | None]:
    """Handle signals for as long as the outermost block runs; None outside of the main thread."""
    global _current
    if threading.current_thread() is not threading.main_thread():
        yield None
    elif _current is not None:
        yield _current
    else:
        _current = Ending()
        _current.install()
        try:
            yield _current
        finally:
            ending, _current = _current, None
            ending.remove()
            if ending.pending and ending.number is not None:
                signal.raise_signal(ending.number)  # deferred until now, for who called


@contextmanager
def _part(part: Part) -> Iterator[None]:
    with _handled() as ending:
        if ending is None:
            yield
            return
        ended = False
        try:
            ending.begin(part)
            yield
            ended = True
        finally:
            ending.end(part, failed=not ended)


@contextmanager
def stopped_by_signals(line: str = "stopping") -> Iterator[None]:
    """Interrupt the block at a signal, tidied up as after any other error.

    Args:
        line: Acknowledges the signal.

    Raises:
        Stopped: A signal came.
    """
    ending: Ending | None = None
    try:
        with _handled() as ending, _part(Part(line, None, interruptible=True)):
            yield
    except (KeyboardInterrupt, Exception) as error:
        converted = ending is not None and ending.was_raised and not isinstance(error, EqedgeError)
        if not isinstance(error, KeyboardInterrupt) and not converted:
            raise
        number = signal.SIGINT if ending is None else ending.first
        if _current is not None:
            _current.is_over = True
        remove_unfinished()  # of a block that was interrupted twice
        raise Stopped(error.number if isinstance(error, Interrupted) else number) from None


@contextmanager
def stop_on_signals(
    stop: Callable[[], None], line: str, *, interruptible: bool = False
) -> Iterator[None]:
    """Let a signal request the end of the block, which ends itself.

    Args:
        stop: Called in another thread, at once if a signal came before.
        line: Acknowledges the signal.
        interruptible: Whether the signal that hastens interrupts the block.
    """
    with _part(Part(line, stop, interruptible)):
        yield


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Let signals wait until what may not be left half done is done."""
    with _part(Part("", None, interruptible=False)):
        yield


@contextmanager
def hastened(call: Callable[[], None]) -> Iterator[None]:
    """Have a function called, in another thread, by the signal that hastens.

    Args:
        call: Returns at once.
    """
    with _handled() as ending:
        if ending is not None:
            ending.haste.append(call)
        try:
            yield
        finally:
            if ending is not None:
                ending.haste.remove(call)


def _open_standard_streams() -> None:
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
    if isinstance(sys.stdout, TextIOWrapper):  # a file's name may be no text
        sys.stdout.reconfigure(errors="surrogateescape")
    if sys.stderr is None:  # faulthandler and libraries need one
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  (open until the program ends)
