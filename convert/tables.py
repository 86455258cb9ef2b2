"""Write rows of cells as a table: in Markdown, or aligned for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], numbers_from: int | None = None
) -> list[str]:
    """Return the lines of a Markdown table.

    Args:
        header: One cell for each column.
        rows: Cells of any type, as `str` writes them.
        numbers_from: First column that is set to the right; None for none.
    """
    first = len(header) if numbers_from is None else numbers_from
    rule = "".join("---|" if column < first else "---:|" for column in range(len(header)))
    return [_piped(header), f"|{rule}", *map(_piped, rows)]


def aligned_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int
) -> list[str]:
    """Return the lines of a table for a terminal; the arguments are those of `markdown_table`."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column < numbers_from else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _piped(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
