"""Make batches in separate processes while the network learns, in a fixed order."""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError
from ...models.spec import ModelSpec
from ..data.files import LabelMap
from ..data.records import Record
from ..data.waveforms import RecordKey, Unusable
from .library import Library
from .sampling import Mixture, Sampler

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]
Skips = list[tuple[RecordKey, str]]
"""Records that could not be used, and why, since the batch before."""
QUEUED_BATCHES = 4
PATIENCE_SECONDS = 1.0


class StreamError(EqedgeError):
    """A process that makes batches has died."""


@dataclass(frozen=True)
class StreamSettings:
    """What batch a number stands for."""

    seed: int
    batch_windows: int
    mixture: Mixture
    spec: ModelSpec
    budget_bytes: int = 2 << 30
    """Of samples that each process keeps in memory."""
    hard: tuple[int, ...] = ()
    """Quiet scenes that fooled a network."""


def batches(
    records: list[Record],
    labels: LabelMap,
    settings: StreamSettings,
    first: int,
    workers: int = 1,
    unusable: Unusable | None = None,
) -> Iterator[Batch]:
    """Yield batch `first` and all after it, without end.

    A batch depends on the seed and its number alone: neither on how many processes make it nor on
    where an interrupted run took up again.

    Args:
        records: To train on; none of them held out.
        labels: Teachers' answers.
        settings: What a batch is.
        first: Number of the first batch.
        workers: Processes; 0 makes the batches in this one.
        unusable: Counts records that cannot be used, with the first batch made without them.
    """
    unusable = Unusable() if unusable is None else unusable
    if workers == 0:
        sampler = _sampler(records, labels, settings, unusable)
        number = first
        while True:
            windows, targets = sampler.batch(settings.seed, number, settings.batch_windows)
            # as they come out of another process
            yield windows, targets.astype(np.float16).astype(np.float32)
            number += 1
    context = multiprocessing.get_context("spawn")
    lines: list[Any] = [context.Queue(QUEUED_BATCHES) for _ in range(workers)]
    processes = [
        context.Process(
            target=_work, args=(line, records, labels, settings, first + k, workers), daemon=True
        )
        for k, line in enumerate(lines)
    ]
    # Ctrl-C and a terminal that closes reach the whole group: this process saves first and ends
    # the others itself. They begin with these signals blocked, and leave them so.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        for process in processes:
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        number = 0
        while True:
            batch, skips = _next(lines[number % workers], processes[number % workers])
            for record, reason in skips:
                unusable.add(record, reason)
            yield batch
            number += 1
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _next(line: Any, process: Any) -> tuple[Batch, Skips]:
    while True:
        try:
            windows, targets, skips = line.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            if not process.is_alive():
                raise StreamError(
                    f"the process that makes batches ended (code {process.exitcode}); its "
                    "message stands above; --resume goes on from the last checkpoint"
                ) from None
        else:
            return (windows, targets.astype(np.float32)), skips


def _work(
    line: Any,
    records: list[Record],
    labels: LabelMap,
    settings: StreamSettings,
    first: int,
    stride: int,
) -> None:
    unusable = Unusable()
    sampler = _sampler(records, labels, settings, unusable)
    number, sent = first, 0
    while True:
        windows, targets = sampler.batch(settings.seed, number, settings.batch_windows)
        skips = list(islice(unusable.reasons.items(), sent, None))
        sent += len(skips)
        line.put((windows, targets.astype(np.float16), skips))
        number += stride


def _sampler(
    records: list[Record], labels: LabelMap, settings: StreamSettings, unusable: Unusable
) -> Sampler:
    library = Library(records, labels, settings.budget_bytes, unusable)
    return Sampler(library, settings.spec, settings.mixture, settings.hard)
