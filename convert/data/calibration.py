"""Choose the windows of STEAD-layout files to calibrate on and to verify on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ... import EqedgeError
from ...edge.replay.fields import TraceError
from ...edge.replay.stead import SteadFile, Trace
from ...models.spec import ModelSpec
from ..progress import OnProgress
from ..progress import report as to_stderr
from .records import station_of
from .windows import QUIET_WINDOWS, WindowSet, cut_windows

MIN_TRACES = 10
"""Usable traces without which ranges and agreement mean nothing."""
MIN_EVENT_TRACES = 5
MAX_TRACES = 600
"""Traces read at most: more cost time and change no range."""
VERIFY_SHARE = 3
"""Every third trace is kept from calibration, to verify on."""
CALIBRATION_WINDOWS = 1600
VERIFICATION_WINDOWS = 400
EVERY_THIRD = "every third trace"
HELD_OUT = "traces of stations held out of training"


class CalibrationError(EqedgeError):
    """The calibration files cannot stand for what the device will see."""


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """What conversion needs to see of the world.

    Attributes:
        calibrate: Windows for the ranges of activations.
        verify: Windows of other traces, for the agreement.
        verified_on: Which traces those are, for the card.
        skipped: Traces that could not be used.
        first_skip: Why the first of them could not, or empty.
    """

    calibrate: WindowSet
    verify: WindowSet
    verified_on: str
    skipped: int
    first_skip: str


def load_windows(
    paths: Sequence[Path],
    spec: ModelSpec,
    *,
    held_out: Collection[str] = (),
    seed: int = 0,
    progress: OnProgress | None = None,
    report: Callable[[str], None] = to_stderr,
) -> CalibrationData:
    """Cut windows at random places of the files' traces and prepare them.

    Args:
        paths: STEAD-layout HDF5 files.
        spec: The model's contract: rate, window, component order, preparation.
        held_out: Stations kept from training, as the training card writes them. If the files hold
            enough of them, those alone are verified on; else every third trace is.
        seed: Of the choice of traces and crops.
        progress: Called with what is done, how much of it, and of how much.
        report: Called with a line about what a CSV selects, and about traces that cannot be used.

    Raises:
        CalibrationError: Too few traces can be used, or all of them are noise; the message gives
            the first trace's reason.
        SteadError: A file cannot be read.
    """
    rng = np.random.default_rng(seed)
    traces, reasons = _usable_traces(paths, spec, rng, progress, report)
    files = ", ".join(path.name for path in paths)
    if len(traces) < MIN_TRACES:
        because = f"; {len(reasons)} skipped, the first: {reasons[0]}" if reasons else ""
        raise CalibrationError(
            f"calibration {files}: {len(traces)} usable traces, at least {MIN_TRACES} are needed"
            f"{because}"
        )
    if _events(traces) < MIN_EVENT_TRACES:
        raise CalibrationError(
            f"calibration {files}: {_events(traces)} of {len(traces)} traces hold an earthquake, "
            f"at least {MIN_EVENT_TRACES} are needed; add a file with events"
        )
    if reasons:
        report(f"traces skipped: {len(reasons)}, the first: {reasons[0]}")
    calibrate, verify, verified_on = _split(traces, frozenset(held_out))
    return CalibrationData(
        cut_windows(calibrate, CALIBRATION_WINDOWS, spec, rng),
        cut_windows(verify, VERIFICATION_WINDOWS, spec, rng, QUIET_WINDOWS),
        verified_on,
        len(reasons),
        reasons[0] if reasons else "",
    )


def _events(traces: Sequence[Trace]) -> int:
    return sum(not trace.is_noise for trace in traces)


def _split(
    traces: Sequence[Trace], held_out: frozenset[str]
) -> tuple[list[Trace], list[Trace], str]:
    """Traces to calibrate on, traces to verify on, and what the latter are."""
    unseen = [station_of(trace.name, trace.attributes) in held_out for trace in traces]
    sides = [[t for t, kept in zip(traces, unseen, strict=True) if kept is side]
             for side in (False, True)]  # fmt: skip
    if all(len(s) >= MIN_TRACES and _events(s) >= MIN_EVENT_TRACES for s in sides):
        return sides[0], sides[1], HELD_OUT
    verify = [trace for number, trace in enumerate(traces) if number % VERIFY_SHARE == 0]
    calibrate = [trace for number, trace in enumerate(traces) if number % VERIFY_SHARE]
    few = f"; {sum(unseen)} are of stations held out of training, too few" if held_out else ""
    return calibrate, verify, EVERY_THIRD + few


def _usable_traces(
    paths: Sequence[Path],
    spec: ModelSpec,
    rng: np.random.Generator,
    progress: OnProgress | None,
    report: Callable[[str], None],
) -> tuple[list[Trace], list[str]]:
    traces, reasons, odd = [], [], list[str]()
    share = max(1, MAX_TRACES // max(1, len(paths)))
    for path in paths:
        with SteadFile(path) as file:
            names = list(file.names)
            chosen = rng.permutation(len(names))[:share]
            for done, index in enumerate(chosen, start=1):
                try:
                    trace = file.read(names[int(index)])
                    odd += [f"trace {trace.name}: {trace.remark}"] if trace.remark else []
                    traces.append(trace.at_rate(spec.sampling_rate_hz))
                except TraceError as error:
                    reasons.append(str(error))
                if progress is not None:
                    progress(f"reading {path.name}", done, len(chosen))
            for line in file.remarks:
                report(line)
    if odd:
        report(f"traces used that are odd: {len(odd)}, the first: {odd[0]}")
    return traces, reasons
