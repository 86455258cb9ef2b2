"""Memory of a replay beside a CSV of STEAD's size.

    python -m studies.csv_memory FOLDER 1300000

Writes four synthetic events, and a `merge.csv` with a row for each of them and for as many other
traces as are named, all of STEAD's 35 columns filled. Then `eqedge run --sim` runs with and without
the CSV, each in a process of its own, and its largest resident set is printed.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path

import h5py
from eqedge.edge.replay.sample import DEMO_FILE

COLUMNS = 35
EVENTS = 4
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Run in a small process between: a child begins with the largest resident set of its parent."""


def write_files(folder: Path, rows: int) -> Path:
    """Write `merge.hdf5` and `merge.csv`, and return the first."""
    path = folder / "merge.hdf5"
    with h5py.File(DEMO_FILE) as source, h5py.File(path, "w") as file:
        names = [name for name in source["data"] if name.endswith("_EV")][:EVENTS]
        for name in names:
            source.copy(source["data"][name], file.require_group("data"), name)
    with path.with_suffix(".csv").open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["trace_name", *(f"column_{n}" for n in range(1, COLUMNS))])
        others = (f"109C.TA_{n:014d}_EV" for n in range(rows))
        for name in (*names, *others):
            table.writerow([name, *["17.0799999237"] * (COLUMNS - 1)])
    return path


def peak_mb(path: Path) -> float:
    """Return the largest resident set of a replay in MB."""
    command = ["-m", "eqedge", "run", "--sim", str(path), "--speed", "max", "--output", os.devnull]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, *command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(done.stdout) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = write_files(options.folder, options.rows)
    size = path.with_suffix(".csv").stat().st_size
    print(f"{options.rows + EVENTS:,} rows, {size / 1e6:.0f} MB: {peak_mb(path):.0f} MB")
    path.with_suffix(".csv").unlink()
    print(f"without a CSV: {peak_mb(path):.0f} MB")


if __name__ == "__main__":
    main()
