"""Describe a file that is not the HDF5 file that was expected, with the remedy."""

from __future__ import annotations

from pathlib import Path

from ... import first_line, reason_of

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
HDF5 = b"\x89HDF\r\n\x1a\n"
_KINDS = (
    (GZIP, "compressed by gzip", "unpack it"),
    (b"BZh", "compressed by bzip2", "unpack it"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard", "unpack it"),
    (ZIP, "a zip archive or a workbook", "unpack it, or name the HDF5 file"),
    (b"\x93NUMPY", "a NumPy array", "write it as HDF5"),
    (b"CDF", "NetCDF 3", "write it as HDF5"),
    (b"version https://git-lfs", "a pointer of Git LFS", "get the file itself: git lfs pull"),
    (b"<", "a page of HTML or XML", "download the file again"),
)
_HEAD_BYTES = 512
_NAME = "name a STEAD-layout HDF5 file"


def absent(path: Path) -> str | None:
    """Return what is wrong with a path that is not a file, and the remedy; None if it is one."""
    if path.is_file():
        return None
    return f"a folder; {_NAME}" if path.is_dir() else f"no such file; {_NAME}"


def not_hdf5(path: Path, error: BaseException) -> str:
    """Return what is wrong with a file that cannot be read as HDF5, and the remedy.

    Args:
        path: The file.
        error: What reading it raised.
    """
    if problem := absent(path):
        return problem
    found, remedy = _described(path, error)
    return f"not a readable HDF5 file ({found}); {remedy}"


def _described(path: Path, error: BaseException) -> tuple[str, str]:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except PermissionError as refused:
        return reason_of(refused), "give yourself the right to read it"
    except OSError as failed:
        return reason_of(failed), "copy it again"
    if not head:
        return "it is empty", "copy it again"
    for magic, kind, remedy in _KINDS:
        if head.startswith(magic):
            return f"it is {kind}", remedy
    if head[:6].isdigit() and head[6:7] in b"DRQM":
        return "it is miniSEED", "write its traces into STEAD's layout"
    if HDF5[:4] not in head and _is_text(head):
        return "it is text", "name the HDF5 file; a CSV of labels is for --csv"
    return first_line(error), "copy it again"


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\r\n" or 32 <= byte != 127 for byte in head)
