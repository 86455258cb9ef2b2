"""Files of results belong to one data file in one state."""

import os

import pytest
from eqedge.convert.data.kept import file_state, kept_name


def test_a_name_is_of_one_path(tmp_path, monkeypatch):
    """Relative or absolute, one file has one name; its namesake elsewhere has another."""
    monkeypatch.chdir(tmp_path)
    one = kept_name(tmp_path / "a.hdf5", "index.csv")
    assert one == kept_name(tmp_path.__class__("a.hdf5"), "index.csv")
    assert one != kept_name(tmp_path / "b" / "a.hdf5", "index.csv")
    assert one.startswith("a.") and one.endswith(".index.csv")


def test_a_state_changes_with_the_file(tmp_path):
    """By its size, or by its time alone."""
    path = tmp_path / "a.hdf5"
    with pytest.raises(FileNotFoundError):
        file_state(path)
    path.write_bytes(b"1")
    os.utime(path, ns=(5, 5))
    assert file_state(path) == [1, 5]
    os.utime(path, ns=(5, 6))
    assert file_state(path) == [1, 6]
