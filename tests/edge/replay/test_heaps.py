"""Damaged heaps of texts are errors before the HDF5 library loops over them."""

import struct

import h5py
import numpy as np
import pytest
from eqedge.edge.replay.fields import TraceError
from eqedge.edge.replay.heaps import SIGNATURE, DamagedHeap, GuardedFile
from eqedge.edge.replay.stead import SteadFile


@pytest.fixture
def path(tmp_path):
    """A file whose traces have texts of variable length, one of them in a heap of its own."""
    path = tmp_path / "texts.hdf5"
    with h5py.File(path, "w") as file:
        for name in ("a_EV", "b_EV"):
            wave = np.arange(30, dtype=np.float32).reshape(10, 3)
            dataset = file.create_dataset(f"data/{name}", data=wave)
            dataset.attrs.update({f"k{n}": f"text number {n}" for n in range(5)})
    with h5py.File(path, "a") as file:
        file["data/b_EV"].attrs["long"] = "x" * 5000
    return path


def heaps(content):
    """Where heaps begin."""
    at, found = content.find(SIGNATURE), []
    while at >= 0:
        found.append(at)
        at = content.find(SIGNATURE, at + 1)
    return found


def free_rest(content, heap):
    """Where the free rest of a heap begins, by the format's rules."""
    at = heap + 16
    while struct.unpack_from("<H", content, at)[0]:
        at += 16 + (struct.unpack_from("<Q", content, at + 8)[0] + 7) // 8 * 8
    return at


def test_whole_heaps_are_read(path):
    """All texts come back, the one longer than a heap too."""
    assert len(heaps(path.read_bytes())) >= 2
    with SteadFile(path) as file:
        assert file.read("a_EV").attributes["k4"] == "text number 4"
        assert file.read("b_EV").attributes["long"] == "x" * 5000


@pytest.mark.parametrize("size", [0, 8, 2**64 - 16, 1 << 40], ids=hex)
def test_a_heap_that_never_ends_is_an_error(path, size):
    """A free rest of no size, over which HDF5 loops for ever, or one beyond the heap."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, free_rest(content, heaps(content)[0]) + 8, size)
    path.write_bytes(content)
    with SteadFile(path) as file, pytest.raises(TraceError, match=r"heap of texts .* is damaged"):
        file.read("a_EV")


def test_a_heap_larger_than_the_file_is_an_error(path):
    """Its size is damaged."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, heaps(content)[0] + 8, 1 << 50)
    path.write_bytes(content)
    with SteadFile(path) as file, pytest.raises(TraceError, match="ends beyond the file"):
        file.read("a_EV")


@pytest.mark.parametrize("portion", [1, 2, 3, 4, 5, 7, 64])
def test_a_signature_cut_in_two_is_seen(path, portion):
    """For any size of reads."""
    content = bytearray(path.read_bytes())
    heap = heaps(content)[0]
    struct.pack_into("<Q", content, free_rest(content, heap) + 8, 0)
    path.write_bytes(content)
    with GuardedFile(path) as file, pytest.raises(DamagedHeap):
        file.seek(heap - 20)
        for _ in range(40 // portion + 1):
            assert file.readinto(bytearray(portion)) == portion
