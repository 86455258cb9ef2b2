"""Choose the traces to draw, and refuse labels that are of other traces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ...edge.files import text_lines
from ...edge.replay.fields import TraceError
from ...edge.replay.label_table import LabelTable, LabelTableError
from ...edge.replay.stead import SteadFile, Trace
from ..progress import report as to_stderr
from .canvas import PlotError


def trace_names(path: Path) -> list[str]:
    """Read a list of traces: a name a line, or a CSV with a column `trace_name`.

    Raises:
        PlotError: It cannot be read, or has no name.
    """
    try:
        names = list(LabelTable(path).names())
    except LabelTableError:
        lines = text_lines(path, PlotError, "give a file with a trace name on each line")
        names = [line.strip() for line in lines if not line.lstrip().startswith("#")]
        names = [name for name in names if name]
    if not names:
        raise PlotError(f"{path}: no trace name; write one on each line")
    return names


def read_traces(
    file: SteadFile, names: Sequence[str], report: Callable[[str], None] = to_stderr
) -> list[Trace]:
    """Read traces by name, each once; without a name the first with a P, or that can be read.

    Args:
        file: Open.
        names: Those that are wanted.
        report: Called with a line about traces passed over on the way to one with a P.

    Raises:
        PlotError: There is no such trace, or none can be read.
        TraceError: One of the named cannot be read.
    """
    if names:
        known = set(file.names)
        return [_read(file, name, known) for name in dict.fromkeys(names)]
    fallback: Trace | None = None
    problems: list[str] = []
    for name in file.names:
        try:
            trace = file.read(name)
        except TraceError as error:
            problems.append(str(error))
            continue
        fallback = fallback or trace
        if trace.p_arrival_sample is not None:
            fallback = trace
            break
    if fallback is None:
        raise PlotError(f"{file.path}: no trace can be read; {problems[0]}")
    if problems:
        more = f", the first of {len(problems)}" if len(problems) > 1 else ""
        report(f"passed over{more}: {problems[0]}")
    return [fallback]


def remarks_of(traces: Iterable[Trace]) -> list[str]:
    """Return a line for each trace that is drawn and odd."""
    return [f"trace {trace.name}: {trace.remark}" for trace in traces if trace.remark]


def check_labels(data: Path, traces: Sequence[Trace], labels: Path | None = None) -> None:
    """Check that labels are not missing because the CSV is of other traces.

    Args:
        data: The HDF5 file.
        traces: Those that are drawn.
        labels: The CSV; None for the one beside the file.

    Raises:
        PlotError: None of them has a label or is noise, and the CSV has no row for any of them.
    """
    table = labels or data.with_suffix(".csv")
    if any(trace.is_noise or trace.arrivals() for trace in traces) or not table.is_file():
        return
    rows = LabelTable(table)
    if any(trace.name in rows for trace in traces):
        return
    raise PlotError(
        f"{table}: no row for {traces[0].name}{' or any other trace drawn' * (len(traces) > 1)}, "
        "so no label is known; name the CSV of this file, or remove it"
    )


def _read(file: SteadFile, name: str, known: set[str]) -> Trace:
    if name not in known:
        near = sorted(other for other in known if name.lower() in other.lower())[:3]
        hint = f"did you mean {', '.join(near)}" if near else f"its first is {min(known)}"
        raise PlotError(f"trace {name}: not in {file.path.name}; {hint}")
    return file.read(name)
