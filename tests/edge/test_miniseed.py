"""miniSEED records, read back with pymseed."""

import sys

import numpy as np
import pytest
from eqedge.edge.miniseed import (
    RECORD_BYTES,
    MiniSeedError,
    Packer,
    require_library,
    source_id,
    version_for,
)

pymseed = pytest.importorskip("pymseed")

START_NS = 1_790_000_000 * 10**9
NAME = source_id("AM", "HILL", "00", "HHZ")


def read(path):
    """Return [(source id, start nanoseconds, rate, samples)], a piece each."""
    return [
        (trace.sourceid, piece.starttime, piece.samprate, np.array(piece.datasamples))
        for trace in pymseed.MS3TraceList.from_file(str(path), unpack_data=True)
        for piece in trace
    ]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("compress", [False, True])
def test_samples_come_back_as_they_were(tmp_path, rng, version, compress):
    """Added in pieces that follow on each other: one piece, the same counts, start and rate."""
    counts = rng.integers(-(2**31), 2**31, 3_000).astype(np.int32)
    packer = Packer(version, compress=compress)
    for at in range(0, len(counts), 250):
        start_ns = START_NS + at * 10_000_000
        packer.add(NAME, counts[at : at + 250], start_ns=start_ns, rate_hz=100.0)
    path = tmp_path / "a.mseed"
    path.write_bytes(b"".join(packer.all_records()))
    ((name, start_ns, rate_hz, found),) = read(path)
    assert (name, start_ns, rate_hz) == ("FDSN:AM_HILL_00_H_H_Z", START_NS, 100.0)
    assert (found == counts).all()
    versions = {record.formatversion for record in pymseed.MS3Record.from_file(str(path))}
    assert versions == {version}


def test_only_full_records_leave_before_the_end(tmp_path):
    """What does not fill a record stays for the next; nothing is written twice."""
    packer, records = Packer(2, compress=False), []
    for at in range(0, 1_000, 100):
        counts = np.arange(at, at + 100, dtype=np.int32)
        packer.add(NAME, counts, start_ns=START_NS + at * 10_000_000, rate_hz=100.0)
        records += packer.full_records()
    assert records and all(len(record) == RECORD_BYTES for record in records)
    begun = len(records)
    records += packer.all_records()
    assert len(records) == begun + 1 and not list(packer.all_records())
    path = tmp_path / "a.mseed"
    path.write_bytes(b"".join(records))
    ((_, _, _, found),) = read(path)
    assert (found == np.arange(1_000)).all()


@pytest.mark.parametrize(
    ("codes", "version"),
    [
        (("AM", "R1234", "00"), 2),
        (("AM", "R1234", ""), 2),
        (("NETWORKX", "HILL", "00"), 3),
        (("AM", "ABCDEFGH", "00"), 3),
        (("AM", "HILL", "LOCATION"), 3),
    ],
)
def test_the_version_has_room_for_the_codes(codes, version):
    """Version 2 wherever it can be."""
    assert version_for(*codes) == version


def test_a_missing_library_is_one_line_with_the_remedy(monkeypatch):
    """Without pymseed the error names the command that installs it."""
    require_library()
    monkeypatch.setitem(sys.modules, "pymseed", None)
    with pytest.raises(MiniSeedError, match=r"^pymseed is not installed; .*pip install .*mseed"):
        require_library()
