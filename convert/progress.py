"""Report the progress of long work on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click

from ..edge.logs import one_line

QUIET_S = 20.0
"""Longest time without a line where standard error is not a terminal."""

OnProgress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""


def report(line: str) -> None:
    """Print a line on standard error, at once."""
    print(one_line(line), file=sys.stderr, flush=True)


class ProgressLines:
    """Lines on standard error: rewritten in place on a terminal, else one now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._reported = ""
        self._last_s = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report how much of something is done."""
        now_s = time.monotonic()
        if self._terminal:
            end = "\n" if done == total else ""
            click.echo(f"\r{what} {done}/{total}{end}", nl=False, err=True)
        elif done == total:
            click.echo(f"{what}: done", err=True)
        elif what != self._reported or now_s - self._last_s >= QUIET_S:
            click.echo(f"{what}: {done} of {total}", err=True)
        else:
            return
        self._reported, self._last_s = what, now_s
