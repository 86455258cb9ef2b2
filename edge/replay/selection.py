"""Select the traces of a file: by a CSV's rows, by an expression, or some at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .fields import TraceError
from .label_table import NAME_COLUMN
from .stead import SteadError, SteadFile
from .where import Where


@dataclass(frozen=True)
class TraceSelection:
    """Which traces of a file are used.

    Attributes:
        labels: CSV whose rows select and label, or None for the one beside the file.
        where: Expression over the fields, such as `snr_db > 10`; None for all.
        traces: Of those, this many at random; None for all.
        seed: Of the choice.
    """

    labels: Path | None = None
    where: str | None = None
    traces: int | None = None
    seed: int = 0

    def open(self, path: Path) -> SteadFile:
        """Open a file with the labels of the selection.

        Raises:
            SteadError: It cannot be read.
            LabelTableError: The CSV cannot be read.
        """
        return SteadFile(path, self.labels)

    def names(self, file: SteadFile) -> list[str]:
        """Return the names of the selected traces; random ones in random order.

        Raises:
            SteadError: There is none.
            WhereError: The expression cannot be read.
        """
        names = file.names
        if self.where is not None:
            names = _accepted(file, names, Where(self.where))
        return choose(names, self.traces, self.seed)


EVERYTHING = TraceSelection()


def choose(names: Sequence[str], count: int | None, seed: int) -> list[str]:
    """Choose `count` names at random, without repeats; all in the file's order if None."""
    if count is None or count >= len(names):
        return list(names)
    order = np.random.default_rng(seed).choice(len(names), size=count, replace=False)
    return [names[index] for index in order.tolist()]


def _accepted(file: SteadFile, names: Sequence[str], where: Where) -> list[str]:
    """Return the names that an expression accepts, and those that the reader will reject."""
    kept: list[str] = []
    known = {NAME_COLUMN, *(file.table.columns if file.table else ())}
    accepted = 0
    for name in names:
        try:
            _, fields = file.fields(name, where.fields)
        except TraceError:
            kept.append(name)  # named where it is read
            continue
        known.update(fields)
        fields.setdefault(NAME_COLUMN, name)
        if where.accepts(fields):
            kept.append(name)
            accepted += 1
    # without this a misspelt name in `not snr > 10` or `snr != 10` would select every trace
    unknown = [field for field in where.fields if field not in known]
    if unknown or not accepted:
        reason = f"no trace has the field {', '.join(unknown)}" if unknown else "none fulfils it"
        raise SteadError(f"{file.path}: --where {where.text!r} selects no trace: {reason}")
    return kept
