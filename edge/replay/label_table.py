"""Find the rows of a CSV of labels by trace name, with 20 bytes of memory for each row."""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from ... import EqedgeError, first_line
from .field_names import steads_name
from .fields import by_steads_names
from .other_files import GZIP, HDF5, ZIP

NAME_COLUMN = "trace_name"
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
LONGEST_LINE = 1 << 20
"""Characters; a file with a longer line is not a table."""
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_OTHER_FILES = (
    (ZIP, "a workbook or an archive; save it as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "a workbook; save it as CSV (UTF-8)"),
    (GZIP, "compressed by gzip; unpack it"),
    (HDF5[:4], "HDF5, not a CSV; name the CSV"),
)
_SEPARATOR_LINE = re.compile(r'"?sep=.?"?', re.IGNORECASE)
"""The line before the names of the columns by which a spreadsheet states its separator."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_SHOWN_COLUMNS = 4
_ASCII_IS_ONE_BYTE = ("utf-8", "latin-1")


class LabelTableError(EqedgeError):
    """The CSV cannot be read."""


class LabelTable:
    """The rows of a CSV, read from the file one by one when they are wanted.

    Encoding (UTF-8, UTF-16, UTF-32, else Latin-1) and separator (comma, semicolon, tab, bar) are
    recognised. Of rows of one name the first counts.

    Args:
        path: The CSV; the first line has the names of the columns, one of which is `trace_name`,
            whatever its capitals.

    Attributes:
        columns: STEAD's names of the columns, in small letters.
        remarks: Lines for people: what is unusual about the file.

    Raises:
        LabelTableError: It cannot be read, or has no such column.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: tuple[str, ...] = ()
        self.remarks: list[str] = []
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise LabelTableError(
                f"{path}: cannot be read ({first_line(error)}); remove it or copy it again"
            ) from error
        self._begin, self._encoding = self._recognised()
        try:
            try:
                self._find_rows()
            except UnicodeDecodeError:
                if self._encoding != "utf-8":
                    raise
                self._encoding = "latin-1"
                self._find_rows()
                self.remarks.append(
                    f"{path.name} is not in UTF-8 and was read as Latin-1; save it as UTF-8"
                )
        except (OSError, UnicodeError, csv.Error) as error:
            self.close()
            raise LabelTableError(
                f"{path}: cannot be read as CSV in {self._encoding.upper()} ({first_line(error)}); "
                "save it as CSV, UTF-8, separated by commas"
            ) from error
        except LabelTableError:
            self.close()
            raise

    def __len__(self) -> int:
        """Return the number of traces that have a row."""
        return len(self._hashes)

    def __contains__(self, name: object) -> bool:
        """Whether a trace has a row; by its hash, of 64 bits."""
        return isinstance(name, str) and self._find(name) is not None

    def cells(self, name: str) -> list[tuple[str, str]] | None:
        """Return a trace's row as pairs of a column, as the file calls it, and its text.

        Returns:
            None if the trace has no row.

        Raises:
            LabelTableError: The file has become unreadable.
        """
        index = self._find(name)
        if index is None:
            return None
        cells = self._read(index)
        if by_steads_names(cells)[0].get(NAME_COLUMN) != name:
            raise LabelTableError(f"{self.path}: it has changed while it was read; start again")
        return cells

    def row(self, name: str) -> Mapping[str, str] | None:
        """Return a trace's row by column, or None if it has none; errors as of `cells`."""
        cells = self.cells(name)
        return None if cells is None else by_steads_names(cells)[0]

    def names(self) -> Iterator[str]:
        """Yield the traces' names in the order of the rows."""
        for index in np.sort(self._order):
            yield by_steads_names(self._read(int(index)))[0][NAME_COLUMN]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _find(self, name: str) -> int | None:
        """Return which row is a trace's."""
        wanted = hash(name)
        at = int(np.searchsorted(self._hashes, wanted))
        if at == len(self._hashes) or self._hashes[at] != wanted:
            return None
        return int(self._order[at])

    def _recognised(self) -> tuple[int, str]:
        """Return where the text begins, and its encoding."""
        head = self._file.read(4096)
        for magic, kind in _OTHER_FILES:
            if head.startswith(magic):
                self.close()
                raise LabelTableError(f"{self.path}: {kind}")
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                return len(mark), encoding
        if len(head) > 1 and 0 in (head[0], head[1]) and head[0] != head[1]:
            return 0, "utf-16-be" if head[0] == 0 else "utf-16-le"
        return 0, "utf-8"

    def _find_rows(self) -> None:
        """Note where each row begins, sorted by the hash of its name."""
        with self.path.open("rb") as file:
            file.seek(self._begin)
            text = io.TextIOWrapper(file, encoding=self._encoding, newline="")
            self._index(_Lines(text, self._begin, self._encoding, self.path))

    def _index(self, lines: _Lines) -> None:
        header = next(lines, "")
        while header and (not header.strip() or _SEPARATOR_LINE.fullmatch(header.strip())):
            header = next(lines, "")
        separator = self._separator(header)
        self._separated_by = separator
        cells = next(_cells([header], separator), [])
        self._written = [cell.strip() for cell in cells]
        self.columns = tuple(steads_name(cell) for cell in self._written)
        column = self.columns.index(NAME_COLUMN)
        if twice := sorted({c for c in self.columns if c and self.columns.count(c) > 1}):
            self.remarks.append(
                f"{self.path.name} has more than one column {', '.join(twice)}; "
                "the first one counts"
            )
        starts, hashes = array("q"), array("q")
        uneven = 0
        rows = _cells(lines, separator)
        while True:
            start = lines.offset
            row = next(rows, None)
            if row is None:
                break
            name = row[column].strip() if column < len(row) else ""
            uneven += bool(row) and len(row) != len(self.columns)
            if name:
                starts.append(start)
                hashes.append(hash(name))
        starts.append(lines.offset)
        self._starts: NDArray[np.int64] = np.frombuffer(starts, np.int64)
        found: NDArray[np.int64] = np.frombuffer(hashes, np.int64)
        order = np.argsort(found, kind="stable").astype(np.uint32)
        self._hashes = found[order]
        first = np.ones(len(order), bool)
        first[1:] = self._hashes[1:] != self._hashes[:-1]
        self._hashes, self._order = self._hashes[first], order[first]
        if repeated := int(len(first) - first.sum()):
            self.remarks.append(
                f"rows of {self.path.name} that repeat a trace_name: {repeated}; "
                "the first one counts"
            )
        if uneven:
            self.remarks.append(
                f"rows of {self.path.name} with more or fewer fields than its first line: {uneven}"
            )

    def _separator(self, header: str) -> str:
        """Return the separator under which there is a column of names.

        Raises:
            LabelTableError: There is none.
        """
        for separator in SEPARATORS:
            cells = next(_cells([header], separator), [])
            if NAME_COLUMN in [cell.strip().lower() for cell in cells]:
                return separator
        if _CONTROL.search(header):
            raise LabelTableError(f"{self.path}: not text; name the CSV, or remove the file")
        separator = max(SEPARATORS, key=header.count)
        cells = [cell.strip() for cell in next(_cells([header], separator), [])]
        shown = ", ".join(cells[:_SHOWN_COLUMNS]) + (", ..." if len(cells) > _SHOWN_COLUMNS else "")
        found = f"its first line has {shown[:120]}" if any(cells) else "it is empty"
        raise LabelTableError(
            f"{self.path}: no trace_name column; it is not STEAD's CSV ({found}); "
            "name the column of the traces trace_name, or remove the file"
        )

    def _read(self, index: int) -> list[tuple[str, str]]:
        begin, end = int(self._starts[index]), int(self._starts[index + 1])
        try:
            self._file.seek(begin)
            text = self._file.read(end - begin).decode(self._encoding)
            cells = next(_cells(io.StringIO(text, newline=""), self._separated_by))
        except (OSError, UnicodeError, csv.Error, StopIteration) as error:
            raise LabelTableError(
                f"{self.path}: it has changed or cannot be read any more ({first_line(error)}); "
                "start again"
            ) from error
        name = self.columns.index(NAME_COLUMN)
        if name + 1 < len(cells) < len(self._written) and not text.endswith(("\n", "\r")):
            cells = cells[:-1]  # the file was cut: half a number is another number
        return [(c, text.strip()) for c, text in zip(self._written, cells, strict=False)]


def _cells(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """Return the rows; a quote may follow a space."""
    return csv.reader(lines, delimiter=separator, skipinitialspace=True)


class _Lines:
    """Yields the lines of a text file, and knows at which byte the next one begins."""

    def __init__(self, text: TextIO, begin: int, encoding: str, path: Path) -> None:
        self._text = text
        self._encoding = encoding
        self._path = path
        self._number = 0
        self.offset = begin

    def __iter__(self) -> Iterator[str]:
        """Return itself."""
        return self

    def __next__(self) -> str:
        """Return the next line with its end.

        Raises:
            LabelTableError: It is too long.
        """
        line = self._text.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        self._number += 1
        if len(line) == LONGEST_LINE:
            raise LabelTableError(
                f"{self._path}: line {self._number} is longer than {LONGEST_LINE} characters; "
                "it is not a CSV of labels"
            )
        one_byte_each = self._encoding in _ASCII_IS_ONE_BYTE and line.isascii()
        self.offset += len(line) if one_byte_each else len(line.encode(self._encoding))
        return line
