"""Receive the signals that end a program: acknowledge the first, hasten at a later second one."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from .. import EqedgeError
from .files import remove_unfinished
from .logs import as_line
from .process import children

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, what a service manager sends, and what a terminal sends that is closed."""
SAME_WISH_SECONDS = 1.0
"""A signal this soon after the first has the same cause: timeout(1) and wrappers send two."""
HASTE_SECONDS = 10.0
"""After the signal that hastens, a program has this time to end."""
AGAIN = b"\0"
"""In place of a signal's number: interrupt the main thread again."""
AGAIN_SECONDS = 0.05
SWALLOWED_SECONDS = 1.0
"""A part that goes on for this long after its interruption, and not with it, is interrupted again:
bare `except:` clauses and C code of libraries drop what is raised in them."""
LOOK_SECONDS = 0.2
"""How often that is looked for, once a signal has come."""


class Interrupted(KeyboardInterrupt):
    """Raised in the main thread where a signal ends a command.

    Args:
        number: Of the first signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stopped(EqedgeError):
    """A signal ended a command.

    Args:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; no file is left unfinished")
        self.exit_code = 128 + number


@dataclass(frozen=True, eq=False)
class Part:
    """How the part of the program that runs now ends.

    Attributes:
        line: Acknowledges the first signal.
        stop: Called in another thread at the first signal; None where the part does not end itself.
        interruptible: Whether a signal interrupts it: the first one, or with `stop` the one that
            hastens.
    """

    line: str
    stop: Callable[[], None] | None
    interruptible: bool


class Ending:
    """Receives the signals of this process.

    A thread acknowledges them, because the main thread may be inside a library for minutes, and
    because a handler must not take a lock that the code under it may hold.
    """

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.haste: list[Callable[[], None]] = []
        self.number: int | None = None
        """Of the first signal."""
        self.is_over = False
        """The program's last line is near: nothing is acknowledged after it."""
        self._handled: int | None = None
        """Of the first signal, in the main thread, which may be earlier than the other thread."""
        self._first_time = 0.0
        self._limit: threading.Timer | None = None
        self._answered_time: float | None = None
        """When the main thread was interrupted, or its part began to end itself."""
        self._interrupted: tuple[Part, float] | None = None
        """The part that was interrupted last, and when."""
        self.pending = False
        """A part must be interrupted, which the one that runs now does not allow."""
        self.was_raised = False
        """Whether the main thread was interrupted: bindings of C++ raise another error for it."""
        self._repeated = 0
        self._afterwards: dict[int, Any] = {}

    def install(self) -> None:
        """Take over the handlers; SIGHUP stays ignored where it is, as under nohup."""
        self._stderr = _duplicate_of_stderr()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        for number in STOPPING:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._afterwards[number] = signal.signal(number, self._handle)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._not_raised
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()

    def remove(self) -> None:
        """Give the handlers back."""
        sys.unraisablehook = self._hook
        for number, handler in self._afterwards.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._write)
        self._thread.join()
        os.close(self._read)
        if self._limit is not None:
            self._limit.cancel()
        if self._stderr is not None:
            os.close(self._stderr)

    @property
    def has_come(self) -> bool:
        """Whether a signal has come, be it only to the main thread as yet."""
        return self.number is not None or self._handled is not None

    @property
    def first(self) -> int:
        """The signal that came first; SIGINT where none has come."""
        return self._handled or self.number or signal.SIGINT

    def begin(self, part: Part) -> None:
        """Begin a part; a signal that came before is for it.

        Raises:
            Interrupted: A signal came, and interrupts this part.
        """
        self.parts.append(part)
        if part.stop is not None and (self.pending or self.number is not None):
            if self.pending:
                self.pending, self._answered_time = False, time.monotonic()
            part.stop()
        self._interrupt()

    def end(self, part: Part, *, failed: bool) -> None:
        """End the innermost part; a signal that it deferred is for the one around it.

        Raises:
            Interrupted: A signal came, and interrupts that one.
        """
        self.parts.remove(part)
        if not failed:
            self._interrupt()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Interrupt the main thread where its part allows it: once, and again to hasten."""
        self._handled = self._handled or number
        stopping = self._stopping()
        now = time.monotonic()
        if self._answered_time is None:
            if stopping is None:
                self.pending = True
            else:
                self._answered_time = now  # the thread has called its `stop`
        elif now - self._answered_time >= SAME_WISH_SECONDS:
            self.pending = stopping is None or stopping.interruptible
        self._interrupt()

    def _interrupt(self) -> None:
        if self.pending and self.parts and self.parts[-1].interruptible:
            self.pending, self._answered_time = False, time.monotonic()
            self._interrupted = (self.parts[-1], self._answered_time)
            self.was_raised = True
            raise Interrupted(self._handled or signal.SIGINT)

    def _stopping(self) -> Part | None:
        """Return the part that ends itself, also where one inside of it defers signals."""
        for part in reversed(self.parts):
            if part.stop is not None or part.interruptible:
                return part if part.stop is not None else None
        return None

    def _not_raised(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Interrupt again where the interruption fell into a destructor, which drops it."""
        if issubclass(unraisable.exc_type, Interrupted):
            self._interrupted = self._answered_time = None
            os.write(self._write, AGAIN)
        else:
            self._hook(unraisable)

    # -- the thread --------------------------------------------------------------------------------

    def _listen(self) -> None:
        waiting = select.poll()
        waiting.register(self._read, select.POLLIN)
        while True:
            if not waiting.poll(None if self.number is None else LOOK_SECONDS * 1000):
                self._look_whether_swallowed()
                continue
            numbers = os.read(self._read, 64)
            if not numbers:
                return
            for number in numbers:
                if number in AGAIN:
                    self._repeated += 1
                    time.sleep(AGAIN_SECONDS)
                    os.kill(os.getpid(), self.number or signal.SIGINT)
                elif number in self._afterwards and self._repeated:
                    self._repeated -= 1
                elif number in self._afterwards:  # others may have handlers of other signals
                    self._arrived(number)

    def _look_whether_swallowed(self) -> None:
        """Interrupt a part again that runs on as if nothing had been raised in it."""
        interrupted = self._interrupted
        if interrupted is None:
            return
        part, since = interrupted
        if part not in self.parts:
            self._interrupted = None
        elif time.monotonic() - since >= SWALLOWED_SECONDS and not _is_tidying_up():
            self._interrupted = self._answered_time = None
            self._repeated += 1
            os.kill(os.getpid(), self.number or signal.SIGINT)

    def _arrived(self, number: int) -> None:
        now = time.monotonic()
        name = signal.Signals(number).name
        if self.number is None:
            self.number, self._first_time = number, now
            part = self._stopping()
            if part is not None and part.stop is not None:
                part.stop()
            lines = [one.line for one in self.parts if one.line]
            if not self.is_over:
                self._report(f"{name}: {lines[-1] if lines else 'stopping'}")
        elif now - self._first_time >= SAME_WISH_SECONDS and self._limit is None:
            self._limit = threading.Timer(HASTE_SECONDS, self._end_now)
            self._limit.daemon = True
            self._limit.start()
            self._report(f"{name} again: ending within {HASTE_SECONDS:.0f} s")
            for hasten in list(self.haste):
                hasten()

    def _end_now(self) -> None:
        """End the process whatever its main thread does, with no half file and no child left."""
        number = self.number or signal.SIGTERM
        for child in children():
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
        remove_unfinished()
        self._report(str(Stopped(number)))
        os._exit(128 + number)

    def _report(self, text: str) -> None:
        if self._stderr is not None:
            with suppress(OSError):
                os.write(self._stderr, as_line(text).encode())


def _is_tidying_up() -> bool:
    """Whether the main thread runs what an interruption makes it run: `finally`, `with`."""
    current: Any = sys._current_exceptions().get(threading.main_thread().ident or 0)
    error = current[1] if isinstance(current, tuple) else current  # before Python 3.12
    while error is not None and not isinstance(error, Interrupted):
        error = error.__context__
    return error is not None


def _duplicate_of_stderr() -> int | None:
    """Return another descriptor of standard error, which loading a runtime silences."""
    try:
        return os.dup(2)
    except OSError:
        return None
