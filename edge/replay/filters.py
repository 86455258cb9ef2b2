"""Name the filter with which a dataset is compressed where HDF5 lacks its plug-in."""

from __future__ import annotations

from typing import Any

import h5py

PLUGIN = "hdf5plugin"
"""Package on PyPI that brings the filters below."""
BROUGHT_BY_PLUGIN = {
    307: "bzip2",
    32001: "Blosc",
    32004: "LZ4",
    32008: "Bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32018: "FCIDECOMP",
    32024: "SZ3",
    32026: "Blosc2",
    32028: "SPERR",
}
"""Numbers that the HDF Group has registered."""


def missing_filter(dataset: Any) -> str | None:
    """Return what is missing to read a dataset and the remedy, or None if nothing is.

    The package `hdf5plugin` is used where it is installed.

    Args:
        dataset: Of an open file.
    """
    plist = dataset.id.get_create_plist()
    absent = [code for code in _codes(plist) if not h5py.h5z.filter_avail(code)]
    if absent and _plugins_loaded():
        absent = [code for code in absent if not h5py.h5z.filter_avail(code)]
    if not absent:
        return None
    code = absent[0]
    if code in BROUGHT_BY_PLUGIN:
        return (
            f"compressed with {BROUGHT_BY_PLUGIN[code]}, HDF5 filter {code}, which is not "
            f"installed; pip install {PLUGIN}"
        )
    return (
        f"compressed with HDF5 filter {code}, which is not installed; rewrite the file where it "
        "is: h5repack -f GZIP=4 OLD NEW"
    )


def _codes(plist: Any) -> list[int]:
    return [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]


def _plugins_loaded() -> bool:
    try:
        __import__(PLUGIN)
    except ImportError:
        return False
    return True
