"""A teacher's labels are kept for the data and the teacher that they were made of, for no other."""

import shutil

import numpy as np
from eqedge.convert.data.files import DataFiles, index_files, teacher_labels
from eqedge.convert.data.waveforms import Unusable
from eqedge.models.registry import weights_folder

from tests.support.labelled import write_stead


def answers(folder, teacher, *data):
    """Detection that a teacher gives each file's first record, labels kept in `folder`."""
    files = DataFiles(data, teachers=(teacher,), label_folder=folder)
    index = index_files(files)
    labels = teacher_labels(files, index, Unusable())
    keys = [next(r.key for r in index.records if r.path == str(path)) for path in data]
    return [labels[str(path), key][0].detection for path, key in zip(data, keys, strict=True)]


def teacher_of(folder, name):
    """A shipped model under another name."""
    return shutil.copy(weights_folder() / f"leqnet_gru_{name}.tflite", folder / "teacher.tflite")


def test_a_replaced_teacher_is_run_again(stead_file, tmp_path):
    """Under the same name another network: its own labels; the first one's are still there."""
    (first,) = answers(tmp_path / "labels", teacher_of(tmp_path, "float32"), stead_file)
    (second,) = answers(tmp_path / "labels", teacher_of(tmp_path, "int8"), stead_file)
    assert not np.array_equal(first, second)
    (alone,) = answers(tmp_path / "fresh", tmp_path / "teacher.tflite", stead_file)
    assert np.array_equal(second, alone)
    assert len(list((tmp_path / "labels").glob("*.labels.hdf5"))) == 2


def test_changed_data_are_labelled_again(stead_file, tmp_path, capsys):
    """Other waveforms of the same names: new labels and a line; unchanged ones are not touched."""
    teacher, labels = teacher_of(tmp_path, "float32"), tmp_path / "labels"
    (first,) = answers(labels, teacher, stead_file)
    capsys.readouterr()
    assert np.array_equal(answers(labels, teacher, stead_file), [first])
    assert capsys.readouterr().err == ""
    write_stead(stead_file, seed=8)
    (second,) = answers(labels, teacher, stead_file)
    assert "small.hdf5 has changed, small." in capsys.readouterr().err
    assert not np.array_equal(first, second)


def test_files_of_one_name_have_labels_of_their_own(stead_file, tmp_path):
    """Two folders, one file name, the same traces: in one run and in the next."""
    (tmp_path / "other").mkdir()
    other = write_stead(tmp_path / "other" / stead_file.name, seed=8)
    teacher = teacher_of(tmp_path, "float32")
    here, there = answers(tmp_path / "labels", teacher, stead_file, other)
    assert not np.array_equal(here, there)
    assert np.array_equal(answers(tmp_path / "labels", teacher, other), [there])
