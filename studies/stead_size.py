"""How memory and time of a training grow with the file: synthetic files of STEAD's layout and size.

    python -m studies.stead_size FOLDER 25000 100000 1265657

For each number of traces a `merge.hdf5` and its `merge.csv` are made in FOLDER and kept for the
next time: STEAD's names and attributes, 500 stations, four earthquakes to one noise record. The
traces are links to 500 records, so that 1,265,657 of them, as STEAD has, take 0.2 GB. Then `eqedge
train` runs on it twice, in a process of its own: the first time it indexes, the second time it
reads the index. Memory is the largest resident set of the process that learns, and of the one that
makes batches.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from eqedge.edge.replay.synthetic import earthquake, noise

STATIONS = 2613
RECORDS = 500
CACHE_BYTES = 128 << 20
"""Of HDF5's metadata while writing; with its own limit a group this large takes hours."""
QUIET_EVERY = 5
STEPS = 5
OTHER_ATTRIBUTES = 25
COLUMNS = (
    "network_code",
    "receiver_code",
    "trace_category",
    "trace_name",
    "p_arrival_sample",
    "p_status",
    "s_arrival_sample",
    "coda_end_sample",
    "trace_start_time",
    "source_id",
)
TRAIN = """
import json, resource, sys, time
from eqedge.convert.training import dataset
seconds = {}
def timed(name):
    whole = getattr(dataset, name)
    def call(*arguments):
        began = time.process_time()
        answer = whole(*arguments)
        seconds[name] = seconds.get(name, 0) + time.process_time() - began
        return answer
    setattr(dataset, name, call)
if __name__ == "__main__":
    timed("kept_index")
    from eqedge.convert.training.cli import train
    began = time.monotonic()
    train(sys.argv[1:], standalone_mode=False)
    peak = {
        name: resource.getrusage(who).ru_maxrss / 1024
        for name, who in (("self", resource.RUSAGE_SELF), ("worker", resource.RUSAGE_CHILDREN))
    }
    print(json.dumps({"index": seconds["kept_index"], "all": time.monotonic() - began, **peak}))
"""


def row_of(number: int, labels: tuple[int, int, int] | None) -> dict[str, str]:
    """One line of the CSV."""
    station = f"S{number % STATIONS:04d}"
    kind = "EV" if labels else "NO"
    p, s, coda = (f"{float(k)}" for k in labels) if labels else ("", "", "")
    minute = f"{number // 60 % 60:02d}{number % 60:02d}"
    return {
        "network_code": "XX",
        "receiver_code": station,
        "trace_category": "earthquake_local" if labels else "noise",
        "trace_name": f"{station}.XX_{20000101 + number // 3600}00{minute}_{kind}",
        "p_arrival_sample": p,
        "p_status": "manual" if labels else "",
        "s_arrival_sample": s,
        "coda_end_sample": f"[[{coda}]]" if labels else "",
        "trace_start_time": f"2012-01-01 00:{number // 60 % 60:02d}:{number % 60:02d}.000000",
        "source_id": str(number),
    }


def write(folder: Path, traces: int) -> Path:
    """Make the file of `traces` traces, unless it is there."""
    path = folder / f"{traces}" / "merge.hdf5"
    if path.with_suffix(".csv").exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(traces)
    with h5py.File(path, "w", libver="earliest") as file, (path.parent / "part").open("w") as part:
        cache = file.id.get_mdc_config()
        cache.set_initial_size, cache.initial_size, cache.max_size = 1, CACHE_BYTES, CACHE_BYTES
        file.id.set_mdc_config(cache)
        labels = [_record(file, k, rng) for k in range(RECORDS)]
        sources = [file[f"record/{k}"].id for k in range(RECORDS)]
        group = file.create_group("data").id
        rows = csv.DictWriter(part, COLUMNS)
        rows.writeheader()
        for number in range(traces):
            row = row_of(number, labels[number % RECORDS])
            h5py.h5o.link(sources[number % RECORDS], group, row["trace_name"].encode())
            rows.writerow(row)
    (path.parent / "part").rename(path.with_suffix(".csv"))
    return path


def _record(file: h5py.File, number: int, rng: np.random.Generator) -> tuple[int, int, int] | None:
    """Write one record; return its P, S and end."""
    quiet = number % QUIET_EVERY == 0
    record = noise(rng) if quiet else earthquake(rng, p_arrival_sample=int(rng.integers(500, 900)))
    dataset = file.create_dataset(f"record/{number}", data=record.waveform)
    s, coda = record.s_arrival_sample, record.coda_end_sample
    labels = None
    if not quiet:
        assert record.p_arrival_sample is not None and s is not None and coda is not None
        labels = (record.p_arrival_sample, min(s, 5900), min(coda, 5999))
    dataset.attrs.update(row_of(number, labels))
    dataset.attrs.update({f"source_{k}": f"text of {k}" for k in range(OTHER_ATTRIBUTES)})
    return labels


def measure(path: Path, output: Path) -> dict[str, float]:
    """Train some steps on a file; seconds, and MB of the largest resident set."""
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, "--data", path, "--output", output, "--steps", str(STEPS)],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Measure a training on files of STEAD's size.")
    parser.add_argument("folder", type=Path, help="where the files are made and kept")
    parser.add_argument("traces", type=int, nargs="+", help="size of each file")
    given = parser.parse_args()
    print("traces, GB, index CPU s, again CPU s, whole s, learning MB, batches MB")
    for traces in given.traces:
        path = write(given.folder, traces)
        size = path.stat().st_size / 1e9
        for kept in path.parent.glob("out/labels/*"):
            kept.unlink()
        first, again = (measure(path, path.parent / "out") for _ in range(2))
        seconds = f"{first['index']:.0f}, {again['index']:.1f}, {again['all']:.0f}"
        learning, batches = (max(first[who], again[who]) for who in ("self", "worker"))
        print(f"{traces}, {size:.2f}, {seconds}, {learning:.0f}, {batches:.0f}", flush=True)


if __name__ == "__main__":
    main()
