"""An index is made once for a file, and again when the file has changed."""

import os

import h5py
import pytest
from eqedge.convert.data.index_cache import kept_index
from eqedge.convert.data.indexing import index_stead
from eqedge.convert.data.records import DataError


@pytest.fixture
def counted():
    """`index_stead`, and how often it was called."""
    calls = []

    def index(path):
        calls.append(path)
        return index_stead(path)

    return index, calls


def test_the_second_run_reads_the_kept_index(stead_file, tmp_path, counted):
    """The same records and reasons, without opening the file again."""
    make, calls = counted
    table = stead_file.with_suffix(".csv")
    with h5py.File(stead_file, "a") as file:
        rows = "".join(f"{name}\n" for name in file["data"])
        table.write_text(f"trace_name\n{rows}gone\n")
        file["data/AAA.XX_20200100000000_EV"].attrs["s_arrival_sample"] = "70"
    first = kept_index(stead_file, tmp_path / "labels", make)
    again = kept_index(stead_file, tmp_path / "labels", make)
    assert calls == [stead_file]
    assert again.records == first.records and len(first.records) == 8
    assert again.skipped == first.skipped
    assert first.skipped == {"S not after P": 1}
    assert again.remarks == first.remarks
    assert first.remarks == ["rows of small.csv of traces that are not in small.hdf5: 1"]


def test_a_changed_file_is_indexed_again(stead_file, tmp_path, counted):
    """Another time of change, a CSV that was not there: the kept index is out of date."""
    make, calls = counted
    kept_index(stead_file, tmp_path, make)
    os.utime(stead_file, ns=(1, 1))
    kept_index(stead_file, tmp_path, make)
    stead_file.with_suffix(".csv").write_text("trace_name\n")
    kept_index(stead_file, tmp_path, make)
    assert len(calls) == 3


def test_a_damaged_or_unwritable_index_is_done_without(stead_file, tmp_path, counted):
    """Nonsense in its place is replaced; where none can be kept the file is read each time."""
    make, calls = counted
    whole = kept_index(stead_file, tmp_path / "labels", make)
    (kept,) = (tmp_path / "labels").glob("*.index.csv")
    kept.write_text(kept.read_text()[:400])
    assert kept_index(stead_file, tmp_path / "labels", make).records == whole.records
    (tmp_path / "file").write_text("")
    assert kept_index(stead_file, tmp_path / "file", make).records == whole.records
    assert len(calls) == 3


def test_what_has_no_record_is_not_kept(tmp_path, counted):
    """An error stays an error."""
    (tmp_path / "no.hdf5").write_text("nothing")
    for _ in range(2):
        with pytest.raises(DataError):
            kept_index(tmp_path / "no.hdf5", tmp_path, counted[0])
    assert len(counted[1]) == 2
