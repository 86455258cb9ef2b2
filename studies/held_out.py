"""Write the earthquakes of stations that training held out, and the noise, to files of their own.

    python -m studies.held_out labelled.hdf5 more.hdf5 --events held.hdf5 --noise noise.hdf5

They are what `studies.announcements` plays. Noise is taken of all stations.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import h5py
from eqedge import EqedgeError, reason_of
from eqedge.convert.data.indexing import index_stead
from eqedge.convert.data.records import DataError
from eqedge.convert.data.unseen import unseen
from eqedge.edge.replay.stead import SteadFile


def held_out(data: Path) -> tuple[list[str], list[str]]:
    """Return the names of a file's earthquakes of stations held out, and of its noise records.

    Args:
        data: STEAD-layout HDF5.

    Raises:
        DataError: The file cannot be read.
    """
    index = index_stead(data)
    noise = [record.trace for record in index.records if record.kind != "event"]
    try:
        kept = unseen(index, ("station",)).records
    except DataError:  # no station is held out
        kept = []
    return [record.trace for record in kept if record.kind == "event"], noise


def copy(data: Path, names: list[str], path: Path) -> int:
    """Add records to a file, with their labels as attributes; return how many.

    One whose name the file has already is left out.

    Raises:
        SteadError: A file cannot be read.
        OSError: One cannot be written.
    """
    with SteadFile(data) as source, h5py.File(path, "a") as target:
        group = target.require_group("data")
        new = [name for name in names if name not in group]
        for name in new:
            trace = source.read(name)
            group.create_dataset(name, data=trace.waveform).attrs.update(trace.attributes)
    return len(new)


def main() -> int:
    """Copy the records."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="STEAD-layout HDF5")
    parser.add_argument("--events", type=Path, required=True, help="new file")
    parser.add_argument("--noise", type=Path, required=True, help="new file")
    options = parser.parse_args()
    counts = {options.events: 0, options.noise: 0}
    if len(counts) < 2:
        parser.error("--events and --noise: give two files")
    for path in counts:
        if path.exists():
            parser.error(f"{path} exists; give a new file")
    try:
        for data in options.data:
            for path, names in zip(counts, held_out(data), strict=True):
                counts[path] += copy(data, names, path)
    except (EqedgeError, OSError) as error:
        print(f"held_out: {reason_of(error)}", file=sys.stderr)
        return 2
    for path, count in counts.items():
        print(f"{path}: {count} records")
    return 0


if __name__ == "__main__":
    sys.exit(main())
