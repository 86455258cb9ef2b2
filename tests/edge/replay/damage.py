"""Damages STEAD files at random and reads them; `python -m tests.edge.replay.damage FOLDER SEED N`.

A process of its own, because the HDF5 library hangs or crashes where it does not check: a hang ends
by a time limit, memory by a limit on the address space.
"""

import faulthandler
import resource
import sys
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
from eqedge.edge.replay.fields import TraceError
from eqedge.edge.replay.stead import SteadError, SteadFile

from .test_stead import QUAKE

FILE_SECONDS = 60
MEMORY_BYTES = 2 << 30
"""Of address space: a damaged length of a text must not fill the memory."""


def write(path: Path, rng: np.random.Generator) -> bytes:
    """Write three traces, with the texts of variable length that STEAD has; return the bytes."""
    with h5py.File(path, "w") as file:
        for name in "abc":
            wave = rng.normal(size=(400, 3)).astype(np.float32)
            dataset = file.create_dataset(
                f"data/{name}", data=wave, compression="gzip", fletcher32=True
            )
            dataset.attrs.update({**QUAKE, "snr_db": [40.1, 42.2, 38.0]})
    return path.read_bytes()


def damage(whole: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite one to three stretches with zeros, ones or noise."""
    content = bytearray(whole)
    for _ in range(rng.integers(1, 4)):
        at, n = int(rng.integers(len(whole))), int(rng.integers(1, 64))
        n = min(n, len(whole) - at)
        content[at : at + n] = (bytes(n), b"\xff" * n, rng.bytes(n))[rng.integers(3)]
    return bytes(content)


def main(folder: Path, seed: int, files: int) -> None:
    """Read so many damaged files; anything but the reader's own two errors ends the program."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    rng = np.random.default_rng(seed)
    whole = write(folder / "whole.hdf5", rng)
    read = refused = 0
    for _ in range(files):
        path = folder / "damaged.hdf5"
        path.write_bytes(damage(whole, rng))
        faulthandler.dump_traceback_later(FILE_SECONDS, exit=True)
        with suppress(SteadError), SteadFile(path) as file:
            for name in file.names:
                try:
                    file.read(name)
                    read += 1
                except TraceError:
                    refused += 1
        faulthandler.cancel_dump_traceback_later()
    print(read, refused)


if __name__ == "__main__":
    faulthandler.enable()
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
