"""Handle the signals that end a program, for as long as a block runs."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a service manager sends."""


@contextmanager
def stopping_signals(
    handle: Callable[[int, FrameType | None], None],
) -> Iterator[dict[signal.Signals, Any]]:
    """Let a function handle SIGINT and SIGTERM until the block ends; in the main thread only.

    Args:
        handle: Called with the signal's number, as by `signal.signal`.

    Yields:
        The earlier handler of each signal, installed again at the end; the block may replace it.
    """
    afterwards: dict[signal.Signals, Any] = {
        number: signal.signal(number, handle) for number in STOPPING
    }
    try:
        yield afterwards
    finally:
        for number, handler in afterwards.items():
            signal.signal(number, handler)
